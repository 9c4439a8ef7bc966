//! When a destination takes part: while it is good, until it is known, and after a rest.

use crate::Nanos;

/// After a probe that did not help, or at first, a destination rests for so long.
const FIRST_REST: Nanos = Nanos::from_secs(1);
/// What doubling the rest stops at.
const LONGEST_REST: Nanos = Nanos::from_secs(30);

/// What is known of the updates of one destination's weight.
#[derive(Debug)]
pub(super) struct Turn {
    /// None before the first update and while under probe.
    updated: Option<Nanos>,
    probing: bool,
    rest: Nanos,
}

impl Turn {
    pub(super) fn new() -> Self {
        Turn {
            updated: None,
            probing: false,
            rest: FIRST_REST,
        }
    }

    /// Its weight was updated; whether that is the first time, or the first since a rest.
    pub(super) fn update(&mut self, now: Nanos) -> bool {
        self.updated.replace(now).is_none()
    }

    /// Whether it takes part from now on. Asking again changes nothing before the next update, the
    /// end of the rest, or the end of being good.
    pub(super) fn refresh(&mut self, good: bool, now: Nanos) -> bool {
        if good {
            if self.probing {
                (self.probing, self.rest) = (false, FIRST_REST);
            }
            return true;
        }
        let Some(updated) = self.updated else {
            return true;
        };
        if self.probing {
            self.probing = false;
            self.rest = Nanos(self.rest.0 * 2).min(LONGEST_REST);
        }
        if now.since(updated) < self.rest {
            return false;
        }
        (self.updated, self.probing) = (None, true);
        true
    }

    /// When one that does not take part is to be probed.
    pub(super) fn rested(&self) -> Nanos {
        self.updated
            .map_or(Nanos::ZERO, |updated| updated + self.rest)
    }
}
