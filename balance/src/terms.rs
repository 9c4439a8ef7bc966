//! What has been said about a route, in one word: whether its destination executes the lambda itself,
//! whose the route is, and whether the destination asked to be left alone with the lambda.

use crate::health::pause;
use crate::{Nanos, Owner};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const FINAL: u32 = 1;
const GONE: u32 = 1 << 1;
const CLOSED: u32 = 1 << 2;
const TRIAL: u32 = 1 << 3;
const REPEATS_SHIFT: u32 = 4;
const REPEATS_MASK: u32 = 0b111;
const EPOCH_SHIFT: u32 = 7;
const EPOCH_MASK: u32 = 0b1111;
const OWNER_SHIFT: u32 = 11;
const OWNER_MASK: u32 = Owner::MAX as u32;
const UNTIL_SHIFT: u32 = 16;
/// Milliseconds, modulo 66 seconds.
const UNTIL_MASK: u32 = u32::MAX >> UNTIL_SHIFT;
/// No pause ends later than this from now: what seems to is over. (One that ended about 66 seconds ago
/// seems not to be over, for two seconds.)
const LONGEST_AHEAD: u32 = 2048;

/// Push-back of one lambda by one destination, which may well have room for others: a queue of its
/// own is full, or has become too long. It is as that of a whole destination, see
/// [`Health`](crate::Health): the pause is over when a trial was taken, of which there is one at a
/// time. There may be a million of these.
#[derive(Debug)]
pub(crate) struct Terms(AtomicU32);

/// What a request knew of the terms when it was picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LambdaTicket {
    epoch: u8,
    trial: bool,
}

impl LambdaTicket {
    pub(crate) fn is_trial(self) -> bool {
        self.trial
    }
}

#[derive(Clone, Copy)]
struct State {
    is_final: bool,
    /// The route was removed: nobody looks at it any more.
    gone: bool,
    /// It asked to be left alone with this lambda for a while.
    closed: bool,
    /// One request is on its way to find out.
    trial: bool,
    /// How often the pause was doubled.
    repeats: u32,
    /// Counts what closes it and what opens it.
    epoch: u32,
    owner: u32,
    until: u32,
}

impl State {
    fn unpack(word: u32) -> Self {
        State {
            is_final: word & FINAL != 0,
            gone: word & GONE != 0,
            closed: word & CLOSED != 0,
            trial: word & TRIAL != 0,
            repeats: (word >> REPEATS_SHIFT) & REPEATS_MASK,
            epoch: (word >> EPOCH_SHIFT) & EPOCH_MASK,
            owner: (word >> OWNER_SHIFT) & OWNER_MASK,
            until: word >> UNTIL_SHIFT,
        }
    }

    fn pack(self) -> u32 {
        let flag = |set, mask| if set { mask } else { 0 };
        flag(self.is_final, FINAL)
            | flag(self.gone, GONE)
            | flag(self.closed, CLOSED)
            | flag(self.trial, TRIAL)
            | (self.repeats.min(REPEATS_MASK) << REPEATS_SHIFT)
            | ((self.epoch & EPOCH_MASK) << EPOCH_SHIFT)
            | ((self.owner & OWNER_MASK) << OWNER_SHIFT)
            | ((self.until & UNTIL_MASK) << UNTIL_SHIFT)
    }

    /// Milliseconds until a trial is due.
    fn left(self, now: Nanos) -> u32 {
        let now = (now.0 / 1_000_000) as u32;
        let ahead = self.until.wrapping_sub(now) & UNTIL_MASK;
        if ahead <= LONGEST_AHEAD { ahead } else { 0 }
    }

    fn is_trial_due(self, now: Nanos) -> bool {
        self.closed && !self.trial && self.left(now) == 0
    }

    fn is_current(self, ticket: LambdaTicket) -> bool {
        self.epoch == u32::from(ticket.epoch)
    }
}

impl Terms {
    pub(crate) fn new(is_final: bool) -> Self {
        Terms(AtomicU32::new(if is_final { FINAL } else { 0 }))
    }

    pub(crate) fn is_final(&self) -> bool {
        self.0.load(Relaxed) & FINAL != 0
    }

    pub(crate) fn set_final(&self, is_final: bool) {
        self.transition(|state| Some(State { is_final, ..state }));
    }

    /// Both at once.
    pub(crate) fn set(&self, is_final: bool, owner: Owner) {
        let owner = owner.number().into();
        self.transition(|state| {
            Some(State {
                is_final,
                owner,
                ..state
            })
        });
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::numbered(self.state().owner as u8).unwrap_or(Owner::NOBODY)
    }

    pub(crate) fn set_owner(&self, owner: Owner) {
        let owner = owner.number().into();
        self.transition(|state| Some(State { owner, ..state }));
    }

    /// Whether the destination asked to be left alone with the lambda.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Relaxed) & CLOSED != 0
    }

    /// When the next request is a trial, if it is closed.
    pub(crate) fn closed_until(&self, now: Nanos) -> Option<Nanos> {
        let state = self.state();
        let until = || Nanos::from_millis(now.0 / 1_000_000 + u64::from(state.left(now)));
        state.closed.then(until)
    }

    /// For a request that is no trial.
    #[inline]
    pub(crate) fn ticket(&self) -> LambdaTicket {
        LambdaTicket {
            epoch: self.state().epoch as u8,
            trial: false,
        }
    }

    /// Whether [`try_trial`](Self::try_trial) would succeed.
    pub(crate) fn is_trial_due(&self, now: Nanos) -> bool {
        self.state().is_trial_due(now)
    }

    /// For the one request that may be the trial, if the time has come and there is none yet.
    pub(crate) fn try_trial(&self, now: Nanos) -> Option<LambdaTicket> {
        let state = self.transition(|state| {
            let due = state.is_trial_due(now);
            due.then_some(State {
                trial: true,
                ..state
            })
        })?;
        Some(LambdaTicket {
            epoch: state.epoch as u8,
            trial: true,
        })
    }

    /// The destination has too much of this lambda to do, and perhaps said when to come back.
    /// Returns whether this closed it.
    pub(crate) fn close(&self, ticket: LambdaTicket, push_back: Option<Nanos>, now: Nanos) -> bool {
        let before = self.transition(|state| {
            let current = state.is_current(ticket) && (!state.closed || ticket.trial);
            let repeats = if state.closed { state.repeats + 1 } else { 0 };
            let until = now + pause(push_back, repeats.into());
            (current && !state.gone).then_some(State {
                closed: true,
                trial: false,
                repeats,
                epoch: state.epoch + 1,
                until: until.0.div_ceil(1_000_000) as u32,
                ..state
            })
        });
        before.is_some_and(|state| !state.closed)
    }

    /// The destination answered. Returns whether this opened it.
    #[inline]
    pub(crate) fn open(&self, ticket: LambdaTicket) -> bool {
        self.is_closed() && self.reopen(ticket)
    }

    #[cold]
    fn reopen(&self, ticket: LambdaTicket) -> bool {
        let before = self.transition(|state| {
            (state.closed && state.is_current(ticket)).then_some(State {
                closed: false,
                trial: false,
                repeats: 0,
                epoch: state.epoch + 1,
                ..state
            })
        });
        before.is_some()
    }

    /// The request ended without telling anything; if it was the trial, another may be.
    #[inline]
    pub(crate) fn abandoned(&self, ticket: LambdaTicket) {
        if ticket.trial {
            self.transition(|state| {
                (state.trial && state.is_current(ticket)).then_some(State {
                    trial: false,
                    ..state
                })
            });
        }
    }

    /// The route was removed: it is never closed again. Returns whether it was.
    pub(crate) fn retire(&self) -> bool {
        let before = self.transition(|state| {
            Some(State {
                gone: true,
                closed: false,
                ..state
            })
        });
        before.is_some_and(|state| state.closed)
    }

    fn state(&self) -> State {
        State::unpack(self.0.load(Relaxed))
    }

    /// Applies `step` unless it answers `None`; returns the state before it.
    fn transition(&self, step: impl Fn(State) -> Option<State>) -> Option<State> {
        let changed = self.0.fetch_update(Relaxed, Relaxed, |word| {
            step(State::unpack(word)).map(State::pack)
        });
        changed.ok().map(State::unpack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    #[test]
    fn the_pause_is_over_with_a_trial_that_is_answered() {
        let terms = Terms::new(true);
        let early = terms.ticket();
        assert!(terms.close(terms.ticket(), Some(millis(40)), millis(0)));
        assert!(terms.is_closed() && terms.is_final());
        assert!(
            !terms.open(early),
            "it was sent before, and knows nothing of it"
        );
        assert!(
            !terms.close(early, None, millis(1)),
            "it says nothing that is new"
        );
        assert!(terms.try_trial(millis(39)).is_none());
        let trial = terms.try_trial(millis(40)).unwrap();
        assert!(terms.try_trial(millis(40)).is_none(), "one at a time");
        terms.abandoned(trial);
        let trial = terms.try_trial(millis(40)).unwrap();
        assert!(terms.open(trial));
        assert!(!terms.is_closed() && !terms.open(trial));
    }

    #[test]
    fn pauses_that_nobody_asked_for_double_up_to_two_seconds_and_start_over() {
        let terms = Terms::new(false);
        let mut now = millis(0);
        let mut ticket = terms.ticket();
        for expected in [20, 40, 80, 160, 320, 640, 1280, 2000, 2000] {
            terms.close(ticket, None, now);
            let until = now + millis(expected);
            assert_eq!(terms.closed_until(now), Some(until));
            now = until;
            ticket = terms.try_trial(now).unwrap();
        }
        assert!(terms.open(ticket));
        terms.close(terms.ticket(), None, now);
        assert_eq!(terms.closed_until(now), Some(now + millis(20)));
    }

    #[test]
    fn a_trial_is_due_when_the_pause_is_over_however_long_nobody_came() {
        for start in [0, 1 << 16, (1 << 16) - 1, 1 << 40] {
            for pause in [1, 777, 2000] {
                let terms = Terms::new(false);
                terms.close(terms.ticket(), Some(millis(pause)), millis(start));
                let end = start + pause;
                assert!(!terms.is_trial_due(millis(end - 1)));
                for later in [0, 1, 5000, 60_000, 1 << 20, (1 << 20) + 60_000] {
                    assert!(terms.is_trial_due(millis(end + later)), "{start} {later}");
                }
                // Where the milliseconds have come round it is late by no more than a pause is long.
                let round = end + (1 << 16) - 1000;
                assert!(!terms.is_trial_due(millis(round)));
                assert!(terms.is_trial_due(millis(round + 1000)));
            }
        }
    }

    #[test]
    fn a_route_that_was_removed_is_never_closed_again() {
        let terms = Terms::new(false);
        let late = terms.ticket();
        assert!(!terms.retire());
        assert!(!terms.close(late, None, millis(0)) && !terms.is_closed());
        let terms = Terms::new(false);
        terms.close(terms.ticket(), None, millis(0));
        assert!(terms.retire() && !terms.is_closed());
    }

    #[test]
    fn finality_and_owner_can_be_changed_while_it_is_closed() {
        let terms = Terms::new(false);
        assert_eq!(terms.owner(), Owner::NOBODY);
        terms.close(terms.ticket(), None, millis(0));
        for number in [Owner::MAX, 7] {
            let owner = Owner::numbered(number).unwrap();
            terms.set_owner(owner);
            assert_eq!(terms.owner(), owner);
        }
        assert!(terms.is_closed() && !terms.is_final());
        terms.set_final(true);
        assert!(terms.is_final() && terms.is_closed());
        terms.set_final(false);
        assert!(!terms.is_final() && terms.is_closed());
    }
}
