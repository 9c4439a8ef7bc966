//! How much nonsense a peer may cause: so much at once, and so much per second.

use std::time::{Duration, Instant};

/// A bucket that is full at first, and full again a second after it was empty.
#[derive(Debug)]
pub(crate) struct Budget {
    left: f64,
    most: f64,
    since: Instant,
}

impl Budget {
    pub(crate) fn new(most: u32, now: Instant) -> Self {
        Self {
            left: most.into(),
            most: most.into(),
            since: now,
        }
    }

    /// Takes one; false if there is none left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.take_some(1, now)
    }

    /// Takes so many; false if they are not left.
    pub(crate) fn take_some(&mut self, count: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        if passed > Duration::ZERO {
            self.since = now;
            self.left = (self.left + passed.as_secs_f64() * self.most).min(self.most);
        }
        let count = f64::from(count);
        if self.left < count {
            return false;
        }
        self.left -= count;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_within_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(100, start);
        let taken = |budget: &mut Budget, now| (0..1000).filter(|_| budget.take(now)).count();
        assert_eq!(taken(&mut budget, start), 100);
        assert_eq!(taken(&mut budget, start), 0);
        let later = start + Duration::from_millis(500);
        assert_eq!(taken(&mut budget, later), 50);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(60)), 100);
    }
}
