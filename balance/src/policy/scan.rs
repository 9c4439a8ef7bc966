//! A look at all candidates: the one that costs least, or now and then the most neglected.

use super::{Choice, Scene, any_index};
use crate::lambda_state::UNTOUCHED;
use crate::route::Route;
use crate::stamp::Stamp;
use rand::Rng;
use std::sync::Arc;

/// The candidate that costs least. The scan starts anywhere, so that exact ties are broken at random.
pub(super) fn least<'a>(
    scene: &Scene<'a>,
    rng: &mut dyn Rng,
    cost: impl Fn(&Route) -> f32,
) -> Option<&'a Arc<Route>> {
    let mut best = None;
    let mut least = f32::INFINITY;
    let (before, after) = scene.routes.split_at(any_index(scene.routes.len(), rng));
    for route in after.iter().chain(before) {
        if scene.admits(route) {
            let cost = cost(route);
            if cost < least || best.is_none() {
                (best, least) = (Some(route), cost);
            }
        }
    }
    best
}

/// The candidate that costs least or, in at most one of `picks` picks of the lambda (or one in 30 s
/// if picks are rarer), the one that was neither sampled nor picked for the longest time, if that is
/// at least 5 s: so a destination that has become good is noticed.
pub(super) fn least_or_neglected(
    scene: &Scene<'_>,
    rng: &mut dyn Rng,
    picks: u32,
    cost: impl Fn(&Route) -> f32,
) -> Option<Choice> {
    let now = Stamp::at(scene.now);
    let mut best = None;
    let mut least = f32::INFINITY;
    let mut idle = None;
    let mut longest = UNTOUCHED;

    let start = any_index(scene.routes.len(), rng);
    let (before, after) = scene.routes.split_at(start);
    let candidates = after.iter().chain(before);
    for route in candidates.filter(|route| scene.admits(route)) {
        let cost = cost(route);
        if cost < least || best.is_none() {
            (best, least) = (Some(route), cost);
        }
        let untouched = route.pair().untouched(route.pair().latency(now), now);
        if untouched > longest || (idle.is_none() && untouched == longest) {
            (idle, longest) = (Some(route), untouched);
        }
    }

    let explored = idle.filter(|_| scene.lambda.may_explore(picks, now));
    let chosen = explored.or(best)?;
    chosen.pair().picked(now);
    Some(Choice {
        explored: explored.is_some(),
        ..Choice::from(Arc::clone(chosen))
    })
}
