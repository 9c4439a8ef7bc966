//! Durations in configuration: a number of seconds, or text like `250ms` or `1m 30s`.
//!
//! For serde: `#[serde(with = "edge_daemon::duration")]`. A flag that sets such a key is
//! text, which the configuration checks.

use std::{fmt, time::Duration};

use serde::{Deserializer, Serializer, de};

/// Text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration `{0}`, expected seconds like `0.5` or text like `250ms` or `1m 30s`")]
struct InvalidDuration(String);

fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| invalid()),
        Err(_) => humantime::parse_duration(text).map_err(|_| invalid()),
    }
}

/// Writes a duration as text with units, exact to the nanosecond.
///
/// # Errors
/// Only those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration from a number of seconds or text with units.
///
/// # Errors
/// The value is neither, or the duration is negative or too long to represent.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of seconds or text like `250ms`")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse(text).map_err(E::custom)
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
            let invalid = |_| E::custom(InvalidDuration(seconds.to_string()));
            Duration::try_from_secs_f64(seconds).map_err(invalid)
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
            Ok(Duration::from_secs(seconds))
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            let invalid = |_| E::custom(InvalidDuration(seconds.to_string()));
            u64::try_from(seconds)
                .map(Duration::from_secs)
                .map_err(invalid)
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Config {
        #[serde(with = "super")]
        period: Duration,
    }

    #[test]
    fn seconds_and_units_are_both_understood() {
        for (text, millis) in [
            ("10", 10_000),
            ("0.25", 250),
            ("'250ms'", 250),
            ("'10'", 10_000),
            ("'1m 30s'", 90_000),
            ("0", 0),
        ] {
            let config: Config = toml::from_str(&format!("period = {text}")).unwrap();
            assert_eq!(config.period, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let config = Config {
            period: Duration::new(90, 5),
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn negative_endless_and_meaningless_durations_are_refused() {
        for text in ["-1", "-0.5", "nan", "inf", "'soon'", "''", "true", "1e300"] {
            let result = toml::from_str::<Config>(&format!("period = {text}"));
            assert!(result.is_err(), "{text}");
        }
    }
}
