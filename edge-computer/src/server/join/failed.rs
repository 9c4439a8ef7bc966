//! Graphs that have failed, remembered for as long as others of their branches may be under way.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::Key;

/// Most graphs that are remembered; the oldest are forgotten first.
const MOST: usize = 10_000;
/// Longest identity that is remembered, in bytes; those of ours have 36.
const LONGEST: usize = 64;

/// Where branches of failed graphs would meet. What is forgotten here is answered once more when
/// another branch fails: nothing worse.
#[derive(Debug)]
pub(super) struct Failed {
    kept_for: Duration,
    known: HashSet<Key>,
    /// The same, and when each is forgotten, the oldest first.
    order: VecDeque<(Instant, Key)>,
}

impl Failed {
    pub(super) fn new(kept_for: Duration) -> Self {
        Self {
            kept_for,
            known: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn contains(&mut self, key: &Key, now: Instant) -> bool {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
        self.known.contains(key)
    }

    pub(super) fn insert(&mut self, key: Key, now: Instant) {
        if key.1.len() > LONGEST || !self.known.insert(key.clone()) {
            return;
        }
        if self.order.len() == MOST {
            self.forget_oldest();
        }
        self.order.push_back((now + self.kept_for, key));
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_in_time_number_and_length() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut failed = Failed::new(second);
        let key = |number: usize| (3, number.to_string());
        for number in 0..=MOST {
            failed.insert(key(number), start);
        }
        assert!(!failed.contains(&key(0), start));
        assert!(failed.contains(&key(1), start) && failed.contains(&key(MOST), start));
        assert!(!failed.contains(&key(MOST), start + second));
        assert!(failed.order.is_empty() && failed.known.is_empty());
        failed.insert((3, "x".repeat(LONGEST + 1)), start);
        assert!(failed.order.is_empty());
    }
}
