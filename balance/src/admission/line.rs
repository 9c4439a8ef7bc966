//! The waiters for one lambda, as far as it matters to how long one more of them would wait.

use crate::Nanos;
use std::collections::BTreeMap;

/// Weight of a new interval in the average.
const WEIGHT: f64 = 1.0 / 32.0;
/// Intervals that have to be known before anything is foretold.
const ENOUGH: u32 = 4;
/// A pace is believed for so long after the last pop; then it has to be learnt anew.
const BELIEVED: Nanos = Nanos::from_secs(10);
/// Nothing for this many average intervals is longer than chance.
const STALLED: f64 = 4.0;

/// Who waits for one lambda, by host, and the pace at which they are called up.
///
/// The pace is the average interval between pops while somebody waits. It contains whatever slows
/// this lambda down: its destinations, other lambdas there, higher priorities.
#[derive(Debug, Default)]
pub(super) struct Line {
    by_host: BTreeMap<u64, u64>,
    waiting: u64,
    /// In seconds.
    interval: f64,
    samples: u32,
    last_pop: Nanos,
    /// The last pop, or the first arrival after it if nobody waited.
    since: Nanos,
}

impl Line {
    pub(super) fn join(&mut self, host: u64, now: Nanos) {
        if self.waiting == 0 {
            self.since = self.since.max(now);
            if now.since(self.last_pop) > BELIEVED {
                self.samples = 0;
            }
        }
        self.waiting += 1;
        *self.by_host.entry(host).or_default() += 1;
    }

    pub(super) fn leave(&mut self, host: u64) {
        self.waiting -= 1;
        if let Some(count) = self.by_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.by_host.remove(&host);
            }
        }
    }

    /// Notes that one of them was called up.
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

    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn waiting_of(&self, host: u64) -> u64 {
        self.by_host.get(&host).copied().unwrap_or(0)
    }

    /// Hosts and how many waiters each has.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_host.iter().map(|(host, count)| (*host, *count))
    }
}
