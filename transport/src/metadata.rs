//! Metadata of a call in one flat buffer: nothing is allocated where there is none.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Names and values in their order. Names are in lower case; a name may occur more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// For each field: lengths of name and value, as four bytes each, name, value.
    packed: Vec<u8>,
}

const LENGTHS: usize = 8;

impl Metadata {
    /// No metadata.
    pub const fn new() -> Self {
        Self { packed: Vec::new() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.packed[..];
        std::iter::from_fn(move || {
            let (name, value, tail) = split(rest)?;
            rest = tail;
            // Names are checked when they are added.
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// The first value of that name.
    pub fn get(&self, name: impl AsRef<str>) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        let name = name.as_ref();
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The first value of that name, if it is text.
    pub fn text(&self, name: impl AsRef<str>) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Whether there is a value of that name.
    pub fn contains_key(&self, name: impl AsRef<str>) -> bool {
        self.get(name).is_some()
    }

    /// Adds a value, in place of those that the name has.
    pub fn insert(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.remove(name);
        self.push(name.as_str().as_bytes(), value.as_bytes());
    }

    /// Takes all values of the name away.
    pub fn remove(&mut self, name: &HeaderName) {
        if !self.contains_key(name) {
            return;
        }
        let mut kept = Self::new();
        for (n, value) in self.iter().filter(|(n, _)| *n != name.as_str()) {
            kept.push(n.as_bytes(), value);
        }
        *self = kept;
    }

    /// Adds a field that is known to be valid, and short enough for a header block.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        let room = LENGTHS + name.len() + value.len();
        self.packed.reserve(room);
        self.packed.extend_from_slice(&length(name));
        self.packed.extend_from_slice(&length(value));
        self.packed.extend_from_slice(name);
        self.packed.extend_from_slice(value);
    }
}

fn split(packed: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (lengths, rest) = packed.split_first_chunk::<LENGTHS>()?;
    let length = |bytes: [u8; 4]| u32::from_le_bytes(bytes) as usize;
    let name_len = length([lengths[0], lengths[1], lengths[2], lengths[3]]);
    let value_len = length([lengths[4], lengths[5], lengths[6], lengths[7]]);
    let (name, rest) = rest.split_at_checked(name_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((name, value, rest))
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = self.iter();
        f.debug_map()
            .entries(fields.map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}

impl std::ops::Index<&str> for Metadata {
    type Output = [u8];

    /// # Panics
    /// If there is no such value.
    fn index(&self, name: &str) -> &[u8] {
        self.get(name).expect("no metadata of that name")
    }
}

impl From<&HeaderMap> for Metadata {
    fn from(headers: &HeaderMap) -> Self {
        let mut metadata = Self::new();
        for (name, value) in headers {
            metadata.push(name.as_str().as_bytes(), value.as_bytes());
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inserted_replaces_what_was_there() {
        let (a, b) = (
            HeaderName::from_static("a"),
            HeaderName::from_static("b-bin"),
        );
        let mut metadata = Metadata::new();
        assert!(metadata.is_empty() && !metadata.contains_key("a"));
        metadata.insert(&a, &HeaderValue::from_static("1"));
        metadata.insert(&b, &HeaderValue::from_bytes(b"\xff").unwrap());
        metadata.insert(&a, &HeaderValue::from_static("2"));
        assert_eq!(&metadata["a"], b"2");
        assert_eq!(metadata.text("a"), Some("2"));
        assert_eq!(metadata.get(&b), Some(&b"\xff"[..]));
        assert_eq!(metadata.text(&b), None);
        assert_eq!(metadata.iter().count(), 2);
        metadata.remove(&a);
        metadata.remove(&b);
        assert_eq!(metadata, Metadata::new());
    }
}
