//! Whether a destination may be chosen, whatever the lambda: ejection after failures, stalls,
//! push-back, limits.

mod census;
mod failures;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::census::Census;
use self::failures::FailureRatio;
use self::state::{SET_ASIDE, State};
use crate::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long the first failure takes a destination out.
pub const FIRST_EJECTION: Nanos = Nanos::from_secs(2);
/// What doubling stops at.
pub const LONGEST_EJECTION: Nanos = Nanos::from_secs(30);

/// A destination that is badly needed may be tried again after this, see [`Health`].
pub(crate) const SHORTEST_REST: Nanos = Nanos::from_millis(250);

/// How long a destination that is back is remembered as one that was ejected.
const REMEMBERED: Nanos = Nanos::from_secs(30);
/// The least and the most that a destination's wish to be left alone is worth.
const PUSH_BACK: (Nanos, Nanos) = (Nanos::from_millis(1), Nanos::from_secs(2));
/// The first pause where a destination does not say how long it wants to be left alone,
const FIRST_PAUSE: Nanos = Nanos::from_millis(20);
/// and how often that is doubled.
const MOST_REPEATS: u64 = 7;
/// Ejections are longer by up to this share, so that brokers do not all try at the same moment.
const JITTER: f64 = 0.25;
/// The level whose ejection reaches [`LONGEST_EJECTION`]: 2, 4, 8, 16, 30 s.
const HIGHEST_LEVEL: u64 = 5;

/// Health of one destination, shared by all lambdas and tables that route to it.
///
/// What sets a destination aside:
///
/// - **Ejection.** A failure of transport, or an answer that says "unavailable" or is no answer at
///   all, ejects the destination for [`FIRST_EJECTION`], plus some jitter. When that time is over
///   exactly one request is sent there as a trial: its success makes the destination healthy, its
///   failure ejects it for twice as long, up to [`LONGEST_EJECTION`]; a trial that was cancelled lets
///   the next request be the trial. A destination that is back and goes on failing a good part of
///   what it gets is ejected for twice as long as the last time; one that behaves for half a minute
///   starts afresh. (Waiting for several failures in a row, as circuit breakers usually do, hardly
///   helps against destinations that fail only some requests.)
/// - **Stall.** It owes answers for much longer than they take. Any answer ends it, and a trial after
///   [`FIRST_EJECTION`] finds out; a request that fails meanwhile ejects it.
/// - **Push-back.** It said that it is overloaded as a whole, or about to end, and when to come back.
///   A trial follows then. (Where only the queue of a lambda is too long, only that lambda stays
///   away.)
/// - **Limit.** As many requests of this broker are there as its limit allows, until one returns.
///
/// Where the others are so busy that the ejected destination is badly needed, a policy may ask for
/// its trial early, every quarter of a second; such a trial does not prolong the back-off.
///
/// A request knows only the past: one that was picked before an ejection neither prolongs it by
/// failing nor ends it by succeeding. A request that was sent to an ejected destination because no
/// healthy one was left does end the ejection by succeeding, and does not prolong it by failing.
///
/// All of it is one atomic word. Changes wait for nothing but each other's note of what is back.
#[derive(Debug)]
pub struct Health {
    word: AtomicU64,
    failures: FailureRatio,
    census: Arc<Census>,
    id: u64,
}

/// How long to leave alone what is overloaded and asks for so much, having done so so many times
/// before without an answer in between.
pub(crate) fn pause(push_back: Option<Nanos>, repeats: u64) -> Nanos {
    let (least, most) = PUSH_BACK;
    let doubled = || Nanos(FIRST_PAUSE.0 << repeats.min(MOST_REPEATS));
    push_back.unwrap_or_else(doubled).clamp(least, most)
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
    /// Passed over because it owes answers, until one comes or a trial is due.
    Stalled {
        /// When the next request is its trial.
        until: Nanos,
    },
    /// Passed over because it asked for it.
    PushedBack {
        /// When the next request is its trial.
        until: Nanos,
    },
    /// Its time is over and one request is on its way to find out.
    OnTrial,
    /// As many requests of this broker are there as may be.
    Full,
}

impl Standing {
    /// In one word or two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Healthy => "healthy",
            Standing::Ejected { .. } => "ejected",
            Standing::Stalled { .. } => "stalled",
            Standing::PushedBack { .. } => "pushed-back",
            Standing::OnTrial => "on-trial",
            Standing::Full => "full",
        }
    }

    /// Whether requests may go there as soon as there is a place: not the least is known against it.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Standing::Healthy | Standing::Full)
    }
}

/// Why a destination that is set aside cannot take a request; the worse comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// It works but has no place now: it is full, or asked to be left alone.
    Busy,
    /// It is expected to fail.
    Failing,
}

/// What a request knew of its destination's health when it was picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(
    /// The epoch, of 18 bits, and whether it is a trial: tickets travel with requests.
    u32,
);

impl Ticket {
    const TRIAL: u32 = 1 << 31;

    pub(crate) fn is_trial(self) -> bool {
        self.0 & Ticket::TRIAL != 0
    }

    /// Whether nothing has happened since it was given out.
    fn is_of(self, state: State) -> bool {
        u64::from(self.0 & !Ticket::TRIAL) == state.epoch
    }
}

impl Health {
    /// Healthy, and counted by `census` when it no longer is; `id` is the destination's.
    pub(crate) fn new(census: Arc<Census>, id: u64) -> Self {
        Health {
            word: AtomicU64::new(0),
            failures: FailureRatio::default(),
            census,
            id,
        }
    }

    /// The destination's.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the destination is chosen like any other: not set aside for whatever reason.
    #[inline]
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.word.load(Relaxed) & SET_ASIDE == 0
    }

    /// What keeps a request from it, if anything does.
    pub(crate) fn obstacle(&self) -> Option<Obstacle> {
        self.state().obstacle()
    }

    /// The state, for tables and metrics.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state();
        let until = state.until();
        match state {
            State { trial: true, .. } => Standing::OnTrial,
            State { level: 1.., .. } => Standing::Ejected { until },
            State { stalled: true, .. } => Standing::Stalled { until },
            State { closed: true, .. } => Standing::PushedBack { until },
            State { full: true, .. } => Standing::Full,
            _ => Standing::Healthy,
        }
    }

    fn state(&self) -> State {
        State::unpack(self.word.load(Relaxed))
    }

    /// The share of its requests that failed of late, and over a longer time; probes, refusals and
    /// errors of applications are no failures.
    pub(crate) fn failure_ratios(&self) -> (f32, f32) {
        self.failures.ratios()
    }

    /// For a request that is no trial.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.state().epoch as u32)
    }

    /// For the one request that may be the trial, if the time has come and there is none yet.
    pub(crate) fn try_trial(&self, now: Nanos) -> Option<Ticket> {
        self.try_trial_from(now, State::until)
    }

    /// The same for a destination that is badly needed: soon after it was ejected.
    pub(crate) fn try_early_trial(&self, now: Nanos) -> Option<Ticket> {
        if self.state().closed {
            return None;
        }
        self.try_trial_from(now, |state| self.begun(state) + SHORTEST_REST)
    }

    /// When the destination was set aside.
    fn begun(&self, state: State) -> Nanos {
        let jitter = match state.level {
            // A stall has none.
            0 => 0.0,
            _ => self.census.jitter(self.id, state.epoch_before()),
        };
        state.until() - state.ejection(jitter)
    }

    /// Whether [`try_trial`](Self::try_trial) would succeed.
    pub(crate) fn is_trial_due(&self, now: Nanos) -> bool {
        let state = self.state();
        state.awaits_trial() && state.until() <= now
    }

    fn try_trial_from(&self, now: Nanos, due: impl Fn(State) -> Nanos) -> Option<Ticket> {
        let state = self.transition(|state| {
            let due = state.awaits_trial() && due(state) <= now;
            due.then_some(State {
                trial: true,
                ..state
            })
        })?;
        Some(Ticket(state.epoch as u32 | Ticket::TRIAL))
    }

    /// The destination answered.
    pub(crate) fn succeeded(&self, ticket: Ticket, now: Nanos) {
        self.failures.succeeded();
        if self.is_healthy() {
            return;
        }
        self.transition(|state| {
            let current = state.needs_trial() && ticket.is_of(state);
            let alive = state.stalled && state.level == 0 && !state.closed;
            (current || alive).then(|| state.healthy(now))
        });
    }

    /// Whether the destination has been neither set aside nor taken back since the ticket was given
    /// out, so that how long the request took is typical of it.
    pub(crate) fn is_current(&self, ticket: Ticket) -> bool {
        ticket.is_of(self.state())
    }

    /// Counts a failure in the ratios.
    pub(crate) fn count_failure(&self) {
        self.failures.failed();
    }

    /// The destination, or the way to it, failed.
    pub(crate) fn failed(&self, ticket: Ticket, now: Nanos) {
        let relapsing = self.failures.is_relapsing();
        self.transition(|state| {
            let current = ticket.is_of(state) && (state.level == 0 || ticket.is_trial());
            let jitter = self.census.jitter(self.id, state.epoch);
            let stalled = state.level == 0 && state.stalled;
            (current || stalled).then(|| state.ejected(now, relapsing, jitter))
        });
    }

    /// The destination answered that it is overloaded, and perhaps when to come back. Where it does
    /// not say, pauses double as long as trials are answered the same way.
    pub(crate) fn pushed_back(&self, ticket: Ticket, push_back: Option<Nanos>, now: Nanos) {
        self.transition(|state| {
            let current = ticket.is_of(state) && (!state.needs_trial() || ticket.is_trial());
            let repeats = if state.closed { state.memory + 1 } else { 0 };
            current.then(|| State {
                level: 0,
                stalled: false,
                closed: true,
                memory: repeats.min(MOST_REPEATS),
                ..state.resting(now + pause(push_back, repeats))
            })
        });
    }

    /// The destination owes answers for much longer than they take.
    pub(crate) fn stall(&self, now: Nanos) {
        self.transition(|state| {
            (!state.needs_trial()).then(|| State {
                stalled: true,
                ..state.resting(now + FIRST_EJECTION)
            })
        });
    }

    /// The limit of requests there was reached, or no longer is.
    pub(crate) fn set_full(&self, full: bool) {
        self.transition(|state| (state.full != full).then_some(State { full, ..state }));
    }

    /// Whether [`set_full`](Self::set_full) was last told so.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.state().full
    }

    /// The request ended without telling anything; if it was the trial, another may be.
    pub(crate) fn abandoned(&self, ticket: Ticket) {
        if ticket.is_trial() {
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
        let changed = self.word.fetch_update(Relaxed, Relaxed, |word| {
            step(State::unpack(word)).map(State::pack)
        });
        let before = changed.ok()?;
        let state = State::unpack(before);
        let after = step(state).map_or(before, State::pack);
        self.count(before, after);
        Some(state)
    }

    /// The state was the one, and is the other.
    #[cold]
    fn count(&self, before: u64, after: u64) {
        match (before & SET_ASIDE != 0, after & SET_ASIDE != 0) {
            (false, true) => self.census.one_aside(),
            (true, false) => self.census.one_back(),
            _ => {}
        }
        if State::unpack(after).obstacle() < State::unpack(before).obstacle() {
            self.census.openings().add(self.id);
        }
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        if !self.is_healthy() {
            self.census.one_back();
        }
    }
}
