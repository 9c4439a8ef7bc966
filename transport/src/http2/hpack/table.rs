//! The fields that a header block can name by number (RFC 7541, section 2.3).

use std::collections::VecDeque;

use super::names::{self, Name};

/// What a field costs beside its text (RFC 7541, section 4.1).
pub(crate) const OVERHEAD: usize = 32;

/// The table that every connection begins with, from number 1.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// A field as the table knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) kind: Name,
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) is_valid: bool,
}

impl<'a> Known<'a> {
    pub(crate) fn of_kind(kind: Name, name: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            kind,
            name,
            value,
            is_valid: names::is_valid(name, value),
        }
    }

    pub(super) fn kind_and_name(self) -> (Name, &'a [u8]) {
        (self.kind, self.name)
    }
}

#[derive(Debug)]
struct Entry {
    /// Name and value.
    text: Box<[u8]>,
    name_len: usize,
    kind: Name,
    is_valid: bool,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

/// What a decoder has been told to remember.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
}

impl Table {
    pub(super) fn new(max_size: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max_size,
        }
    }

    /// The field of this number.
    pub(super) fn get(&self, number: usize) -> Option<Known<'_>> {
        let index = number.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some(Known {
                kind: STATIC_KINDS[index],
                name: name.as_bytes(),
                value: value.as_bytes(),
                is_valid: true,
            });
        }
        let entry = self.entries.get(index - STATIC.len())?;
        let (name, value) = entry.text.split_at(entry.name_len);
        Some(Known {
            kind: entry.kind,
            name,
            value,
            is_valid: entry.is_valid,
        })
    }

    /// Remembers a field, forgetting as many old ones as that takes; a field that does not fit at
    /// all empties the table.
    pub(super) fn insert(&mut self, field: Known<'_>) {
        let size = field.name.len() + field.value.len() + OVERHEAD;
        self.evict(self.max_size.saturating_sub(size));
        if size > self.max_size {
            return;
        }
        let mut text = Vec::with_capacity(field.name.len() + field.value.len());
        text.extend_from_slice(field.name);
        text.extend_from_slice(field.value);
        self.entries.push_front(Entry {
            text: text.into_boxed_slice(),
            name_len: field.name.len(),
            kind: field.kind,
            is_valid: field.is_valid,
        });
        self.size += size;
    }

    pub(super) fn resize(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict(max_size);
    }

    /// Forgets the oldest until the rest fits into `most` bytes.
    fn evict(&mut self, most: usize) {
        while self.size > most {
            match self.entries.pop_back() {
                Some(entry) => self.size -= entry.size(),
                None => self.size = 0,
            }
        }
    }
}

/// What the names of [`STATIC`] are.
static STATIC_KINDS: std::sync::LazyLock<[Name; 61]> =
    std::sync::LazyLock::new(|| STATIC.map(|(name, _)| Name::of(name.as_bytes())));
