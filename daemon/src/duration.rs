//! Durations in configuration: a number of seconds, or text like `250ms` or `1m 30s`.
//!
//! For serde: `#[serde(with = "edge_daemon::duration")]`. A flag that sets such a key is
//! text, which the configuration checks. None is longer than [`LONGEST`], so that it can be
//! added to the time of any clock.

use std::{fmt, time::Duration};

use serde::{Deserializer, Serializer, de};

/// The longest duration that a configuration takes: a year, be it a leap year.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is no duration of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum InvalidDuration {
    #[error("invalid duration `{0}`, expected seconds like `0.5` or text like `250ms` or `1m 30s`")]
    Unreadable(String),
    #[error("a duration of `{0}` is too long, it must not exceed a year")]
    TooLong(String),
}

fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if let Ok(seconds) = text.trim().parse() {
        return from_seconds(seconds);
    }
    let invalid = |_| InvalidDuration::Unreadable(text.to_owned());
    let duration = humantime::parse_duration(text).map_err(invalid)?;
    bounded(duration, || text.to_owned())
}

fn from_seconds(seconds: f64) -> Result<Duration, InvalidDuration> {
    if seconds > LONGEST.as_secs_f64() {
        return Err(InvalidDuration::TooLong(seconds.to_string()));
    }
    let invalid = |_| InvalidDuration::Unreadable(seconds.to_string());
    Duration::try_from_secs_f64(seconds).map_err(invalid)
}

fn bounded(
    duration: Duration,
    written: impl FnOnce() -> String,
) -> Result<Duration, InvalidDuration> {
    if duration > LONGEST {
        return Err(InvalidDuration::TooLong(written()));
    }
    Ok(duration)
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
/// The value is neither, or the duration is negative or longer than [`LONGEST`].
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
            from_seconds(seconds).map_err(E::custom)
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
            let duration = Duration::from_secs(seconds);
            bounded(duration, || seconds.to_string()).map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            let invalid = |_| E::custom(InvalidDuration::Unreadable(seconds.to_string()));
            self.visit_u64(u64::try_from(seconds).map_err(invalid)?)
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
        for text in ["-1", "-0.5", "nan", "'soon'", "''", "true"] {
            let result = toml::from_str::<Config>(&format!("period = {text}"));
            assert!(result.is_err(), "{text}");
        }
    }

    #[test]
    fn a_year_is_the_longest_however_it_is_written() {
        for text in ["'1y'", "'366days'", "31622400", "31622400.0", "'31622400'"] {
            let config: Config = toml::from_str(&format!("period = {text}")).unwrap();
            assert!(config.period <= LONGEST, "{text}");
        }
        for text in [
            "'367days'",
            "'500000000000years'",
            "31622401",
            "9223372036854775807",
            "31622400.5",
            "1e300",
            "inf",
            "'31622401'",
        ] {
            let result = toml::from_str::<Config>(&format!("period = {text}"));
            let problem = result.unwrap_err().to_string();
            assert!(problem.contains("must not exceed a year"), "{problem}");
        }
    }
}
