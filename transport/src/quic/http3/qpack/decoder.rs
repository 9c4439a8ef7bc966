//! From field sections to fields.

use super::table;
use crate::http2::Fields;
use crate::http2::hpack::decoder::string;
use crate::http2::hpack::{self, Known, Name, integer, is_valid_value};

/// Why a field section cannot be read. The connection has to end then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An integer or a string is not what both compressions of HTTP make.
    #[error(transparent)]
    Text(#[from] hpack::Malformed),
    /// No field has this number.
    #[error("a field of the section is not in the static table")]
    Index,
    /// The section needs a table that the peer was not allowed.
    #[error("the section refers to a dynamic table, which there is not")]
    NoTable,
    /// What the section refers to would lie before the beginning of the table.
    #[error("the base of the section is negative")]
    Base,
}

/// A decoder, which remembers nothing but where there is room.
#[derive(Debug, Default)]
pub struct Decoder {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// A decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the fields of `section` to `fields`.
    ///
    /// # Errors
    /// If the section is malformed, or needs a table.
    pub fn decode(&mut self, section: &[u8], fields: &mut Fields) -> Result<(), Malformed> {
        let mut rest = section;
        prefix(&mut rest)?;
        while let Some(&first) = rest.first() {
            self.field(first, &mut rest, fields)?;
        }
        Ok(())
    }

    /// Takes one field off the front of `rest`, which begins with `first`.
    pub(super) fn field(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        fields: &mut Fields,
    ) -> Result<(), Malformed> {
        match first {
            0xc0.. => {
                let number = integer::take(rest, 6)?;
                fields.add(table::get(number).ok_or(Malformed::Index)?);
            }
            0x50..0x60 | 0x70..0x80 => {
                let number = integer::take(rest, 4)?;
                let known = table::get(number).ok_or(Malformed::Index)?;
                let value = string(rest, 7, &mut self.value)?;
                fields.add(Known {
                    value,
                    is_valid: is_valid_value(value),
                    ..known
                });
            }
            0x20..0x40 => {
                let name = string(rest, 3, &mut self.name)?;
                let value = string(rest, 7, &mut self.value)?;
                fields.add(Known::of_kind(Name::of(name), name, value));
            }
            // Fields and names of the dynamic table, before and behind the base.
            _ => return Err(Malformed::NoTable),
        }
        Ok(())
    }
}

/// Takes what a section begins with off the front of `rest`.
pub(super) fn prefix(rest: &mut &[u8]) -> Result<(), Malformed> {
    if integer::take(rest, 8)? != 0 {
        return Err(Malformed::NoTable);
    }
    let is_negative = rest.first().is_some_and(|first| first & 0x80 != 0);
    // Nothing is counted from there.
    integer::take(rest, 7)?;
    match is_negative {
        true => Err(Malformed::Base),
        false => Ok(()),
    }
}
