//! The `grpc-timeout` header: how long the caller is going to wait.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

/// Name of the header.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// What the header says; `None` if it is absent or not understood, which
/// counts as absent, as in other implementations.
pub(crate) fn parse(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

/// The header value for `timeout`, rounded down to what eight digits can say.
pub(crate) fn format(timeout: Duration) -> HeaderValue {
    const LIMIT: u128 = 100_000_000;
    let text = if timeout.as_micros() < LIMIT {
        format!("{}u", timeout.as_micros())
    } else if timeout.as_millis() < LIMIT {
        format!("{}m", timeout.as_millis())
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(text).expect("digits and a letter are a valid header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(GRPC_TIMEOUT.parse().unwrap(), value)]);
        parse(&headers)
    }

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parsed("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parsed("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parsed("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(parsed("5u"), Some(Duration::from_micros(5)));
        assert_eq!(parsed("5n"), Some(Duration::from_nanos(5)));
    }

    #[test]
    fn anything_else_counts_as_absent() {
        for text in ["", "S", "5", "5x", "-5S", "123456789S", "1.5S", "é"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parse(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_written_can_be_read_and_is_never_longer() {
        for timeout in [
            Duration::ZERO,
            Duration::from_nanos(1_234_567),
            Duration::from_secs(60),
            Duration::from_secs(123_456),
            Duration::from_secs(u64::MAX),
        ] {
            let headers = HeaderMap::from_iter([(GRPC_TIMEOUT.parse().unwrap(), format(timeout))]);
            let read = parse(&headers).expect("what was written is valid");
            assert!(read <= timeout, "{read:?} > {timeout:?}");
            assert!(timeout < Duration::from_secs(99_999_999) || read.as_secs() == 99_999_999);
        }
    }
}
