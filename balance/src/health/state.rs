//! The health of a destination in one word, unpacked.

use super::{FIRST_EJECTION, HIGHEST_LEVEL, LONGEST_EJECTION, Obstacle, REMEMBERED};
use crate::Nanos;

/// What is set in the word of a destination that may not be chosen like any other.
pub(super) const SET_ASIDE: u64 = LEVEL_MASK | STALLED | CLOSED | FULL;

const LEVEL_MASK: u64 = 0b111;
const STALLED: u64 = 1 << 3;
const CLOSED: u64 = 1 << 4;
const FULL: u64 = 1 << 5;
const TRIAL: u64 = 1 << 6;
const MEMORY_SHIFT: u32 = 7;
const EPOCH_SHIFT: u32 = 10;
const EPOCH_BITS: u32 = 18;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;
const UNTIL_SHIFT: u32 = EPOCH_SHIFT + EPOCH_BITS;
const UNTIL_BITS: u32 = 64 - UNTIL_SHIFT; // two years of milliseconds

/// `epoch` counts what sets aside and what ends it, so that a ticket tells whether its request was
/// picked before the latest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// How often the ejection was doubled, from 1; 0 for one that is not ejected.
    pub(super) level: u64,
    /// It owes answers, and none comes.
    pub(super) stalled: bool,
    /// It asked to be left alone for a while.
    pub(super) closed: bool,
    /// As many requests of this broker are there as may be.
    pub(super) full: bool,
    /// One request is on its way to find out.
    pub(super) trial: bool,
    /// The level of the last ejection, remembered for some time after it; while `closed` how often
    /// the pause was doubled.
    pub(super) memory: u64,
    pub(super) epoch: u64,
    /// End of what sets it aside, or of the memory of it.
    pub(super) until_ms: u64,
}

impl State {
    pub(super) fn unpack(word: u64) -> Self {
        State {
            level: word & LEVEL_MASK,
            stalled: word & STALLED != 0,
            closed: word & CLOSED != 0,
            full: word & FULL != 0,
            trial: word & TRIAL != 0,
            memory: (word >> MEMORY_SHIFT) & LEVEL_MASK,
            epoch: (word >> EPOCH_SHIFT) & EPOCH_MASK,
            until_ms: word >> UNTIL_SHIFT,
        }
    }

    pub(super) fn pack(self) -> u64 {
        let flag = |set, mask| if set { mask } else { 0 };
        self.level
            | flag(self.stalled, STALLED)
            | flag(self.closed, CLOSED)
            | flag(self.full, FULL)
            | flag(self.trial, TRIAL)
            | (self.memory << MEMORY_SHIFT)
            | ((self.epoch & EPOCH_MASK) << EPOCH_SHIFT)
            | (self.until_ms << UNTIL_SHIFT)
    }

    /// What keeps a request from the destination, if anything does.
    pub(super) fn obstacle(self) -> Option<Obstacle> {
        let failing = self.level > 0 || self.stalled;
        let busy = self.full || self.closed;
        match (failing, busy) {
            (true, _) => Some(Obstacle::Failing),
            (false, true) => Some(Obstacle::Busy),
            (false, false) => None,
        }
    }

    /// Whether a trial decides when it is chosen again.
    pub(super) fn needs_trial(self) -> bool {
        self.level > 0 || self.stalled || self.closed
    }

    /// Whether one request could be the trial, were it time.
    pub(super) fn awaits_trial(self) -> bool {
        self.needs_trial() && !self.full && !self.trial
    }

    pub(super) fn healthy(self, now: Nanos) -> Self {
        State {
            level: 0,
            stalled: false,
            closed: false,
            trial: false,
            // While closed it counts something else.
            memory: if self.closed {
                0
            } else {
                self.level.max(self.memory)
            },
            epoch: self.epoch + 1,
            until_ms: millis(now + REMEMBERED),
            ..self
        }
    }

    /// Ejected; `relapsing` says that it fails a good part of what it gets, so that an ejection which
    /// ended a short while ago was too short.
    pub(super) fn ejected(self, now: Nanos, relapsing: bool, jitter: f64) -> Self {
        let remembered = self.level == 0 && now < self.until();
        let level = match (self.level, self.trial && now < self.until()) {
            (0, _) if remembered && relapsing => (self.memory + 1).min(HIGHEST_LEVEL),
            (0, _) => 1,
            (level, true) => level,
            (level, false) => (level + 1).min(HIGHEST_LEVEL),
        };
        State {
            level,
            stalled: false,
            closed: false,
            trial: false,
            memory: 0,
            epoch: self.epoch + 1,
            until_ms: millis(now + lengthened(level, jitter)),
            ..self
        }
    }

    /// Set aside without blame until then.
    pub(super) fn resting(self, until: Nanos) -> Self {
        State {
            trial: false,
            epoch: self.epoch + 1,
            until_ms: millis(until),
            ..self
        }
    }

    /// How long it is ejected in all.
    pub(super) fn ejection(self, jitter: f64) -> Nanos {
        lengthened(self.level, jitter)
    }

    /// The epoch that ended when it was set aside.
    pub(super) fn epoch_before(self) -> u64 {
        self.epoch.wrapping_sub(1) & EPOCH_MASK
    }

    pub(super) fn until(self) -> Nanos {
        Nanos::from_millis(self.until_ms)
    }
}

/// How long an ejection of that level lasts, and a share of it.
fn lengthened(level: u64, share: f64) -> Nanos {
    let span = Nanos(FIRST_EJECTION.0 << level.saturating_sub(1)).min(LONGEST_EJECTION);
    span + Nanos((span.0 as f64 * share) as u64)
}

fn millis(moment: Nanos) -> u64 {
    moment.0.div_ceil(1_000_000).min((1 << UNTIL_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_holds_every_field() {
        let state = State {
            level: 5,
            stalled: true,
            closed: true,
            full: true,
            trial: true,
            memory: 4,
            epoch: (1 << EPOCH_BITS) - 1,
            until_ms: (1 << UNTIL_BITS) - 1,
        };
        assert_eq!(State::unpack(state.pack()), state);
    }

    #[test]
    fn the_epoch_wraps_without_touching_its_neighbours() {
        let last = State {
            level: 1,
            epoch: (1 << EPOCH_BITS) - 1,
            until_ms: 77,
            ..State::default()
        };
        let next = State::unpack(last.ejected(Nanos::ZERO, false, 0.0).pack());
        assert_eq!(
            (next.level, next.trial, next.epoch, next.until_ms),
            (2, false, 0, 4000)
        );
    }

    #[test]
    fn one_that_relapses_while_it_is_remembered_is_ejected_for_longer() {
        let now = Nanos::from_secs(100);
        let recovered = State {
            level: 2,
            ..State::default()
        }
        .healthy(now);
        let soon = now + Nanos::from_secs(1);
        assert_eq!(recovered.ejected(soon, true, 0.0).level, 3);
        assert_eq!(recovered.ejected(soon, false, 0.0).level, 1);
        let later = now + REMEMBERED + Nanos::from_secs(1);
        assert_eq!(recovered.ejected(later, true, 0.0).level, 1);
    }
}
