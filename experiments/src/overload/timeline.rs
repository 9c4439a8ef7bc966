//! The phases of a cell: half of the capacity, overload, half of the capacity again.

use std::time::Duration;

/// What is offered before and after the overload, as a share of the capacity.
pub(super) const NORMAL: f64 = 0.5;

/// How long each phase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Normal load that does not count: connections open, the router learns.
    pub(super) warm_up: Duration,
    /// Normal load that says what is normal.
    pub(super) unloaded: Duration,
    /// The load of the cell.
    pub(super) burst: Duration,
    /// Normal load again.
    pub(super) recovery: Duration,
}

impl Timeline {
    pub(super) const fn full() -> Self {
        Self {
            warm_up: Duration::from_secs(1),
            unloaded: Duration::from_secs(5),
            burst: Duration::from_secs(15),
            recovery: Duration::from_secs(6),
        }
    }

    pub(super) const fn quick() -> Self {
        Self {
            warm_up: Duration::from_secs(1),
            unloaded: Duration::from_secs(3),
            burst: Duration::from_secs(6),
            recovery: Duration::from_secs(4),
        }
    }

    pub(super) fn burst_begins(&self) -> Duration {
        self.warm_up + self.unloaded
    }

    pub(super) fn burst_ends(&self) -> Duration {
        self.burst_begins() + self.burst
    }

    pub(super) fn length(&self) -> Duration {
        self.burst_ends() + self.recovery
    }

    /// Length and load of each phase, as a multiple of the capacity.
    pub(super) fn loads(&self, factor: f64) -> [(Duration, f64); 3] {
        [
            (self.burst_begins(), NORMAL),
            (self.burst, factor),
            (self.recovery, NORMAL),
        ]
    }
}
