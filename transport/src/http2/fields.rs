//! Decoded header fields in two flat buffers, which are used again for the next block.

use super::hpack::{Known, Name, OVERHEAD};

/// The fields of one header block, in their order.
#[derive(Debug, Default)]
pub struct Fields {
    text: Vec<u8>,
    places: Vec<Place>,
    /// Where the first field of each kind is, if it is there that one of this kind is.
    first: [usize; KINDS],
    size: usize,
    limit: usize,
    pseudo: u8,
    has_regular: bool,
    is_malformed: bool,
}

/// Kinds of names.
const KINDS: usize = Name::Other as usize + 1;

/// How far fields have been added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    text: usize,
    places: usize,
    size: usize,
    pseudo: u8,
    has_regular: bool,
    is_malformed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    kind: Name,
    begin: usize,
    name_end: usize,
    end: usize,
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// What it means.
    pub kind: Name,
    /// Its name, in lower case.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl Fields {
    /// Room for fields of `limit` bytes altogether, counted as RFC 9113, section 6.5.2, and RFC 9114, section 4.2.2, do.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Makes room for the next block.
    pub fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
        self.size = 0;
        self.pseudo = 0;
        self.has_regular = false;
        self.is_malformed = false;
    }

    /// What has been added so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            text: self.text.len(),
            places: self.places.len(),
            size: self.size,
            pseudo: self.pseudo,
            has_regular: self.has_regular,
            is_malformed: self.is_malformed,
        }
    }

    /// Forgets what has been added since.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.places.truncate(mark.places);
        self.size = mark.size;
        self.pseudo = mark.pseudo;
        self.has_regular = mark.has_regular;
        self.is_malformed = mark.is_malformed;
    }

    /// The fields.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.places.iter().map(|place| Field {
            kind: place.kind,
            name: match place.kind.text() {
                Some(name) => name.as_bytes(),
                None => &self.text[place.begin..place.name_end],
            },
            value: &self.text[place.name_end..place.end],
        })
    }

    /// The value of the first field of this kind.
    pub fn get(&self, kind: Name) -> Option<&[u8]> {
        let place = self.first_of(kind)?;
        Some(&self.text[place.name_end..place.end])
    }

    fn first_of(&self, kind: Name) -> Option<&Place> {
        let place = self.places.get(self.first[kind as usize]);
        place.filter(|place| place.kind == kind)
    }

    /// Whether there were more than fit; those that did not are left out.
    pub fn is_too_large(&self) -> bool {
        self.size > self.limit
    }

    /// Whether the fields break a rule of HTTP/2, and HTTP/3, that concerns each by itself or their order.
    pub fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    pub(crate) fn has_pseudo(&self) -> bool {
        self.pseudo != 0
    }

    pub(crate) fn add(&mut self, field: Known<'_>) {
        self.size += field.name.len() + field.value.len() + OVERHEAD;
        self.is_malformed |= !field.is_valid;
        if field.kind.is_pseudo() {
            let bit = 1 << (field.kind as u8);
            self.is_malformed |=
                self.has_regular || self.pseudo & bit != 0 || field.kind == Name::UnknownPseudo;
            self.pseudo |= bit;
        } else {
            self.has_regular = true;
            self.is_malformed |= field.kind == Name::OfHttp1
                || (field.kind == Name::Te && field.value != b"trailers");
        }
        if self.is_too_large() {
            return;
        }
        if self.first_of(field.kind).is_none() {
            self.first[field.kind as usize] = self.places.len();
        }
        let begin = self.text.len();
        // Others need no room.
        if field.kind.text().is_none() {
            self.text.extend_from_slice(field.name);
        }
        let name_end = self.text.len();
        self.text.extend_from_slice(field.value);
        self.places.push(Place {
            kind: field.kind,
            begin,
            name_end,
            end: self.text.len(),
        });
    }
}
