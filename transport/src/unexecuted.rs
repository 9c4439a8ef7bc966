//! The mark of an answer to a request that was never begun: `edge-not-executed`.
//!
//! Outcomes that are refusals by their nature (not found, refused, overloaded) do without it. With
//! "deadline" it tells a request that was turned down, because it would not have been done in time,
//! from one whose time ran out, perhaps while it was executed; with "unavailable", one that could
//! not be begun from one that was perhaps executed before something broke.

use http::{HeaderName, HeaderValue};

use crate::Metadata;

/// The trailing metadata that is the mark. Whatever its value is, `1` by custom, it counts.
pub const NAME: HeaderName = HeaderName::from_static("edge-not-executed");

/// Says that the request was not executed and is not going to be.
pub fn mark(trailers: &mut Metadata) {
    trailers.insert(&NAME, &HeaderValue::from_static("1"));
}

/// Takes the mark away, from an answer that does not speak for all attempts.
pub fn unmark(trailers: &mut Metadata) {
    trailers.remove(&NAME);
}

/// Whether an answer says so.
pub fn is_marked(trailers: &Metadata) -> bool {
    trailers.contains_key(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_there_until_it_is_taken_away() {
        let mut trailers = Metadata::new();
        assert!(!is_marked(&trailers));
        mark(&mut trailers);
        assert!(is_marked(&trailers));
        assert_eq!(&trailers["edge-not-executed"], b"1");
        unmark(&mut trailers);
        assert!(trailers.is_empty());
    }
}
