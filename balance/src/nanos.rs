//! Time as the crate speaks it: nanoseconds since whatever moment the caller calls zero.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time or a span of it, in nanoseconds.
///
/// As a point it counts from an origin of the caller's choosing (the start of the process, of the
/// simulation); all that matters is that one table always sees the same origin. Arithmetic saturates:
/// neither a clock that steps back nor a huge time-out can wrap around. 64 bits last 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The origin, or no time at all.
    pub const ZERO: Nanos = Nanos(0);
    /// The farthest point, or longest span, that can be expressed.
    pub const MAX: Nanos = Nanos(u64::MAX);

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Nanos(milliseconds.saturating_mul(1_000_000))
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn from_micros(microseconds: u64) -> Self {
        Nanos(microseconds.saturating_mul(1_000))
    }

    /// In whole microseconds, rounded down.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds with a fraction, rounded to the nanosecond; negative and NaN become zero, what is too
    /// large becomes [`Nanos::MAX`].
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        let nanos = seconds * 1e9;
        // `as` saturates, and takes NaN to zero. What `round` does, which is a call on most targets.
        let whole = nanos as u64;
        let up = nanos - whole as f64 >= 0.5;
        Nanos(whole.saturating_add(u64::from(up)))
    }

    /// In seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// The span from `earlier` to `self`, zero if `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Nanos {
    type Output = Nanos;

    fn add(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl Sub for Nanos {
    type Output = Nanos;

    fn sub(self, earlier: Nanos) -> Nanos {
        self.since(earlier)
    }
}

impl From<Duration> for Nanos {
    fn from(span: Duration) -> Self {
        Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(span: Nanos) -> Self {
        Duration::from_nanos(span.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_survive_the_round_trip() {
        assert_eq!(Nanos::from_secs_f64(1.25), Nanos(1_250_000_000));
        assert_eq!(Nanos(1_250_000_000).as_secs_f64(), 1.25);
        assert_eq!(Nanos::from_secs(2), Nanos::from_millis(2000));
        assert_eq!(Nanos::from(Duration::from_micros(3)), Nanos(3000));
        assert_eq!(Duration::from(Nanos(3000)), Duration::from_micros(3));
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Nanos::MAX + Nanos(1), Nanos::MAX);
        assert_eq!(Nanos(1) - Nanos(2), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(-1.0), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(f64::NAN), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(f64::INFINITY), Nanos::MAX);
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::MAX);
        assert_eq!(Nanos::from(Duration::MAX), Nanos::MAX);
    }
}
