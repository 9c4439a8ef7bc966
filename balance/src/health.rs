//! Whether a destination may be chosen: ejection after a failure, doubling back-off, one trial at the end.

use crate::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How long the first failure takes a destination out.
pub const FIRST_EJECTION: Nanos = Nanos::from_secs(2);
/// What doubling stops at.
pub const LONGEST_EJECTION: Nanos = Nanos::from_secs(30);

/// A destination that is badly needed may be tried again after this, see [`Health`].
pub(crate) const SHORTEST_REST: Nanos = Nanos::from_millis(250);

/// The level whose ejection reaches [`LONGEST_EJECTION`]: 2, 4, 8, 16, 30 s.
const HIGHEST_LEVEL: u64 = 5;

/// Health of one destination, shared by all lambdas and tables that route to it.
///
/// One failure of transport, or one explicit overload, ejects the destination for
/// [`FIRST_EJECTION`]. When that time is over exactly one request is sent there as a trial: its
/// success makes the destination healthy and forgets the past, its failure ejects it for twice as
/// long, up to [`LONGEST_EJECTION`]; a trial that was cancelled lets the next request be the trial.
/// (Waiting for several failures in a row, as circuit breakers usually do, hardly helps against
/// destinations that fail only some requests.)
///
/// Where the others are so busy that the ejected destination is badly needed, a policy may ask for
/// its trial early, every quarter of a second; such a trial does not prolong the back-off.
///
/// A request knows only the past: one that was picked before an ejection neither prolongs it by
/// failing nor ends it by succeeding. A request that was sent to an ejected destination because no
/// healthy one was left does end the ejection by succeeding, and does not prolong it by failing.
///
/// All of it is one atomic word; changes never wait.
#[derive(Debug)]
pub struct Health {
    word: AtomicU64,
    ejected: Arc<AtomicUsize>,
}

/// What [`Health::standing`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Chosen like any other.
    Healthy,
    /// Passed over until then, after which the next request is its trial.
    Ejected {
        /// End of the ejection.
        until: Nanos,
    },
    /// Its time is over and one request is on its way to find out.
    OnTrial,
}

/// What a request knew of its destination's health when it was picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// Half a word is enough for its 18 bits, and tickets travel with requests.
    epoch: u32,
    trial: bool,
}

impl Ticket {
    pub(crate) fn is_trial(self) -> bool {
        self.trial
    }

    /// Whether nothing has happened since it was given out.
    fn is_of(self, state: State) -> bool {
        u64::from(self.epoch) == state.epoch
    }
}

/// The word, unpacked. `level` 0 is healthy; `epoch` counts ejections and recoveries, so that a
/// ticket tells whether its request was picked before the latest of them.
#[derive(Clone, Copy)]
struct State {
    level: u64,
    trial: bool,
    epoch: u64,
    until_ms: u64,
}

const EPOCH_BITS: u32 = 18;
const UNTIL_BITS: u32 = 42; // 139 years of milliseconds
const LEVEL_MASK: u64 = 0b111;

impl State {
    fn unpack(word: u64) -> Self {
        State {
            level: word & LEVEL_MASK,
            trial: word & 0b1000 != 0,
            epoch: (word >> 4) & ((1 << EPOCH_BITS) - 1),
            until_ms: word >> (4 + EPOCH_BITS),
        }
    }

    fn pack(self) -> u64 {
        self.level
            | (u64::from(self.trial) << 3)
            | ((self.epoch & ((1 << EPOCH_BITS) - 1)) << 4)
            | (self.until_ms << (4 + EPOCH_BITS))
    }

    fn healthy(self) -> Self {
        State {
            level: 0,
            trial: false,
            epoch: self.epoch + 1,
            until_ms: 0,
        }
    }

    fn ejected(self, now: Nanos) -> Self {
        let early = self.trial && now < self.until();
        let level = if early {
            self.level
        } else {
            (self.level + 1).min(HIGHEST_LEVEL)
        };
        let until_ms = (now + State::span(level))
            .0
            .div_ceil(1_000_000)
            .min((1 << UNTIL_BITS) - 1);
        State {
            level,
            trial: false,
            epoch: self.epoch + 1,
            until_ms,
        }
    }

    /// How long an ejection of that level lasts.
    fn span(level: u64) -> Nanos {
        Nanos(FIRST_EJECTION.0 << level.saturating_sub(1)).min(LONGEST_EJECTION)
    }

    fn until(self) -> Nanos {
        Nanos::from_millis(self.until_ms)
    }
}

impl Health {
    /// Healthy; `ejected` counts the unhealthy ones among all that share it.
    pub(crate) fn new(ejected: Arc<AtomicUsize>) -> Self {
        Health {
            word: AtomicU64::new(0),
            ejected,
        }
    }

    /// Whether the destination is chosen like any other: neither ejected nor on trial.
    #[inline]
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.word.load(Relaxed) & LEVEL_MASK == 0
    }

    /// The state, for tables and metrics.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state();
        match state {
            State { level: 0, .. } => Standing::Healthy,
            State { trial: true, .. } => Standing::OnTrial,
            _ => Standing::Ejected {
                until: state.until(),
            },
        }
    }

    fn state(&self) -> State {
        State::unpack(self.word.load(Relaxed))
    }

    /// For a request that is no trial.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket {
            epoch: self.state().epoch as u32,
            trial: false,
        }
    }

    /// For the one request that may be the trial, if the ejection is over and there is none yet.
    pub(crate) fn try_trial(&self, now: Nanos) -> Option<Ticket> {
        self.try_trial_from(now, State::until)
    }

    /// The same for a destination that is badly needed: soon after it was ejected.
    pub(crate) fn try_early_trial(&self, now: Nanos) -> Option<Ticket> {
        self.try_trial_from(now, |state| {
            state.until() - State::span(state.level) + SHORTEST_REST
        })
    }

    fn try_trial_from(&self, now: Nanos, due: impl Fn(State) -> Nanos) -> Option<Ticket> {
        let state = self.transition(|state| {
            let due = state.level > 0 && !state.trial && due(state) <= now;
            due.then_some(State {
                trial: true,
                ..state
            })
        })?;
        Some(Ticket {
            epoch: state.epoch as u32,
            trial: true,
        })
    }

    /// The destination answered.
    pub(crate) fn succeeded(&self, ticket: Ticket) {
        let ended = self
            .transition(|state| (state.level > 0 && ticket.is_of(state)).then(|| state.healthy()));
        if ended.is_some() {
            self.ejected.fetch_sub(1, Relaxed);
        }
    }

    /// The destination, or the way to it, failed.
    pub(crate) fn failed(&self, ticket: Ticket, now: Nanos) {
        let before = self.transition(|state| {
            let current = ticket.is_of(state) && (state.level == 0 || ticket.trial);
            current.then(|| state.ejected(now))
        });
        if before.is_some_and(|state| state.level == 0) {
            self.ejected.fetch_add(1, Relaxed);
        }
    }

    /// The request ended without telling anything; if it was the trial, another may be.
    pub(crate) fn abandoned(&self, ticket: Ticket) {
        if ticket.trial {
            self.transition(|state| {
                (state.trial && ticket.is_of(state)).then_some(State {
                    trial: false,
                    ..state
                })
            });
        }
    }

    /// Applies `step` unless it answers `None`; returns the state before it.
    fn transition(&self, step: impl Fn(State) -> Option<State>) -> Option<State> {
        self.word
            .fetch_update(Relaxed, Relaxed, |word| {
                step(State::unpack(word)).map(State::pack)
            })
            .ok()
            .map(State::unpack)
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        if !self.is_healthy() {
            self.ejected.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_holds_every_field() {
        let state = State {
            level: 5,
            trial: true,
            epoch: (1 << 18) - 1,
            until_ms: (1 << 42) - 1,
        };
        let again = State::unpack(state.pack());
        assert_eq!((again.level, again.trial), (5, true));
        assert_eq!((again.epoch, again.until_ms), (state.epoch, state.until_ms));
    }

    #[test]
    fn the_epoch_wraps_without_touching_its_neighbours() {
        let last = State {
            level: 1,
            trial: false,
            epoch: (1 << 18) - 1,
            until_ms: 77,
        };
        let next = State::unpack(last.ejected(Nanos::ZERO).pack());
        assert_eq!(
            (next.level, next.trial, next.epoch, next.until_ms),
            (2, false, 0, 4000)
        );
    }

    #[test]
    fn a_far_future_saturates() {
        let health = Health::new(Arc::default());
        health.failed(health.ticket(), Nanos::MAX);
        let Standing::Ejected { until } = health.standing() else {
            panic!("not ejected")
        };
        assert!(until > Nanos::from_secs(86_400 * 365 * 100));
    }
}
