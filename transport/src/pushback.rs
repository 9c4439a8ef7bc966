//! The hint of an overloaded server when to come back: `grpc-retry-pushback-ms` (gRPC proposal A6).

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::Metadata;

/// The trailing metadata that carries the hint, in milliseconds.
pub const NAME: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The longest hint that is given: what is expected later is not worth a promise.
const LONGEST: Duration = Duration::from_secs(60);

/// Asks the caller to come back after `pause`, rounded up to a millisecond, 1 at least and 60,000
/// at the most.
pub fn set(trailers: &mut Metadata, pause: Duration) {
    let millis = pause.min(LONGEST).as_nanos().div_ceil(1_000_000).max(1);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    trailers.insert(&NAME, &HeaderValue::from(millis));
}

/// The trailing metadata that extends an overload to all lambdas: the server as a whole has too much to
/// do, or is about to end. Without it only the lambda that was asked for has to stay away. Whatever its
/// value is, `1` by custom, it counts.
pub const ALL: HeaderName = HeaderName::from_static("edge-pushback-all");

/// Says that the overload is one of the server as a whole.
pub fn extend_to_all(trailers: &mut Metadata) {
    trailers.insert(&ALL, &HeaderValue::from_static("1"));
}

/// Whether an answer says so. Taken away, since whoever passes the answer on does not speak of itself.
pub fn take_all(trailers: &mut Metadata) -> bool {
    let is_for_all = trailers.contains_key(ALL);
    if is_for_all {
        trailers.remove(&ALL);
    }
    is_for_all
}

/// A hint as a caller reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushBack {
    /// Come back after that time.
    After(Duration),
    /// Do not, and do not try elsewhere either: a negative number, or what is no number.
    Never,
}

/// The hint of an answer, if it has one.
pub fn get(trailers: &Metadata) -> Option<PushBack> {
    let text = std::str::from_utf8(trailers.get(NAME)?).unwrap_or_default();
    Some(text.parse().map_or(PushBack::Never, |milliseconds| {
        PushBack::After(Duration::from_millis(milliseconds))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_rounded_up_and_kept_within_a_millisecond_and_a_minute() {
        for (pause, millis) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1_000_001), 2),
            (Duration::from_millis(250), 250),
            (Duration::MAX, 60_000),
        ] {
            let mut trailers = Metadata::new();
            set(&mut trailers, pause);
            assert_eq!(trailers.text(NAME), Some(&millis.to_string()[..]));
        }
    }

    #[test]
    fn an_overload_of_the_whole_server_is_read_once() {
        let mut trailers = Metadata::new();
        set(&mut trailers, Duration::ZERO);
        assert!(!take_all(&mut trailers));
        extend_to_all(&mut trailers);
        assert_eq!(trailers.text(ALL), Some("1"));
        assert!(take_all(&mut trailers) && !take_all(&mut trailers));
        assert!(trailers.contains_key(NAME));
    }

    #[test]
    fn what_is_no_number_of_milliseconds_forbids_to_try_again() {
        let read = |text| {
            let mut trailers = Metadata::new();
            trailers.insert(&NAME, &HeaderValue::from_static(text));
            get(&trailers)
        };
        let after = Duration::from_millis(250);
        assert_eq!(read("250"), Some(PushBack::After(after)));
        assert_eq!(read("-1"), Some(PushBack::Never));
        assert_eq!(read("soon"), Some(PushBack::Never));
        assert_eq!(get(&Metadata::new()), None);
    }
}
