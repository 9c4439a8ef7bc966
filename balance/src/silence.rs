//! Whether a destination that owes answers has fallen silent.

use crate::Nanos;
use crate::load::Load;
use crate::stamp::Stamp;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Silence for so many times what the slowest of its requests was expected to take is a stall,
const TIMES: f32 = 8.0;
/// but not before so many seconds.
const AT_LEAST: f32 = 0.25;
/// Hedged requests in a row that others answered first, with no answer of its own in between, that
/// are a stall, too.
const MOST_OUTRUN: u32 = 3;

/// What a destination owes. (When it last answered is known by its [`Load`].)
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Seconds that the slowest request since it was idle was expected to take (f32).
    owed: AtomicU32,
    /// Hedged requests in a row that others answered first.
    outrun: AtomicU32,
}

impl Silence {
    /// Idle until now, it got a request that is expected to take so many seconds.
    pub(crate) fn woken(&self, expected: f32) {
        self.owed.store(expected.to_bits(), Relaxed);
    }

    /// It got another request, which is expected to take so many seconds.
    #[inline]
    pub(crate) fn owes(&self, expected: f32) {
        if expected > f32::from_bits(self.owed.load(Relaxed)) {
            self.owed.store(expected.to_bits(), Relaxed);
        }
    }

    /// It answered something.
    pub(crate) fn broken(&self) {
        if self.outrun.load(Relaxed) != 0 {
            self.outrun.store(0, Relaxed);
        }
    }

    /// Whether it is stalled, given that it does owe answers.
    pub(crate) fn is_stall(&self, load: &Load, now: Nanos) -> bool {
        let patience = TIMES * f32::from_bits(self.owed.load(Relaxed));
        load.stalled(Stamp::at(now)) > patience.max(AT_LEAST)
    }

    /// Another destination answered a hedged request first; true if it is stalled by that.
    pub(crate) fn was_outrun(&self) -> bool {
        let stalled = self.outrun.fetch_add(1, Relaxed) + 1 >= MOST_OUTRUN;
        if stalled {
            self.outrun.store(0, Relaxed);
        }
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Nanos = Nanos::from_secs(100);

    fn after(seconds: f64) -> Nanos {
        LATER + Nanos::from_secs_f64(seconds)
    }

    #[test]
    fn patience_is_a_multiple_of_the_slowest_request_and_not_too_short() {
        let (silence, load) = (Silence::default(), Load::new());
        load.woken(LATER);
        silence.woken(0.001);
        assert!(!silence.is_stall(&load, after(0.24)));
        assert!(silence.is_stall(&load, after(0.26)));
        silence.owes(1.0);
        silence.owes(0.01);
        assert!(!silence.is_stall(&load, after(7.9)));
        assert!(silence.is_stall(&load, after(8.1)));
    }

    #[test]
    fn what_takes_unknown_time_is_waited_for() {
        let (silence, load) = (Silence::default(), Load::new());
        load.woken(LATER);
        silence.woken(f32::INFINITY);
        assert!(!silence.is_stall(&load, after(3600.0)));
    }

    #[test]
    fn being_outrun_three_times_in_a_row_is_a_stall() {
        let silence = Silence::default();
        assert!(!silence.was_outrun() && !silence.was_outrun());
        silence.broken();
        assert!(!silence.was_outrun() && !silence.was_outrun());
        assert!(silence.was_outrun());
        assert!(!silence.was_outrun());
    }
}
