//! How long workers were busy: the integral of their number over time.

use std::time::{Duration, Instant};

/// Busy workers, and the time that they and others before them have spent.
#[derive(Debug)]
pub(super) struct Busy {
    workers: u32,
    since: Instant,
    spent: Duration,
}

impl Busy {
    /// All workers are idle at `now`.
    pub(super) fn idle(now: Instant) -> Self {
        Self {
            workers: 0,
            since: now,
            spent: Duration::ZERO,
        }
    }

    /// One more is busy from `now` on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.pass(now);
        self.workers += 1;
    }

    /// One is idle again from `now` on.
    pub(super) fn end(&mut self, now: Instant) {
        self.pass(now);
        self.workers -= 1;
    }

    /// What was spent up to `now` and was not taken before.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        self.pass(now);
        std::mem::take(&mut self.spent)
    }

    fn pass(&mut self, now: Instant) {
        self.spent += now.saturating_duration_since(self.since) * self.workers;
        self.since = self.since.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_between_two_looks_counts_as_long_as_it_ran() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut busy = Busy::idle(start);
        busy.begin(at(100));
        busy.begin(at(200));
        busy.end(at(300));
        busy.end(at(580));
        assert_eq!(busy.take(at(1000)), Duration::from_millis(580));
        busy.begin(at(1500));
        assert_eq!(busy.take(at(2000)), Duration::from_millis(500));
        assert_eq!(busy.take(at(3000)), Duration::from_secs(1));
        // Two clocks may be read in another order than they are told here.
        busy.end(at(2900));
        assert_eq!(busy.take(at(4000)), Duration::ZERO);
    }
}
