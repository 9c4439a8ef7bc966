//! Integers of variable length (RFC 9000, section 16).

/// The largest.
const MOST: u64 = (1 << 62) - 1;

/// An integer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Number {
    value: u64,
    /// Bytes that are missing; none: the first one.
    missing: Option<u32>,
}

impl Number {
    /// The number, once it is complete.
    pub(super) fn add(&mut self, byte: u8) -> Option<u64> {
        let missing = match self.missing {
            None => {
                self.value = u64::from(byte & 0x3f);
                (1 << (byte >> 6)) - 1
            }
            Some(missing) => {
                self.value = self.value << 8 | u64::from(byte);
                missing - 1
            }
        };
        self.missing = Some(missing);
        (missing == 0).then_some(self.value)
    }
}

/// Takes an integer off the front of `bytes`, if all of it is there.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, behind) = bytes.split_first()?;
    if first < 0x40 {
        *bytes = behind;
        return Some(u64::from(first));
    }
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    *bytes = rest;
    let more = number[1..].iter();
    Some(more.fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    }))
}

/// Bytes that `value` takes.
pub(super) const fn size(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Appends `value`; what is beyond 62 bits becomes the largest.
pub(super) fn put(out: &mut Vec<u8>, value: u64) {
    let value = value.min(MOST);
    let size = size(value);
    let mark = u64::from(size.trailing_zeros()) << (8 * size - 2);
    out.extend_from_slice(&(value | mark).to_be_bytes()[8 - size..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_9000_hold() {
        let examples: [(u64, &[u8]); 4] = [
            (37, &[0x25]),
            (15_293, &[0x7b, 0xbd]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (
                151_288_809_941_952_652,
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
            ),
        ];
        for (number, written) in examples {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out, written);
        }
        assert_eq!(take(&mut &[0x40, 0x25][..]), Some(37));
        let mut most = Vec::new();
        put(&mut most, u64::MAX);
        assert_eq!(most, [0xff; 8]);
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken_however_it_comes(value in 0u64..1 << 62, bits in 0u32..62) {
            let value = value >> bits;
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(out.len(), size(value));
            let mut number = Number::default();
            let (last, first) = out.split_last().unwrap();
            for byte in first {
                prop_assert_eq!(number.add(*byte), None);
            }
            prop_assert_eq!(number.add(*last), Some(value));
            prop_assert_eq!(take(&mut &first[..]), None);
            prop_assert_eq!(take(&mut &out[..]), Some(value));
        }
    }
}
