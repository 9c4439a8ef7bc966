//! Integers with a prefix of some bits (RFC 7541, section 5.1).

use super::Malformed;

/// No length or index that makes sense is larger: whatever needs more bytes is hostile.
const LARGEST: usize = 1 << 28;

/// Takes an integer off the front of `bytes`, whose first byte has `prefix` bits of it.
pub(crate) fn take(bytes: &mut &[u8], prefix: u32) -> Result<usize, Malformed> {
    let (&first, mut rest) = bytes.split_first().ok_or(Malformed::CutShort)?;
    let most = (1usize << prefix) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (&byte, tail) = rest.split_first().ok_or(Malformed::CutShort)?;
            rest = tail;
            value += usize::from(byte & 0x7f) << shift;
            if value > LARGEST {
                return Err(Malformed::Integer);
            }
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 28 {
                return Err(Malformed::Integer);
            }
        }
    }
    *bytes = rest;
    Ok(value)
}

/// Appends `value` with `prefix` bits of it in the first byte, whose other bits are `pattern`.
pub(crate) fn put(out: &mut Vec<u8>, pattern: u8, prefix: u32, mut value: usize) {
    let most = (1usize << prefix) - 1;
    if value < most {
        out.push(pattern | low_byte(value));
        return;
    }
    out.push(pattern | low_byte(most));
    value -= most;
    while value >= 0x80 {
        out.push(0x80 | low_byte(value & 0x7f));
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: usize) -> u8 {
    (value & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_specification_hold() {
        for (value, prefix, expected) in [
            (10, 5, &[10][..]),
            (1337, 5, &[31, 154, 10]),
            (42, 8, &[42]),
        ] {
            let mut out = Vec::new();
            put(&mut out, 0, prefix, value);
            assert_eq!(out, expected);
            assert_eq!(take(&mut &out[..], prefix), Ok(value));
        }
    }

    #[test]
    fn integers_that_never_end_or_overflow_are_refused() {
        assert_eq!(take(&mut &[0x1f][..], 5), Err(Malformed::CutShort));
        assert_eq!(take(&mut &[0x1f, 0x80][..], 5), Err(Malformed::CutShort));
        let zeros = [&[0x1f][..], &[0x80; 30], &[0]].concat();
        assert_eq!(take(&mut &zeros[..], 5), Err(Malformed::Integer));
        assert_eq!(take(&mut &[0xff; 12][..], 5), Err(Malformed::Integer));
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(value in 0..=LARGEST, prefix in 1u32..=8) {
            let mut out = Vec::new();
            put(&mut out, 0, prefix, value);
            out.push(7);
            let mut rest = &out[..];
            prop_assert_eq!(take(&mut rest, prefix), Ok(value));
            prop_assert_eq!(rest, &[7][..]);
        }
    }
}
