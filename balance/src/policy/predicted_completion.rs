//! Predicted completion with conditional acceptance, the default: the earliest predicted answer,
//! unless the destination knows better.

mod prediction;
mod scan;

use super::{Choice, Cost, Policy, Scene, any_index, costs_of};
use crate::Nanos;
use crate::lambda_state::UNTOUCHED;
use crate::route::Route;
use crate::stamp::Stamp;
use prediction::{Means, Prediction};
use rand::Rng;
use scan::Scan;
use std::sync::Arc;

/// Up to so many routes all are looked at.
const FULL_SCAN: usize = 128;
/// Beyond, so many drawn at random, and the last two winners.
const DRAWN: usize = 8;
/// One in so many picks is an exploration, if there is anything to explore.
const PICKS_PER_EXPLORATION: u32 = 1024;

/// When a destination may turn a request down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceptability {
    /// The wait that is accepted, in units of what the second best destination promised: 0 to 100.
    /// Smaller means more refusals, shorter tails and more messages: 1 where bodies are small and
    /// destinations plenty, 1.5 where bodies are large.
    pub strictness: f64,
    /// Refusals per request that the broker affords on average: 0 (none at all) to 1.
    pub refusal_share: f64,
    /// How often one request may be turned down, 0 to 64; after that it goes out unconditionally.
    pub max_refusals: u32,
}

impl Default for Acceptability {
    fn default() -> Self {
        Acceptability {
            strictness: 1.3,
            refusal_share: 0.2,
            max_refusals: 2,
        }
    }
}

/// See [`prediction`] for the formulas.
#[derive(Debug)]
pub(super) struct PredictedCompletion {
    acceptability: Acceptability,
}

impl PredictedCompletion {
    pub(super) fn new(acceptability: Acceptability) -> Self {
        PredictedCompletion { acceptability }
    }

    /// How long the request should wait for its turn at the most.
    fn max_wait(&self, scene: &Scene<'_>, chosen: Prediction, second: f32) -> Option<Nanos> {
        let Acceptability {
            strictness,
            refusal_share,
            max_refusals,
        } = self.acceptability;
        if refusal_share <= 0.0 || scene.tried.refusals() >= max_refusals || !second.is_finite() {
            return None;
        }
        scene.broker.refusals().left()?;
        let service = chosen.service?;
        let wait = strictness * f64::from(prediction::seconds(second)) - f64::from(service);
        // A wait of nothing is written as a nanosecond: on the wire zero means any wait.
        Some(Nanos::from_secs_f64(wait).max(Nanos(1)))
    }
}

/// True once in `n` times.
fn one_in(n: u32, rng: &mut dyn Rng) -> bool {
    rng.next_u32() < u32::MAX / n
}

/// The candidate that was neither used nor heard of for the longest time, if that is long.
fn idlest(scene: &Scene<'_>, now: Stamp) -> Option<usize> {
    let untouched = |route: &Route| {
        let pair = route.pair();
        pair.untouched(pair.latency(now), now)
    };
    let candidates = scene.routes.iter().enumerate();
    candidates
        .filter(|(_, route)| scene.admits(route))
        .map(|(at, route)| (at, untouched(route)))
        .filter(|(_, age)| *age > UNTOUCHED)
        .max_by_key(|(_, age)| *age)
        .map(|(at, _)| at)
}

impl Policy for PredictedCompletion {
    fn choose(&self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<Choice> {
        if scene.tried.is_empty() {
            scene
                .broker
                .refusals()
                .deposit(self.acceptability.refusal_share as f32);
        }
        let now = Stamp::at(scene.now);
        let means = Means::of(scene);
        let mut scan = Scan::new();
        let n = scene.routes.len();
        if n <= FULL_SCAN {
            let start = any_index(n, rng);
            scan.look_at(scene, means, now, start..n);
            scan.look_at(scene, means, now, 0..start);
        } else {
            let winners = scene.lambda.winners().into_iter().filter(|at| *at < n);
            scan.look_at(scene, means, now, winners);
            let drawn: [usize; DRAWN] = std::array::from_fn(|_| any_index(n, rng));
            scan.look_at(scene, means, now, drawn);
            if scan.best.is_none() {
                scan.look_at(scene, means, now, 0..n);
            }
        }
        let idle = if scene
            .lambda
            .explores(one_in(PICKS_PER_EXPLORATION, rng), now)
        {
            idlest(scene, now)
        } else {
            None
        };
        let explored = idle.is_some();
        let at = idle.or(scan.best)?;
        let chosen = &scene.routes[at];
        let prediction = Prediction::of(chosen, means, now);
        let max_wait = if explored {
            None
        } else {
            scene.lambda.won(at);
            self.max_wait(scene, prediction, scan.second)
        };
        chosen.pair().picked(now);
        let span = |seconds: f32| Nanos::from_secs_f64(f64::from(seconds));
        let Prediction {
            completion,
            service,
            ..
        } = prediction;
        Some(Choice {
            route: Arc::clone(chosen),
            max_wait,
            predicted: service.map(|_| span(completion)),
            predicted_wait: service.map(|service| span(completion - service)),
            spare: scan.needed().map(|at| Arc::clone(&scene.routes[at])),
            explored,
            forecast: None,
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        Some(0.02)
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let now = Stamp::at(scene.now);
        let means = Means::of(scene);
        costs_of(scene, |route| {
            let prediction = Prediction::of(route, means, now);
            let seconds = prediction::seconds(prediction.cost);
            (f64::from(seconds), prediction.terms(route))
        })
    }
}
