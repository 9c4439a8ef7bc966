//! A look at all candidates: the one that costs least, or now and then the most neglected.

use super::{Choice, Scene, any_index};
use crate::route::{Route, SharedRoute};
use crate::stamp::{Age, Stamp};
use rand::Rng;
use std::hint::select_unpredictable;

/// Share of the picks that are explorations.
const REQUESTS_TO_EXPLORE: f64 = 1.0 / 128.0;
/// A route that was neither sampled nor picked for so long is due for exploration.
const UNTOUCHED: Age = Age::from_millis(5_000);
/// An exploration may come this long after the last one, however few requests there are.
const EXPLORATIONS_APART: Age = Age::from_millis(30_000);

/// Of more routes than these, so many are looked at to find one that has been idle.
const LOOKED_AT: usize = 256;

/// The candidate that costs least. The scan starts anywhere, so that exact ties are broken at random.
pub(super) fn least<'a>(
    scene: &Scene<'a>,
    rng: &mut dyn Rng,
    cost: impl Fn(&Route) -> f32,
) -> Option<&'a SharedRoute> {
    let mut best = None;
    let mut least = f32::INFINITY;
    let (before, after) = scene.routes.split_at(any_index(scene.routes.len(), rng));
    for route in after.iter().chain(before) {
        if scene.admits(route) {
            let cost = cost(route);
            // Nobody can foresee which is better, so there is no branch on it.
            let better = cost < least;
            let known = best.unwrap_or(route);
            best = Some(select_unpredictable(better, route, known));
            least = select_unpredictable(better, cost, least);
        }
    }
    best
}

/// True with this probability.
pub(super) fn draws(probability: f64, rng: &mut dyn Rng) -> bool {
    f64::from(rng.next_u32()) < probability * f64::from(u32::MAX)
}

/// The candidate that was neither used nor heard of for the longest time, if that is long. Of very
/// many only some are looked at, others each time.
pub(super) fn idlest(scene: &Scene<'_>, long: Age, rng: &mut dyn Rng, now: Stamp) -> Option<usize> {
    let untouched = |route: &Route| {
        let pair = route.pair();
        pair.untouched(pair.latency(now), now)
    };
    let routes = scene.routes;
    let first = match routes.len() {
        0..=LOOKED_AT => 0,
        many => any_index(many, rng),
    };
    let in_turn = routes[first..].iter().chain(&routes[..first]);
    in_turn
        .take(LOOKED_AT)
        .enumerate()
        .filter(|(_, route)| scene.admits(route))
        .map(|(at, route)| (at, untouched(route)))
        .filter(|(_, age)| *age > long)
        .max_by_key(|(_, age)| *age)
        .map(|(at, _)| (first + at) % routes.len())
}

/// The same, in so many of all picks of the lambda on average, and where picks are rarer in one
/// every 30 s: so a destination that has become good is noticed.
pub(super) fn neglected(
    scene: &Scene<'_>,
    share: f64,
    long: Age,
    rng: &mut dyn Rng,
) -> Option<usize> {
    let now = Stamp::at(scene.now);
    let drawn = draws(share, rng);
    let explorations = scene.lambda.explorations();
    if !explorations.is_next(drawn, EXPLORATIONS_APART, now) {
        return None;
    }
    idlest(scene, long, rng, now)
}

/// The candidate that costs least or, now and then, one that is [`neglected`].
pub(super) fn least_or_neglected(
    scene: &Scene<'_>,
    rng: &mut dyn Rng,
    cost: impl Fn(&Route) -> f32,
) -> Option<Choice> {
    let idle = neglected(scene, REQUESTS_TO_EXPLORE, UNTOUCHED, rng).map(|at| &scene.routes[at]);
    let chosen = match idle {
        Some(route) => route,
        None => least(scene, rng, cost)?,
    };
    chosen.pair().picked(Stamp::at(scene.now));
    Some(Choice {
        explored: idle.is_some(),
        ..Choice::from(SharedRoute::clone(chosen))
    })
}
