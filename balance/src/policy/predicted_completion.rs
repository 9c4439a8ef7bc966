//! Predicted completion with conditional acceptance, the default: the earliest predicted answer,
//! unless the destination knows better.

mod prediction;
mod scan;

use super::scan::{draws, idlest, neglected, sampled};
use super::{Choice, Chosen, Cost, Policy, Predicted, Scene, any_index, costs_of};
use crate::average::sample;
use crate::lambda_state::LambdaState;
use crate::real::LANES;
use crate::route::SharedRoute;
use crate::routes::Routes;
use crate::stamp::{Age, Stamp};
use crate::{Nanos, Report};
use prediction::{Means, Prediction};
use rand::Rng;
use scan::Scan;
use std::num::NonZeroU64;

/// A destination that was neither used nor heard of for so long gets a probe: a question that no
/// client waits for.
const WORTH_A_PROBE: Age = Age::from_millis(1_000);
/// One that could not be probed, or did not answer, gets a request after so long.
const WORTH_A_REQUEST: Age = Age::from_millis(20_000);
/// Share of the picks that may be such requests.
const REQUESTS_TO_EXPLORE: f64 = 1.0 / 1024.0;
/// Where requests are rare, a probe may come this long after the last one.
const PROBES_APART: Age = Age::from_millis(5_000);
/// Weight of a new sample in what is kept of a pair.
const SAMPLE_WEIGHT: f32 = 0.02;

/// When a destination may turn a request down, and how often one without requests is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompletionConfig {
    /// The wait that is accepted, in units of what the second best destination promised: 0 to 100.
    /// Smaller means more refusals, shorter tails and more messages: 1 where bodies are small and
    /// destinations plenty, 1.5 where bodies are large.
    pub strictness: f64,
    /// Refusals per request that the broker affords on average: 0 (none at all) to 1.
    pub refusal_share: f64,
    /// How often one request may be turned down, 0 to 64; after that it goes out unconditionally.
    pub max_refusals: u32,
    /// Probes per request, on average, as long as there are destinations of which nothing was
    /// heard for a second: 0 (none) to 1.
    pub probes: f64,
}

impl Default for CompletionConfig {
    fn default() -> Self {
        CompletionConfig {
            strictness: 1.3,
            refusal_share: 0.2,
            max_refusals: 2,
            probes: 0.0625,
        }
    }
}

/// See [`prediction`] for the formulas.
#[derive(Clone, Copy, Debug)]
pub(super) struct PredictedCompletion {
    config: CompletionConfig,
}

impl PredictedCompletion {
    pub(super) fn new(config: CompletionConfig) -> Self {
        PredictedCompletion { config }
    }

    /// How long the request should wait for its turn at the most.
    fn max_wait(&self, scene: &Scene<'_>, chosen: Prediction, second: f32) -> Option<NonZeroU64> {
        let CompletionConfig {
            strictness,
            refusal_share,
            max_refusals,
            ..
        } = self.config;
        if refusal_share <= 0.0 || scene.tried.refusals() >= max_refusals || !second.is_finite() {
            return None;
        }
        scene.broker.refusals().left()?;
        let service = chosen.service?;
        let wait = strictness * f64::from(prediction::seconds(second)) - f64::from(service);
        Some(NonZeroU64::new(Nanos::from_secs_f64(wait).0).unwrap_or(NonZeroU64::MIN))
    }
}

impl Policy for PredictedCompletion {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        if scene.tried.is_empty() {
            scene
                .broker
                .refusals()
                .deposit(self.config.refusal_share as f32);
        }
        let now = Stamp::at(scene.now);
        let means = Means::of(scene);
        let n = scene.routes.len();
        let mut scan = Scan::new(scene, means, now, any_index(n.max(LANES), rng));
        match scene.routes {
            Routes::Few(routes) => scan.look_at_few(routes),
            Routes::Many(many) => scan.look_at_some(&sampled(scene, rng), many),
        }
        let idle = neglected(scene, REQUESTS_TO_EXPLORE, WORTH_A_REQUEST, rng);
        let best = scan.best().or_else(|| scan.any_at_all(rng));
        let (at, expected) = match (idle, &best) {
            (Some(at), _) => (at, Prediction::of(scene.routes.at(at), &means, now)),
            (None, Some(best)) => (best.at, best.expected),
            (None, None) => return None,
        };
        let max_wait = match &best {
            Some(best) if idle.is_none() => {
                scene.lambda.won(at);
                self.max_wait(scene, expected, best.second)
            }
            _ => None,
        };
        let chosen = scene.routes.at(at);
        chosen.pair().picked(now);
        let Prediction {
            completion,
            service,
            ..
        } = expected;
        Some(Choice {
            route: chosen.into(),
            max_wait,
            predicted: service.map(|service| Predicted {
                seconds: completion,
                wait: completion - service,
            }),
            spare: best
                .and_then(|best| best.needed)
                .map(|at| scene.routes.at(at)),
            explored: idle.is_some(),
            forecast: None,
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        Some(SAMPLE_WEIGHT)
    }

    fn probes_due(&self, lambda: &LambdaState, now: Nanos, rng: &mut dyn Rng) -> usize {
        let share = self.config.probes;
        let drawn = draws(share, rng);
        let now = Stamp::at(now);
        usize::from(share > 0.0 && lambda.probes().is_next(drawn, PROBES_APART, now))
    }

    fn probes(
        &self,
        scene: &Scene<'_>,
        _due: usize,
        rng: &mut dyn Rng,
        ask: &mut dyn FnMut(&SharedRoute),
    ) {
        let now = Stamp::at(scene.now);
        let idle = idlest(scene, WORTH_A_PROBE, rng, now).map(|at| scene.routes.at(at));
        if let Some(route) = idle.filter(|route| route.is_final()) {
            ask(route);
        }
    }

    /// An estimate is as good as a sample until there is a real one: the longer nothing was heard,
    /// the more the next samples count.
    fn probed(
        &self,
        route: Chosen<'_>,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
    ) {
        // Some estimate in whole milliseconds, and nothing is 0 there.
        let Some(estimate) = estimate.filter(|estimate| *estimate > Nanos::ZERO) else {
            return;
        };
        let route = route.route();
        let destination = route.destination();
        let free = match (report.in_flight, report.workers) {
            (Some(in_flight), Some(workers)) => in_flight < workers,
            _ => false,
        };
        let service = free.then_some(estimate);
        destination.load().estimated(latency, service, now);
        let total = sample(latency + estimate);
        let company = destination.in_flight().saturating_add(1) as f32;
        let pair = route.pair();
        let now = Stamp::at(now);
        pair.record(total, service.map(sample), company, SAMPLE_WEIGHT, now);
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let now = Stamp::at(scene.now);
        let means = Means::of(scene);
        costs_of(scene, |route| {
            let prediction = Prediction::of(route, &means, now);
            let seconds = prediction::seconds(prediction.cost);
            (f64::from(seconds), prediction.terms(route))
        })
    }
}
