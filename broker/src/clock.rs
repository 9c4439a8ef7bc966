//! The one clock of a broker, as the sans-IO parts count time.

use std::time::Instant;

use edge_balance::Nanos;

/// Nanoseconds since the broker started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// The time at which it was `instant`.
    pub(crate) fn at(&self, instant: Instant) -> Nanos {
        Nanos::from(instant.saturating_duration_since(self.started))
    }

    pub(crate) fn now(&self) -> Nanos {
        Nanos::from(self.started.elapsed())
    }
}
