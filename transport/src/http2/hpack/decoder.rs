//! From header blocks to fields.

use super::table::{Known, Table};
use super::{Name, huffman, integer};
use crate::http2::Fields;

/// Why a header block cannot be read. What follows on the connection cannot be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The block ends within a field.
    #[error("the header block ends within a field")]
    CutShort,
    /// An integer is larger than anything could be.
    #[error("an integer of the header block is too large")]
    Integer,
    /// No field has this number.
    #[error("a field of the header block is in no table")]
    Index,
    /// A string is not what the Huffman code makes.
    #[error("a string of the header block is no Huffman code")]
    Huffman,
    /// The peer wants a larger table than it was allowed, or says so too late.
    #[error("the header table changes its size against the rules")]
    TableSize,
}

/// The decoder of one connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    max_table_size: usize,
    /// Room for decoded strings.
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// A decoder whose peer may have `max_table_size` bytes of fields remembered.
    pub fn new(max_table_size: usize) -> Self {
        Self {
            table: Table::new(max_table_size),
            max_table_size,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// From now on, the peer may have so many bytes remembered.
    #[cfg(test)]
    pub(in crate::http2) fn allow(&mut self, max_table_size: usize) {
        self.max_table_size = max_table_size;
    }

    /// Appends the fields of `block` to `fields`.
    ///
    /// # Errors
    /// If the block is malformed; the connection has to end then.
    pub fn decode(&mut self, block: &[u8], fields: &mut Fields) -> Result<(), Malformed> {
        let mut rest = block;
        let mut may_resize = true;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let number = integer::take(&mut rest, 7)?;
                fields.add(self.table.get(number).ok_or(Malformed::Index)?);
            } else if first & 0xe0 == 0x20 {
                let size = integer::take(&mut rest, 5)?;
                if !may_resize || size > self.max_table_size {
                    return Err(Malformed::TableSize);
                }
                self.table.resize(size);
                continue;
            } else {
                let is_remembered = first & 0x40 != 0;
                let prefix = if is_remembered { 6 } else { 4 };
                self.literal(&mut rest, prefix, is_remembered, fields)?;
            }
            may_resize = false;
        }
        Ok(())
    }

    fn literal(
        &mut self,
        rest: &mut &[u8],
        prefix: u32,
        is_remembered: bool,
        fields: &mut Fields,
    ) -> Result<(), Malformed> {
        let number = integer::take(rest, prefix)?;
        let Self {
            table,
            name: name_room,
            value: value_room,
            ..
        } = self;
        if !is_remembered {
            let (kind, name) = match number {
                0 => of_text(string(rest, 7, name_room)?),
                _ => table.get(number).ok_or(Malformed::Index)?.kind_and_name(),
            };
            let value = string(rest, 7, value_room)?;
            fields.add(Known::of_kind(kind, name, value));
            return Ok(());
        }
        let (kind, name) = match number {
            0 => of_text(string(rest, 7, name_room)?),
            _ => {
                let (kind, name) = table.get(number).ok_or(Malformed::Index)?.kind_and_name();
                // The entry may be forgotten for the sake of the new one.
                name_room.clear();
                name_room.extend_from_slice(name);
                (kind, &name_room[..])
            }
        };
        let field = Known::of_kind(kind, name, string(rest, 7, value_room)?);
        fields.add(field);
        table.insert(field);
        Ok(())
    }
}

fn of_text(name: &[u8]) -> (Name, &[u8]) {
    (Name::of(name), name)
}

/// Takes a string off the front of `bytes`, whose first byte has `prefix` bits of its length, with the
/// help of `room` if it is coded.
pub(crate) fn string<'a, 'b: 'a>(
    bytes: &mut &'b [u8],
    prefix: u32,
    room: &'a mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    let is_coded = bytes
        .first()
        .is_some_and(|first| first & (1 << prefix) != 0);
    let length = integer::take(bytes, prefix)?;
    let (text, rest) = bytes.split_at_checked(length).ok_or(Malformed::CutShort)?;
    *bytes = rest;
    if !is_coded {
        return Ok(text);
    }
    room.clear();
    huffman::decode(text, room)?;
    Ok(room)
}
