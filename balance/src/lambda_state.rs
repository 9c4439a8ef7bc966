//! What the destinations of one lambda have in common.

use crate::Nanos;
use crate::average::{Average, sample};
use crate::stamp::{Age, Stamp, pack, unpack};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weight of a new sample in the means of the lambda.
const WEIGHT: f32 = 0.02;
/// A route that was neither sampled nor picked for so long is due for exploration.
pub(crate) const UNTOUCHED: Age = Age::from_millis(5_000);
/// An exploration may come this long after the last one, however few requests there are.
const EXPLORATION_PAUSE: Age = Age::from_millis(30_000);

/// Means over all destinations of a lambda, and when the last exploration was.
#[derive(Debug)]
pub(crate) struct LambdaState {
    latency: Average,
    service: Average,
    /// Stamp of the last exploration, at first of the birth | picks that could have been one since.
    exploration: AtomicU64,
    explorations: Ration,
    probes: Ration,
    /// Positions of the last two routes that won.
    winners: AtomicU64,
}

impl LambdaState {
    pub(crate) fn new(now: Nanos) -> Self {
        LambdaState {
            latency: Average::default(),
            service: Average::default(),
            exploration: AtomicU64::new(pack(Stamp::at(now).0, 0)),
            explorations: Ration::new(now),
            probes: Ration::new(now),
            winners: AtomicU64::new(0),
        }
    }

    /// Mean latency in seconds; 0 before the first sample.
    #[inline]
    pub(crate) fn latency(&self) -> f32 {
        self.latency.seconds()
    }

    /// Mean service time in seconds; 0 before the first sample.
    #[inline]
    pub(crate) fn service(&self) -> f32 {
        self.service.seconds()
    }

    /// Takes a sample of one of the lambda's routes.
    pub(crate) fn record(&self, latency: Nanos, service: Option<Nanos>) {
        self.latency.record(sample(latency), WEIGHT);
        if let Some(service) = service {
            self.service.record(sample(service), WEIGHT);
        }
    }

    /// Whether this pick, which found a route due for exploration, may be the one to explore it:
    /// one in `picks` of those that ask.
    pub(crate) fn may_explore(&self, picks: u32, now: Stamp) -> bool {
        let word = self.exploration.load(Relaxed);
        let (last, passed_over) = unpack(word);
        if passed_over + 1 < picks && Stamp(last).age(now) < EXPLORATION_PAUSE {
            self.exploration.fetch_add(pack(0, 1), Relaxed);
            return false;
        }
        // Of several cores that get here together, one explores.
        self.exploration
            .compare_exchange(word, pack(now.0, 0), Relaxed, Relaxed)
            .is_ok()
    }

    /// What limits requests that explore.
    pub(crate) fn explorations(&self) -> &Ration {
        &self.explorations
    }

    /// What limits probes.
    pub(crate) fn probes(&self) -> &Ration {
        &self.probes
    }

    /// Positions of the last two routes that won, which may not exist any more.
    pub(crate) fn winners(&self) -> [usize; 2] {
        let (last, before) = unpack(self.winners.load(Relaxed));
        [last as usize, before as usize]
    }

    /// Notes the position of the route that won.
    pub(crate) fn won(&self, position: usize) {
        let word = self.winners.load(Relaxed);
        let position = position as u32;
        if unpack(word).0 != position {
            self.winners.store(pack(position, unpack(word).0), Relaxed);
        }
    }
}

/// How often something is done that one in many requests does: on a draw, and where requests are rare
/// whenever the last time is long ago.
#[derive(Debug)]
pub(crate) struct Ration {
    /// Stamp of the last time, at first of the birth.
    last: AtomicU32,
}

impl Ration {
    fn new(now: Nanos) -> Self {
        Ration {
            last: AtomicU32::new(Stamp::at(now).0),
        }
    }

    /// Whether this request is the one, `drawn` or not. Of several cores that get here together one
    /// is told so.
    pub(crate) fn is_next(&self, drawn: bool, apart: Age, now: Stamp) -> bool {
        let last = self.last.load(Relaxed);
        if !drawn && Stamp(last).age(now) < apart {
            return false;
        }
        self.last
            .compare_exchange(last, now.0, Relaxed, Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exploration_is_rationed_by_picks_and_by_time() {
        let lambda = LambdaState::new(Nanos::ZERO);
        let explored =
            |seconds: f64| lambda.may_explore(128, Stamp::at(Nanos::from_secs_f64(seconds)));
        let busy: Vec<_> = (0..512).filter(|_| explored(10.0)).collect();
        assert_eq!(busy.len(), 4);
        assert!(!explored(39.0));
        assert!(explored(40.1), "30 s since the last one");
        assert!(!explored(40.2));
    }

    #[test]
    fn a_ration_is_for_those_that_are_drawn_and_for_one_after_a_long_time() {
        let ration = Ration::new(Nanos::ZERO);
        let apart = Age::from_millis(5_000);
        let next =
            |drawn, seconds| ration.is_next(drawn, apart, Stamp::at(Nanos::from_secs_f64(seconds)));
        assert!(!next(false, 4.9) && next(true, 4.9));
        assert!(!next(false, 9.8));
        assert!(next(false, 10.0) && !next(false, 10.1));
    }

    #[test]
    fn the_last_two_winners_differ() {
        let lambda = LambdaState::new(Nanos::ZERO);
        for position in [3, 3, 7, 7] {
            lambda.won(position);
        }
        assert_eq!(lambda.winners(), [7, 3]);
    }
}
