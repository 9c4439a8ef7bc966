//! The waiters for one lambda, as far as it matters to how long one more of them would wait.

use super::pace::Pace;
use crate::Nanos;
use std::collections::BTreeMap;

/// Who waits for one lambda, by host, and the pace at which they are called up.
///
/// The pace is the average interval between pops while somebody waits. It contains whatever slows
/// this lambda down: its destinations, other lambdas there, higher priorities.
#[derive(Debug, Default)]
pub(super) struct Line {
    by_host: BTreeMap<u64, u64>,
    waiting: u64,
    pace: Pace,
}

impl Line {
    pub(super) fn join(&mut self, host: u64, now: Nanos) {
        if self.waiting == 0 {
            self.pace.begin(now);
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
        self.pace.called(now);
    }

    /// Seconds between pops; none if that is unknown.
    pub(super) fn interval(&self, now: Nanos) -> Option<f64> {
        self.pace.interval(now)
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
