//! The static Huffman code of header strings (RFC 7541, appendix B), decoded four bits at a time.

use super::Malformed;

/// Bits of the code of each byte. The code is canonical: ordered by length, then by byte, each code
/// is its predecessor plus one. So the lengths are all there is to know.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
];

/// The longest code; the one of 30 ones ends a string, and must not occur.
const LONGEST: u8 = 30;
const END: u16 = 256;

/// The code of each byte, in the low bits.
const fn codes() -> [u32; 256] {
    let mut codes = [0; 256];
    let (mut code, mut length) = (0u32, 0u8);
    while length <= LONGEST {
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] == length {
                codes[byte] = code;
                code += 1;
            }
            byte += 1;
        }
        code <<= 1;
        length += 1;
    }
    codes
}

/// A code tree of 257 leaves has as many inner nodes less one.
const NODES: usize = 256;
/// A child that is a leaf: this plus the byte.
const LEAF: u16 = 0x8000;

/// Both children of all inner nodes, of which number 0 is the root.
const fn tree() -> [[u16; 2]; NODES] {
    let codes = codes();
    let mut nodes = [[0; 2]; NODES];
    let mut used = 1;
    let mut symbol = 0;
    while symbol <= 256 {
        let (code, length) = if symbol == 256 {
            ((1 << LONGEST) - 1, LONGEST)
        } else {
            (codes[symbol], LENGTHS[symbol])
        };
        let mut node = 0;
        let mut left = length;
        while left > 1 {
            left -= 1;
            let bit = (code >> left & 1) as usize;
            if nodes[node][bit] == 0 {
                nodes[node][bit] = used;
                used += 1;
            }
            node = nodes[node][bit] as usize;
        }
        nodes[node][(code & 1) as usize] = LEAF + symbol as u16;
        symbol += 1;
    }
    nodes
}

/// What four bits do at a node.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The node afterwards.
    node: u8,
    flags: u8,
    /// The byte that was completed on the way, if there was one.
    byte: u8,
}

const HAS_BYTE: u8 = 1;
/// The string may end here: what is open is the beginning of the end code, of fewer than 8 bits.
const MAY_END: u8 = 2;
const IS_INVALID: u8 = 4;

const fn steps() -> [[Step; 16]; NODES] {
    let tree = tree();
    let mut may_end = [false; NODES];
    // Down the branch of ones: at most 7 of them.
    let mut node = 0;
    let mut depth = 0;
    while depth < 8 {
        may_end[node] = true;
        node = tree[node][1] as usize;
        depth += 1;
    }
    let none = Step {
        node: 0,
        flags: 0,
        byte: 0,
    };
    let mut steps = [[none; 16]; NODES];
    let mut from = 0;
    while from < NODES {
        let mut bits = 0;
        while bits < 16 {
            let mut step = none;
            let mut node = from;
            let mut left = 4;
            while left > 0 {
                left -= 1;
                let child = tree[node][bits >> left & 1];
                if child == LEAF + END {
                    step.flags |= IS_INVALID;
                    node = 0;
                } else if child >= LEAF {
                    // The shortest code has 5 bits: no two bytes end within 4.
                    step.flags |= HAS_BYTE;
                    step.byte = (child - LEAF) as u8;
                    node = 0;
                } else {
                    node = child as usize;
                }
            }
            step.node = node as u8;
            if may_end[node] {
                step.flags |= MAY_END;
            }
            steps[from][bits] = step;
            bits += 1;
        }
        from += 1;
    }
    steps
}

static STEPS: [[Step; 16]; NODES] = steps();

/// Appends what `coded` stands for.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut node = 0;
    let mut flags = MAY_END;
    for &byte in coded {
        for bits in [byte >> 4, byte & 15] {
            let step = STEPS[usize::from(node)][usize::from(bits)];
            if step.flags & HAS_BYTE != 0 {
                out.push(step.byte);
            }
            if step.flags & IS_INVALID != 0 {
                return Err(Malformed::Huffman);
            }
            flags = step.flags;
            node = step.node;
        }
    }
    if flags & MAY_END == 0 {
        return Err(Malformed::Huffman);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The other direction, which only tests need: our own strings leave as they are.
    pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
        let codes = codes();
        let (mut bits, mut open, mut out) = (0u64, 0u32, Vec::new());
        for &byte in text {
            let length = u32::from(LENGTHS[usize::from(byte)]);
            bits = bits << length | u64::from(codes[usize::from(byte)]);
            open += length;
            while open >= 8 {
                open -= 8;
                out.push((bits >> open & 0xff) as u8);
            }
        }
        if open > 0 {
            let pad = 8 - open;
            out.push((bits << pad & 0xff) as u8 | ((1u16 << pad) - 1) as u8);
        }
        out
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_specification_hold() {
        let coded = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&coded).unwrap(), b"www.example.com");
        let coded = [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(decoded(&coded).unwrap(), b"no-cache");
        assert_eq!(encode(b"no-cache"), coded);
    }

    #[test]
    fn padding_must_be_ones_and_shorter_than_a_byte() {
        // '0' is 00000; behind it come three bits.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        assert_eq!(decoded(&[0b0000_0110]), Err(Malformed::Huffman));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(Malformed::Huffman));
        assert_eq!(decoded(&[0xff; 4]), Err(Malformed::Huffman));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        #[test]
        fn no_bytes_are_too_strange(coded: Vec<u8>) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
