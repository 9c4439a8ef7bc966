//! A reader of protobuf fields, one after the other, that skips what it is not asked for.

/// A message that is not valid protobuf, or has a known field of a wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends within a field.
    #[error("message ends within the field at byte {0}")]
    Truncated(usize),
    /// A number of more than 64 bits.
    #[error("number of more than 64 bits at byte {0}")]
    Overlong(usize),
    /// A field number of 0 or beyond 2^29 - 1, or a wire type that does not exist.
    #[error("invalid field key at byte {0}")]
    Key(usize),
    /// A known field with the wire type of another type.
    #[error("field {number} has wire type {found}")]
    WireType {
        /// The number of the field.
        number: u32,
        /// The wire type it came with.
        found: u8,
    },
    /// A text that is not UTF-8.
    #[error("field {0} is not valid UTF-8")]
    Utf8(u32),
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// A number, and where its bytes stand in the message.
    Varint { value: u64, at: usize, width: usize },
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
    /// A fixed-width number or a group, of no interest here; its wire type.
    Other(u8),
}

impl<'a> Field<'a> {
    pub(super) fn bool(&self) -> Result<bool, Malformed> {
        self.u64().map(|value| value != 0)
    }

    /// As proto3 has it: a wider number is cut to its lower 32 bits.
    #[allow(clippy::cast_possible_truncation, reason = "the rule of proto3")]
    pub(super) fn u32(&self) -> Result<u32, Malformed> {
        self.u64().map(|value| value as u32)
    }

    pub(super) fn u64(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint { value, .. } => Ok(value),
            Value::Bytes(_) => Err(self.wrong_type(2)),
            Value::Other(found) => Err(self.wrong_type(found)),
        }
    }

    pub(super) fn str(&self) -> Result<&'a str, Malformed> {
        match self.value {
            Value::Bytes(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| Malformed::Utf8(self.number))
            }
            Value::Varint { .. } => Err(self.wrong_type(0)),
            Value::Other(found) => Err(self.wrong_type(found)),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint { .. } => Err(self.wrong_type(0)),
            Value::Other(found) => Err(self.wrong_type(found)),
        }
    }

    fn wrong_type(&self, found: u8) -> Malformed {
        Malformed::WireType {
            number: self.number,
            found,
        }
    }
}

/// Reads the fields of a message in their order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// The next field, or `None` at the end of the message.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.at == self.message.len() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            0 => {
                let at = self.at;
                let value = self.varint()?;
                let width = self.at - at;
                Value::Varint { value, at, width }
            }
            2 => Value::Bytes(self.bytes()?),
            _ => self.other(number, wire_type)?,
        };
        Ok(Some(Field { number, value }))
    }

    /// Skips what is no number and no text.
    #[cold]
    fn other(&mut self, number: u32, wire_type: u8) -> Result<Value<'a>, Malformed> {
        match wire_type {
            1 => self.skip(8)?,
            3 => self.skip_group(number)?,
            5 => self.skip(4)?,
            _ => return Err(Malformed::Key(self.at)),
        }
        Ok(Value::Other(wire_type))
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let at = self.at;
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed::Key(at))?;
        if number == 0 || number > (1 << 29) - 1 {
            return Err(Malformed::Key(at));
        }
        Ok((number, (key & 7) as u8))
    }

    /// Most have one byte.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.message.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.message.get(self.at) else {
                return Err(Malformed::Truncated(start));
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Malformed::Overlong(start));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Overlong(start))
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated(start))?;
        let from = self.at;
        self.skip(length)?;
        Ok(&self.message[from..self.at])
    }

    #[inline]
    fn skip(&mut self, length: usize) -> Result<(), Malformed> {
        match self.at.checked_add(length) {
            Some(end) if end <= self.message.len() => {
                self.at = end;
                Ok(())
            }
            _ => Err(Malformed::Truncated(self.at)),
        }
    }

    /// Skips a group, a construct of proto2 that a peer could still send.
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        /// As deep as prost goes.
        const MAX_DEPTH: usize = 100;
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let at = self.at;
            let (number, wire_type) = self.key()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => self.skip(8)?,
                2 => drop(self.bytes()?),
                3 if open.len() < MAX_DEPTH => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => self.skip(4)?,
                _ => return Err(Malformed::Key(at)),
            }
        }
        Ok(())
    }
}

/// Writes `value` behind `out` as a protobuf number of exactly `width` bytes,
/// padded with continuation bytes if need be.
pub(super) fn put_varint(out: &mut [u8], mut value: u64) {
    let Some((last, others)) = out.split_last_mut() else {
        return;
    };
    for byte in others {
        *byte = (value & 0x7f) as u8 | 0x80;
        value >>= 7;
    }
    *last = value as u8;
}

/// Bytes that `value` takes as a protobuf number.
pub(super) fn varint_width(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
