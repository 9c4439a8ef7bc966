//! The `grpc-timeout` header: how long the caller is going to wait.

use std::time::Duration;

use http::HeaderMap;

/// Name of the header.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// What the header among `headers` says.
pub(crate) fn of(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(GRPC_TIMEOUT)?.as_bytes())
}

/// What the header says; `None` if it is not understood, which counts as absent, as in other
/// implementations.
pub(crate) fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(value * 3600),
        b'M' => Duration::from_secs(value * 60),
        b'S' => Duration::from_secs(value),
        b'm' => Duration::from_millis(value),
        b'u' => Duration::from_micros(value),
        b'n' => Duration::from_nanos(value),
        _ => return None,
    })
}

/// What the header says for a time: eight digits at the most, and a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; 9],
    begin: usize,
}

impl Text {
    /// The text for `timeout`, rounded down to what eight digits can say.
    pub(crate) fn of(timeout: Duration) -> Self {
        const LIMIT: u128 = 100_000_000;
        let (mut value, unit) = if timeout.as_micros() < LIMIT {
            (timeout.as_micros() as u64, b'u')
        } else if timeout.as_millis() < LIMIT {
            (timeout.as_millis() as u64, b'm')
        } else {
            (timeout.as_secs().min(99_999_999), b'S')
        };
        let mut bytes = [0; 9];
        bytes[8] = unit;
        let mut begin = 8;
        loop {
            begin -= 1;
            bytes[begin] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Self { bytes, begin };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.begin..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        parse(text.as_bytes())
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
        assert_eq!(of(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_written_can_be_read_and_is_never_longer() {
        for timeout in [
            Duration::ZERO,
            Duration::from_nanos(1_234_567),
            Duration::from_micros(99_999_999),
            Duration::from_secs(60),
            Duration::from_secs(123_456),
            Duration::from_secs(u64::MAX),
        ] {
            let read = parse(Text::of(timeout).as_bytes()).expect("what was written is valid");
            assert!(read <= timeout, "{read:?} > {timeout:?}");
            assert!(timeout < Duration::from_secs(99_999_999) || read.as_secs() == 99_999_999);
        }
    }
}
