//! What the health of all destinations of a broker has in common.

use super::JITTER;
use crate::openings::Openings;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What the health of all destinations of a broker has in common.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Those that are not chosen like any other.
    set_aside: AtomicUsize,
    openings: Openings,
    /// Makes jitter differ between brokers; 0 for none.
    seed: u64,
}

impl Census {
    pub(crate) fn new(seed: u64) -> Self {
        Census {
            set_aside: AtomicUsize::new(0),
            openings: Openings::default(),
            seed,
        }
    }

    /// How many destinations are not chosen like any other.
    #[inline]
    pub(crate) fn set_aside(&self) -> usize {
        // An end may be counted a moment before the beginning that it ends.
        (self.set_aside.load(Relaxed) as isize).max(0) as usize
    }

    /// One more is set aside.
    pub(super) fn one_aside(&self) {
        self.set_aside.fetch_add(1, Relaxed);
    }

    /// One less is, or it is gone.
    pub(super) fn one_back(&self) {
        self.set_aside.fetch_sub(1, Relaxed);
    }

    /// Which have become better of late.
    pub(crate) fn openings(&self) -> &Openings {
        &self.openings
    }

    /// From 0 to [`JITTER`], the same for the same ejection.
    pub(super) fn jitter(&self, id: u64, epoch: u64) -> f64 {
        if self.seed == 0 {
            return 0.0;
        }
        let mixed = foldhash::fast::FixedState::with_seed(self.seed);
        let word = std::hash::BuildHasher::hash_one(&mixed, (id, epoch));
        JITTER * (word >> 11) as f64 / (1_u64 << 53) as f64
    }
}
