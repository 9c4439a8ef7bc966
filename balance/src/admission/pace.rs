//! How quickly those who wait are called up.

use crate::Nanos;

/// Weight of a new interval in the average.
const WEIGHT: f64 = 1.0 / 32.0;
/// Intervals that have to be known before anything is foretold.
const ENOUGH: u32 = 4;
/// A pace is believed for so long after the last pop; then it has to be learnt anew.
const BELIEVED: Nanos = Nanos::from_secs(10);
/// Nothing for this many average intervals is longer than chance.
const STALLED: f64 = 4.0;

/// The average interval between pops while somebody waits.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// In seconds.
    interval: f64,
    samples: u32,
    last_pop: Nanos,
    /// The last pop, or the first arrival after it if nobody waited.
    since: Nanos,
}

impl Pace {
    /// Somebody waits, for the first time since nobody did.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.since = self.since.max(now);
        if now.since(self.last_pop) > BELIEVED {
            self.samples = 0;
        }
    }

    /// Notes that somebody was called up.
    pub(super) fn called(&mut self, now: Nanos) {
        self.samples = self.samples.saturating_add(1);
        let weight = WEIGHT.max(1.0 / f64::from(self.samples));
        self.interval += weight * (now.since(self.since).as_secs_f64() - self.interval);
        self.since = now;
        self.last_pop = now;
    }

    /// Seconds between pops; none if that is unknown.
    pub(super) fn interval(&self, now: Nanos) -> Option<f64> {
        let silence = now.since(self.since).as_secs_f64();
        (self.samples >= ENOUGH).then_some(self.interval.max(silence / STALLED))
    }
}
