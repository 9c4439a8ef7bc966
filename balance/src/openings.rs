//! Which destinations have become better of late: for lambdas of so many that none looks at all of them.

use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// So many are remembered by their numbers. Who missed more looks at all destinations again.
const LAST: usize = 64;

/// Destinations that one can send to again, or of which one knows at least that they work; for all lambdas,
/// or for one of them.
#[derive(Debug)]
pub(crate) struct Openings {
    count: AtomicU64,
    /// The numbers of the last destinations: that of the n-th opening is at `n % LAST`.
    last: Mutex<[u64; LAST]>,
}

impl Default for Openings {
    fn default() -> Self {
        Openings {
            count: AtomicU64::new(0),
            last: Mutex::new([0; LAST]),
        }
    }
}

impl Openings {
    /// There is one more, and whoever sees that sees what has become of the destination.
    pub(crate) fn add(&self, id: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Relaxed);
        last[count as usize % LAST] = id;
        self.count.store(count + 1, Ordering::Release);
    }

    /// How many there have been.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The destinations of all after the first so many, and how many there are now; none if that is too
    /// long ago.
    pub(crate) fn since(&self, known: u64) -> Option<(SmallVec<[u64; LAST]>, u64)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Relaxed);
        let is_remembered = count - known <= LAST as u64;
        let ids = (known..count).map(|nth| last[nth as usize % LAST]);
        is_remembered.then(|| (ids.collect(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_by_their_numbers_and_many_only_by_their_count() {
        let openings = Openings::default();
        (100..110).for_each(|id| openings.add(id));
        let (ids, now) = openings.since(7).expect("three are not many");
        assert_eq!((ids.as_slice(), now), (&[107, 108, 109][..], 10));
        (0..LAST as u64).for_each(|id| openings.add(id));
        assert!(openings.since(9).is_none());
        let (ids, _) = openings.since(10).expect("they are remembered");
        assert_eq!(ids.len(), LAST);
        assert_eq!(openings.count(), 10 + LAST as u64);
    }
}
