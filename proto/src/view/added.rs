//! Fields that are added behind a message: put together first, so that what is made of both is as large as
//! it has to be. [`bytes::Bytes`] that have room to spare take an allocation more.

use prost::encoding::WireType;

use super::fields::{put_varint, varint_width};

/// Most bytes of the key of a field, and of a number.
const LONGEST: usize = 5 + 10;
/// Most fields that are added.
const MOST: usize = 4;

/// A few short fields, in the form that they have in a message.
#[derive(Debug)]
pub(super) struct Added {
    bytes: [u8; MOST * LONGEST],
    length: usize,
}

impl Added {
    pub(super) const NOTHING: Self = Self {
        bytes: [0; MOST * LONGEST],
        length: 0,
    };

    /// A field that is a number.
    #[inline]
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.pair(field, WireType::Varint, value);
    }

    /// What stands in front of a text of so many bytes.
    #[inline]
    pub(super) fn begin_text(&mut self, field: u32, length: usize) {
        self.pair(field, WireType::LengthDelimited, length as u64);
    }

    #[inline]
    fn pair(&mut self, field: u32, wire_type: WireType, value: u64) {
        for value in [u64::from(field) << 3 | wire_type as u64, value] {
            let end = self.length + varint_width(value);
            put_varint(&mut self.bytes[self.length..end], value);
            self.length = end;
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// `message`, the fields and `text`, with no room behind them.
    pub(super) fn behind(&self, message: &[u8], text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + self.length + text.len());
        out.extend_from_slice(message);
        out.extend_from_slice(self.as_slice());
        out.extend_from_slice(text);
        out
    }
}

#[cfg(test)]
mod tests {
    use prost::encoding::{encode_key, encode_varint};

    use super::*;

    #[test]
    fn fields_stand_as_prost_writes_them_however_large() {
        let (field, value) = ((1 << 29) - 1, u64::MAX);
        let (mut added, mut expected) = (Added::NOTHING, b"message".to_vec());
        for value in [0, 127, 128, value] {
            added.number(field, value);
            encode_key(field, WireType::Varint, &mut expected);
            encode_varint(value, &mut expected);
        }
        assert_eq!(added.length, MOST * 5 + 1 + 1 + 2 + 10);
        expected.extend_from_slice(b"text");
        assert_eq!(added.behind(b"message", b"text"), expected);
        let mut text = Added::NOTHING;
        text.begin_text(3, 300);
        assert_eq!(text.as_slice(), [0x1a, 0xac, 2]);
    }
}
