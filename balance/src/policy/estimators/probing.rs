//! The estimator that asks: `probe`.

use super::Forecast;
use super::spread::{self, Candidate, Candidates};
use crate::policy::slots::{Slot, follow};
use crate::policy::{Choice, Chosen, Cost, Policy, Scene, any_index};
use crate::route::SharedRoute;
use crate::routes::{Change, Routes};
use crate::{Nanos, Report};
use rand::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Destinations that are asked about one request at the most, drawn at random where there are more.
const MOST_ASKED: usize = 64;
/// One that did not answer is not asked for so long, since every request waits for all answers.
const REST: Nanos = Nanos::from_secs(1);
/// How long an answer is remembered for requests that get none.
const KNOWN_FOR: Nanos = Nanos::from_secs(10);

/// Chooses the smallest sum of what the destination estimates for this very request and the time
/// that asking took, which is the network's.
///
/// A destination that did not answer counts as it did last, but not as better than the worst of
/// those that answered: silence is no good sign. Requests of this broker that left since the question
/// did are added. The policy does not ask by itself: see
/// [`ForwardingTable::inquire`](crate::ForwardingTable::inquire).
#[derive(Debug, Default)]
pub(super) struct Probing {
    slots: Mutex<Vec<Slot<Asked>>>,
}

/// What came of questions about one lambda to one destination.
#[derive(Debug, Default)]
struct Asked {
    known: Option<Known>,
    /// When the last question was asked, if it was not answered.
    silent: Option<Nanos>,
}

/// The last answer of a destination about a lambda, whatever the size of the input was.
#[derive(Clone, Copy, Debug)]
struct Known {
    network: f64,
    processing: f64,
    at: Nanos,
}

impl Probing {
    fn slots(&self) -> MutexGuard<'_, Vec<Slot<Asked>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn candidates<'a>(slots: &'a mut [Slot<Asked>], scene: &Scene<'_>) -> Candidates<'a> {
    let input_bytes = scene.request.input_bytes;
    let mut worst: Option<Forecast> = None;
    let mut silent = Vec::new();
    let mut at = 0;
    let mut candidates = spread::candidates(slots.iter_mut(), scene, |route, asked| {
        let in_flight = route.destination().in_flight();
        let answer = scene.answers.of(route);
        let (forecast, unseen) = match answer {
            Some(answer) => {
                let forecast = Forecast {
                    input_bytes,
                    network: answer.latency.as_secs_f64(),
                    processing: answer.estimate.as_secs_f64(),
                    ..Forecast::default()
                };
                if worst.is_none_or(|worst| worst.seconds() < forecast.seconds()) {
                    worst = Some(forecast);
                }
                (Some(forecast), in_flight.saturating_sub(answer.in_flight))
            }
            None => {
                silent.push(at);
                let recent = asked
                    .known
                    .filter(|known| scene.now.since(known.at) < KNOWN_FOR);
                let forecast = recent.map(|known| Forecast {
                    input_bytes,
                    network: known.network,
                    processing: known.processing,
                    ..Forecast::default()
                });
                (forecast, in_flight)
            }
        };
        at += 1;
        Candidate {
            route,
            forecast,
            unseen,
        }
    });
    for at in silent {
        let forecast = &mut candidates[at].forecast;
        let known = forecast.map_or(0.0, |forecast| forecast.seconds());
        if let Some(worst) = worst.filter(|worst| worst.seconds() > known) {
            *forecast = Some(worst);
        }
    }
    candidates
}

impl Policy for Probing {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let mut slots = self.slots();
        let candidates = candidates(&mut slots, scene);
        let chosen = candidates[spread::cheapest(&candidates, rng)?];
        let forecast = chosen.promised();
        let unknown = Forecast {
            input_bytes: scene.request.input_bytes,
            ..Forecast::default()
        };
        Some(Choice {
            forecast: Some(Box::new(forecast.unwrap_or(unknown))),
            ..Choice::from(SharedRoute::clone(chosen.route))
        })
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        spread::explained(&candidates(&mut self.slots(), scene))
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {
        follow(&mut self.slots(), change, |_| Asked::default());
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    /// All candidates that execute lambdas themselves, since others may take the question for a
    /// request, and that answered the last time.
    fn inquire(&self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Vec<SharedRoute> {
        let askable = |slot: &&Slot<Asked>| {
            let silent = slot.state.silent;
            slot.route.is_final()
                && scene.admits(&slot.route)
                && silent.is_none_or(|asked| scene.now.since(asked) >= REST)
        };
        let slots = self.slots();
        let askable = slots.iter().filter(askable);
        let mut asked: Vec<_> = askable
            .map(|slot| SharedRoute::clone(&slot.route))
            .collect();
        drop(slots);
        let start = any_index(asked.len(), rng);
        asked.rotate_left(start);
        for at in 0..asked.len().min(MOST_ASKED) {
            let other = at + any_index(asked.len() - at, rng);
            asked.swap(at, other);
        }
        asked.truncate(MOST_ASKED);
        asked
    }

    fn probed(
        &self,
        route: Chosen<'_>,
        latency: Nanos,
        estimate: Option<Nanos>,
        _report: &Report,
        now: Nanos,
    ) {
        let Some(estimate) = estimate else {
            return;
        };
        // A route that is gone stays gone.
        let mut slots = self.slots();
        for slot in slots
            .iter_mut()
            .filter(|s| SharedRoute::ptr_eq(&s.route, route.route()))
        {
            slot.state = Asked {
                known: Some(Known {
                    network: latency.as_secs_f64(),
                    processing: estimate.as_secs_f64(),
                    at: now,
                }),
                silent: None,
            };
        }
    }

    fn unanswered(&self, route: &SharedRoute, asked: Nanos) {
        let mut slots = self.slots();
        for slot in slots
            .iter_mut()
            .filter(|s| SharedRoute::ptr_eq(&s.route, route))
        {
            slot.state.silent = Some(asked);
        }
    }
}
