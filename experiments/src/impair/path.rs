//! What all that travels along a path shares: a clock, and a link in each direction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;

/// The time that links count in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since its beginning.
    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// The instant that is so long after its beginning.
    pub(crate) fn instant(self, at: Duration) -> Instant {
        self.0 + at
    }
}

/// A link that several connections share.
#[derive(Debug, Clone)]
pub(crate) struct Direction(Arc<Mutex<Link>>);

impl Direction {
    /// Nobody uses it yet.
    pub(crate) fn new(link: Link) -> Self {
        Self(Arc::new(Mutex::new(link)))
    }

    /// For one packet, or for a look at the counters.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
