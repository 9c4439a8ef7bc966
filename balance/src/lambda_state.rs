//! What the destinations of one lambda have in common.

use crate::average::{Average, sample};
use crate::stamp::{Age, Stamp};
use crate::{Hedging, Nanos};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};

/// Weight of a new sample in the means of the lambda.
const WEIGHT: f32 = 0.02;
/// Means over all destinations of a lambda, and what limits the looking around.
#[derive(Debug)]
pub(crate) struct LambdaState {
    latency: Average,
    service: Average,
    explorations: Ration,
    probes: Ration,
    /// Destinations that asked to be left alone with this lambda.
    closed: AtomicI32,
    /// Positions of the last two routes that won, in sixteen bits each.
    winners: AtomicU32,
    hedging: Hedging,
}

impl LambdaState {
    pub(crate) fn new(now: Nanos) -> Self {
        LambdaState {
            latency: Average::default(),
            service: Average::default(),
            explorations: Ration::new(now),
            probes: Ration::new(now),
            closed: AtomicI32::new(0),
            winners: AtomicU32::new(0),
            hedging: Hedging::default(),
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

    /// What limits requests that explore.
    pub(crate) fn explorations(&self) -> &Ration {
        &self.explorations
    }

    /// What limits probes.
    pub(crate) fn probes(&self) -> &Ration {
        &self.probes
    }

    /// How many destinations asked to be left alone with this lambda.
    #[inline]
    pub(crate) fn closed(&self) -> usize {
        // An end may be counted a moment before the beginning that it ends.
        self.closed.load(Relaxed).max(0) as usize
    }

    /// One more did.
    pub(crate) fn one_closed(&self) {
        self.closed.fetch_add(1, Relaxed);
    }

    /// One of them may be chosen again, or is gone.
    pub(crate) fn one_opened(&self) {
        self.closed.fetch_sub(1, Relaxed);
    }

    /// When to send copies.
    pub(crate) fn hedging(&self) -> &Hedging {
        &self.hedging
    }

    /// Positions of the last two routes that won, which may not exist any more.
    pub(crate) fn winners(&self) -> [usize; 2] {
        let word = self.winners.load(Relaxed);
        [word & 0xFFFF, word >> 16].map(|position| position as usize)
    }

    /// Notes the position of the route that won, unless that is beyond what there is room for: it is
    /// a hint only.
    pub(crate) fn won(&self, position: usize) {
        let last = self.winners.load(Relaxed) & 0xFFFF;
        if position <= 0xFFFF && last != position as u32 {
            self.winners.store(position as u32 | last << 16, Relaxed);
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
        lambda.won(70_000);
        assert_eq!(lambda.winners(), [7, 3], "there is no room for that one");
        lambda.won(65_535);
        assert_eq!(lambda.winners(), [65_535, 7]);
    }
}
