//! From predictions to a choice: requests in flight, destinations without prediction, ties.

use super::super::{Cost, Scene, any_index};
use super::Forecast;
use crate::route::{Route, SharedRoute};
use rand::Rng;
use smallvec::SmallVec;
use std::cmp::Ordering;

/// Seconds that a shared time is not below, so that requests in flight count also where the
/// prediction is nothing.
const SHORTEST: f64 = 1e-6;
/// Seconds at a destination where none was measured: any number will do.
const UNKNOWN: f64 = 1.0;

/// A route that may be chosen, and what is predicted for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) route: &'a SharedRoute,
    /// None if nothing was measured that counts.
    pub(super) forecast: Option<Forecast>,
    /// Own requests there that the forecast does not know of.
    pub(super) unseen: u32,
}

/// All of them, in the order of the routes.
pub(super) type Candidates<'a> = SmallVec<[Candidate<'a>; 16]>;

/// How many times as long processing takes when so many `other` requests share the workers of the
/// destination; one that does not report them counts as having one.
pub(super) fn sharing(route: &Route, others: u32) -> f64 {
    let workers = route.destination().workers().unwrap_or(1).max(1);
    1.0 + f64::from(others) / f64::from(workers)
}

/// Seconds until the answer where processing is shared so many times, while the network takes its
/// time once. Where only the network is predicted it stands for the whole.
///
/// The choice between multiplying all and multiplying processing only fell by simulation, see the
/// test `multiplying_processing_only_beats_multiplying_all`.
fn cost(forecast: &Forecast, sharing: f64) -> f64 {
    let (once, shared) = if forecast.processing > 0.0 {
        (forecast.network, forecast.processing)
    } else {
        (0.0, forecast.network)
    };
    once + shared.max(SHORTEST) * sharing
}

impl Candidate<'_> {
    fn cost(&self, mean: &Forecast) -> f64 {
        let forecast = self.forecast.as_ref().unwrap_or(mean);
        cost(forecast, sharing(self.route, self.unseen))
    }

    /// The forecast with what the unseen requests add.
    pub(super) fn promised(&self) -> Option<Forecast> {
        let forecast = self.forecast?;
        Some(Forecast {
            processing: forecast.processing * sharing(self.route, self.unseen),
            ..forecast
        })
    }
}

/// What a candidate without prediction is compared by: the mean of those with one.
fn mean(candidates: &[Candidate<'_>]) -> Forecast {
    let known = candidates.iter().filter_map(|candidate| candidate.forecast);
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), forecast| {
        (sum + forecast.seconds(), count + 1.0)
    });
    Forecast {
        processing: if count > 0.0 { sum / count } else { UNKNOWN },
        ..Forecast::default()
    }
}

/// The index of the cheapest; of several the one with the fewest requests in flight, of several of
/// these any, since the scan starts anywhere. None if there is no candidate.
pub(super) fn cheapest(candidates: &[Candidate<'_>], rng: &mut dyn Rng) -> Option<usize> {
    let mean = mean(candidates);
    let n = candidates.len();
    let start = any_index(n, rng);
    let mut best: Option<(usize, f64, u32)> = None;
    for at in (start..n).chain(0..start) {
        let cost = candidates[at].cost(&mean);
        let in_flight = candidates[at].route.destination().in_flight();
        let better = best.is_none_or(|(_, least, fewest)| {
            let by_cost = cost.total_cmp(&least);
            by_cost.then(in_flight.cmp(&fewest)) == Ordering::Less
        });
        if better {
            best = Some((at, cost, in_flight));
        }
    }
    best.map(|(at, ..)| at)
}

/// The same for people who ask why.
pub(super) fn explained(candidates: &[Candidate<'_>]) -> Vec<Cost> {
    let mean = mean(candidates);
    let explain = |candidate: &Candidate<'_>| {
        let terms = candidate.forecast.map_or_else(Vec::new, |forecast| {
            vec![
                ("network_s", forecast.network),
                ("processing_s", forecast.processing),
                ("load", forecast.load),
                ("unseen", f64::from(candidate.unseen)),
            ]
        });
        Cost {
            route: SharedRoute::clone(candidate.route),
            cost: candidate.cost(&mean),
            terms,
        }
    };
    candidates.iter().map(explain).collect()
}

/// Those of `routes` that the scene admits, with what `forecast` makes of them.
pub(super) fn candidates<'a, S: 'a>(
    slots: impl Iterator<Item = &'a mut crate::policy::slots::Slot<S>>,
    scene: &Scene<'_>,
    mut candidate: impl FnMut(&'a SharedRoute, &mut S) -> Candidate<'a>,
) -> Candidates<'a> {
    slots
        .filter(|slot| scene.admits(&slot.route))
        .map(|slot| candidate(&slot.route, &mut slot.state))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of service at a near and slow place, and at a far and quick one with the same total.
    const PLACES: [(f64, f64); 2] = [(0.001, 0.021), (0.020, 0.002)];

    /// Mean time of requests that arrive every `gap` seconds at places with one worker each, where
    /// each goes to the one that `cost` prefers given network time, service time and requests in
    /// flight. All predictions are exact.
    fn mean_time(gap: f64, cost: impl Fn(f64, f64, u32) -> f64) -> f64 {
        const REQUESTS: usize = 2000;
        let mut free_at = [0.0_f64; 2];
        let mut answers: [Vec<f64>; 2] = Default::default();
        let mut total = 0.0;
        for request in 0..REQUESTS {
            let now = gap * request as f64;
            let price = |at: usize| {
                let in_flight = answers[at].iter().filter(|answer| **answer > now).count();
                cost(PLACES[at].0, PLACES[at].1, in_flight as u32)
            };
            let at = usize::from(price(1) < price(0));
            let (network, service) = PLACES[at];
            free_at[at] = free_at[at].max(now + network / 2.0) + service;
            let answer = free_at[at] + network / 2.0;
            answers[at].push(answer);
            total += answer - now;
        }
        total / REQUESTS as f64
    }

    fn processing_only(network: f64, processing: f64, in_flight: u32) -> f64 {
        let forecast = Forecast {
            network,
            processing,
            ..Forecast::default()
        };
        cost(&forecast, 1.0 + f64::from(in_flight))
    }

    fn all(network: f64, processing: f64, in_flight: u32) -> f64 {
        (network + processing) * (f64::from(in_flight) + 1.0)
    }

    #[test]
    fn multiplying_processing_only_beats_multiplying_all() {
        for gap in [0.05, 0.01, 0.005, 0.003] {
            let (ours, simpler) = (mean_time(gap, processing_only), mean_time(gap, all));
            assert!(ours <= simpler, "every {gap} s: {ours} > {simpler}");
        }
        assert!(mean_time(0.003, processing_only) < 0.9 * mean_time(0.003, all));
    }

    #[test]
    fn requests_in_flight_count_where_the_prediction_is_nothing() {
        let nothing = Forecast::default();
        assert!(cost(&nothing, 2.0) > cost(&nothing, 1.0));
    }
}
