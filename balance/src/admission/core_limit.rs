//! How many requests one core of a broker may have in hand, by how late the core is.

use crate::Nanos;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A core that is later than this has too much to do,
const LATE: Nanos = Nanos::from_millis(50);
/// if it is so for as long as this: a single hiccup is none of its doing.
const INTERVAL: Nanos = Nanos::from_millis(500);
/// What is left of the requests in hand then, and what the limit grows by otherwise.
const SHRINK: f64 = 0.9;
const GROW: f64 = 1.1;
/// Requests that a core can always have in hand.
const LEAST: u32 = 1024;

/// The limit of one core, which it keeps to itself.
///
/// As CoDel does (RFC 8289), it looks at the least delay within an interval: a burst passes, a
/// standing queue does not. While that delay is too long the limit falls by a tenth of what is in
/// hand for each interval, and rises by a tenth of itself while it is not.
#[derive(Debug)]
pub struct CoreLimit {
    limit: AtomicU32,
    most: u32,
    /// The least delay in this interval.
    least_late: AtomicU64,
    interval_ends: AtomicU64,
}

impl CoreLimit {
    /// At its highest, `most`, which is at least 1024.
    #[must_use]
    pub fn new(most: u32) -> Self {
        let most = most.max(LEAST);
        CoreLimit {
            limit: AtomicU32::new(most),
            most,
            least_late: AtomicU64::new(u64::MAX),
            interval_ends: AtomicU64::new(0),
        }
    }

    /// Requests that the core may have in hand.
    #[inline]
    #[must_use]
    pub fn current(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// The core did something `late` after it was due, with `in_flight` requests in hand. To be told
    /// several times in half a second.
    pub fn observed(&self, late: Nanos, in_flight: u32, now: Nanos) {
        let least = self.least_late.load(Relaxed).min(late.0);
        self.least_late.store(least, Relaxed);
        if now.0 < self.interval_ends.load(Relaxed) {
            return;
        }
        self.interval_ends.store((now + INTERVAL).0, Relaxed);
        self.least_late.store(u64::MAX, Relaxed);
        let limit = self.current();
        let next = if least > LATE.0 {
            (f64::from(limit.min(in_flight)) * SHRINK) as u32
        } else {
            (f64::from(limit) * GROW) as u32
        };
        self.limit.store(next.clamp(LEAST, self.most), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `intervals` of ten observations each.
    fn observe(limit: &CoreLimit, late: [Nanos; 10], in_flight: u32, intervals: u64, from: Nanos) {
        for tick in 0..10 * intervals {
            let now = from + Nanos::from_millis(51 * tick);
            limit.observed(late[tick as usize % 10], in_flight, now);
        }
    }

    const LATER: Nanos = Nanos::from_secs(1000);

    #[test]
    fn a_core_that_is_always_late_gets_less_to_do_and_more_again_when_it_keeps_up() {
        let limit = CoreLimit::new(10_000);
        observe(&limit, [Nanos::from_millis(80); 10], 5_000, 3, Nanos::ZERO);
        assert!(limit.current() <= 4_500, "{}", limit.current());
        observe(&limit, [Nanos::from_millis(1); 10], 100, 20, LATER);
        assert_eq!(limit.current(), 10_000);
    }

    #[test]
    fn hiccups_change_nothing() {
        let limit = CoreLimit::new(10_000);
        let mut late = [Nanos::from_millis(500); 10];
        late[3] = Nanos::from_millis(2);
        observe(&limit, late, 5_000, 50, Nanos::ZERO);
        assert_eq!(limit.current(), 10_000);
    }

    #[test]
    fn some_requests_are_always_allowed() {
        let limit = CoreLimit::new(100_000);
        observe(&limit, [Nanos::MAX; 10], 0, 50, Nanos::ZERO);
        assert_eq!(limit.current(), LEAST);
    }
}
