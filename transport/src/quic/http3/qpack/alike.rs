//! Sections that begin as the one before did, as those of a connection do: what two of them have in common
//! is not decoded again. That is what a dynamic table is for, without one.

use super::decoder::{Decoder, Malformed, prefix};
use crate::http2::{Fields, Mark};

/// Longest section that is remembered, in bytes.
const LONGEST: usize = 1 << 10;

/// A decoder, and the section that it decoded last.
#[derive(Debug)]
pub struct Alike {
    decoder: Decoder,
    fields: Fields,
    last: Vec<u8>,
    /// Where each of its fields ended, and what had been decoded then.
    ends: Vec<(usize, Mark)>,
}

impl Alike {
    /// A decoder of sections with fields of `limit` bytes altogether.
    pub fn new(limit: usize) -> Self {
        Self {
            decoder: Decoder::new(),
            fields: Fields::new(limit),
            last: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The fields of `section`.
    ///
    /// # Errors
    /// If the section is malformed, or needs a table.
    pub fn decode(&mut self, section: &[u8]) -> Result<&Fields, Malformed> {
        let decoded = self.rest(section);
        if decoded.is_err() || section.len() > LONGEST {
            self.last = Vec::new();
            self.ends = Vec::new();
        }
        decoded.map(|()| &self.fields)
    }

    fn rest(&mut self, section: &[u8]) -> Result<(), Malformed> {
        let same = in_common(&self.last, section);
        while self.ends.last().is_some_and(|(end, _)| *end > same) {
            self.ends.pop();
        }
        let mut rest = section;
        let known = match self.ends.last() {
            Some((end, mark)) => {
                self.fields.back_to(*mark);
                rest = &section[*end..];
                *end
            }
            None => {
                self.fields.clear();
                prefix(&mut rest)?;
                0
            }
        };
        while let Some(&first) = rest.first() {
            self.decoder.field(first, &mut rest, &mut self.fields)?;
            let end = section.len() - rest.len();
            self.ends.push((end, self.fields.mark()));
        }
        self.last.truncate(known);
        self.last.extend_from_slice(&section[known..]);
        Ok(())
    }
}

/// How many bytes two texts begin with that are the same.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    const AT_ONCE: usize = 16;
    let (ones, _) = one.as_chunks::<AT_ONCE>();
    let (others, _) = other.as_chunks::<AT_ONCE>();
    let pairs = ones.iter().zip(others);
    let begin = AT_ONCE * pairs.take_while(|(one, other)| one == other).count();
    let pairs = one[begin..].iter().zip(&other[begin..]);
    begin + pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::super::tests::any_field;
    use super::super::{PREFIX, field};
    use super::*;
    use crate::http2::hpack::Name;
    use proptest::prelude::*;

    fn section(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut section = PREFIX.to_vec();
        for (name, value) in fields {
            field(&mut section, name, value);
        }
        section
    }

    /// Whether both are decoded to the same, or not at all.
    fn are_alike(alike: &mut Alike, section: &[u8], limit: usize) {
        let mut fields = Fields::new(limit);
        let decoded = Decoder::new().decode(section, &mut fields);
        match alike.decode(section) {
            Err(error) => assert_eq!(decoded, Err(error)),
            Ok(same) => {
                assert_eq!(decoded, Ok(()));
                assert!(same.iter().eq(fields.iter()));
                let others = [Name::Path, Name::ContentLength, Name::OfTheHop, Name::Other];
                for kind in same.iter().map(|field| field.kind).chain(others) {
                    let first = same.iter().find(|field| field.kind == kind);
                    assert_eq!(same.get(kind), first.map(|field| field.value));
                }
                assert_eq!(same.is_too_large(), fields.is_too_large());
                assert_eq!(same.is_malformed(), fields.is_malformed());
                assert_eq!(same.has_pseudo(), fields.has_pseudo());
            }
        }
    }

    proptest! {
        #[test]
        fn sections_are_decoded_as_if_there_had_been_none_before(
            fields in prop::collection::vec(any_field(), 1..8),
            cuts in prop::collection::vec((0usize..8, any_field(), any::<bool>()), 1..12),
        ) {
            for limit in [300, 1 << 20] {
                let mut alike = Alike::new(limit);
                for (cut, other, is_cut_short) in &cuts {
                    let mut fields = fields[..*cut.min(&fields.len())].to_vec();
                    fields.push(other.clone());
                    let section = section(&fields);
                    let end = section.len() - usize::from(*is_cut_short);
                    are_alike(&mut alike, &section[..end], limit);
                }
            }
        }

        #[test]
        fn any_sections_are_decoded_as_if_there_had_been_none_before(
            sections in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(0u8), Just(0xd9), Just(0x51), 0u8..4, any::<u8>()], 0..12),
                1..12,
            ),
        ) {
            let mut alike = Alike::new(200);
            for section in &sections {
                let section = [&PREFIX[..], section].concat();
                are_alike(&mut alike, &section, 200);
            }
        }
    }

    #[test]
    fn what_two_texts_have_in_common_is_found() {
        let text: Vec<u8> = (0..100).collect();
        for length in 0..100 {
            let mut other = text.clone();
            other[length] ^= 1;
            assert_eq!(in_common(&text, &other), length);
            assert_eq!(in_common(&text[..length], &text), length);
            assert_eq!(in_common(&text, &text[..length]), length);
        }
    }
}
