//! The hint of an overloaded server when to come back: `grpc-retry-pushback-ms` (gRPC proposal A6).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The trailing metadata that carries the hint, in milliseconds.
pub const NAME: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The longest hint that is given: what is expected later is not worth a promise.
const LONGEST: Duration = Duration::from_secs(60);

/// Asks the caller to come back after `pause`, rounded up to a millisecond, 1 at least and 60,000
/// at the most.
pub fn set(trailers: &mut HeaderMap, pause: Duration) {
    let millis = pause.min(LONGEST).as_nanos().div_ceil(1_000_000).max(1);
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    trailers.insert(NAME, HeaderValue::from(millis));
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
            let mut trailers = HeaderMap::new();
            set(&mut trailers, pause);
            assert_eq!(trailers["grpc-retry-pushback-ms"], millis.to_string());
        }
    }
}
