//! Virtual time and cumulative work, in fixed point so that no sum of them ever drifts.

use std::ops::Add;
use std::time::Duration;

/// An instant of virtual time: nanoseconds since the computer was created.
///
/// The owner decides what that means: time elapsed on a monotonic clock, or whatever a test or a
/// simulation says it is. 64 bits last for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

impl SimTime {
    /// The instant at which the computer was created.
    pub const ZERO: SimTime = SimTime(0);

    /// The instant `nanos` nanoseconds after the creation of the computer.
    pub const fn from_nanos(nanos: u64) -> Self {
        SimTime(nanos)
    }

    /// Nanoseconds since the creation of the computer.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this instant; zero if `earlier` is the later one.
    #[inline]
    pub const fn since(self, earlier: SimTime) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for SimTime {
    /// Time elapsed since the creation of the computer; saturates after 584 years.
    fn from(elapsed: Duration) -> Self {
        SimTime(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for SimTime {
    type Output = SimTime;

    /// Saturates after 584 years.
    fn add(self, later: Duration) -> SimTime {
        SimTime(self.0.saturating_add(SimTime::from(later).0))
    }
}

const MOMENT_BITS: u32 = 32;
const WORK_BITS: u32 = 48;
const MOMENTS_PER_SECOND: f64 = 1e9 * (1_u64 << MOMENT_BITS) as f64;
const WORK_PER_OP: f64 = (1_u64 << WORK_BITS) as f64;

/// An instant of virtual time in nanoseconds with 32 fractional bits.
///
/// Events fall between nanoseconds. Keeping the fraction means that a long chain of tasks ends
/// when it should, and not half a nanosecond per task off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u128);

impl Moment {
    /// The nearest nanosecond.
    pub(super) fn nearest(self) -> SimTime {
        let rounded = self.0.saturating_add(1 << (MOMENT_BITS - 1)) >> MOMENT_BITS;
        SimTime(u64::try_from(rounded).unwrap_or(u64::MAX))
    }

    /// The instant `seconds` later; saturates, so that what never happens is at the end of time.
    #[inline]
    pub(super) fn after(self, seconds: f64) -> Self {
        Moment(
            self.0
                .saturating_add((seconds * MOMENTS_PER_SECOND) as u128),
        )
    }

    /// Seconds from `earlier` to this instant; zero if `earlier` is the later one.
    #[inline]
    pub(super) fn since(self, earlier: Moment) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / MOMENTS_PER_SECOND
    }
}

impl From<SimTime> for Moment {
    fn from(at: SimTime) -> Self {
        Moment(u128::from(at.0) << MOMENT_BITS)
    }
}

/// Operations done for one task since the beginning, with 48 fractional bits.
///
/// All tasks of a processor progress at one speed, so one such clock per processor says how far
/// each of them is: a task ends when the clock has moved by its operations. Adding operations is
/// exact, however long the processor has been busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Work(u128);

impl Work {
    /// The reading of the clock when `ops` more operations are done.
    #[inline]
    pub(super) fn after_ops(self, ops: u64) -> Self {
        Work(self.0.saturating_add(u128::from(ops) << WORK_BITS))
    }

    /// The reading of the clock after `seconds` at `rate` operations per second.
    #[inline]
    pub(super) fn after(self, seconds: f64, rate: f64) -> Self {
        Work(
            self.0
                .saturating_add((seconds * rate * WORK_PER_OP) as u128),
        )
    }

    /// Operations from `earlier` to this reading; zero if `earlier` is the later one.
    #[inline]
    pub(super) fn ops_since(self, earlier: Work) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / WORK_PER_OP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_reported_as_the_nearest_nanosecond() {
        let start = Moment::from(SimTime::from_nanos(7));
        assert_eq!(start.nearest(), SimTime::from_nanos(7));
        assert_eq!(start.after(0.4e-9).nearest(), SimTime::from_nanos(7));
        assert_eq!(start.after(0.6e-9).nearest(), SimTime::from_nanos(8));
    }

    #[test]
    fn fractions_of_a_nanosecond_add_up() {
        let mut at = Moment::default();
        for _ in 0..1_000_000 {
            at = at.after(0.3e-9);
        }
        assert_eq!(at.nearest(), SimTime::from_nanos(300_000));
    }

    #[test]
    fn what_takes_for_ever_is_at_the_end_of_time() {
        let never = Moment::from(SimTime::from_nanos(1)).after(f64::INFINITY);
        assert_eq!(never.nearest(), SimTime::from_nanos(u64::MAX));
        assert_eq!(
            SimTime::from_nanos(u64::MAX) + Duration::MAX,
            SimTime::from_nanos(u64::MAX)
        );
    }

    #[test]
    fn one_operation_counts_after_years_of_work() {
        let old = Work::default().after_ops(u64::MAX / 2);
        assert_eq!(old.after_ops(1).ops_since(old), 1.0);
        assert_eq!(old.after(0.25, 10.0).ops_since(old), 2.5);
    }
}
