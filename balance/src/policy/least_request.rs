//! Least request: the smallest weight times requests in flight, over all destinations.

use super::{Choice, Cost, Policy, Scene, Wanted, costs_of, scan};
use crate::route::Route;
use rand::Rng;

/// Chooses the smallest `w x (in flight + 1)^bias`, after the weighted least request of Envoy.
///
/// Envoy divides: a host of weight W competes with `W / (active + 1)^bias`, and the largest wins.
/// Here a weight is a cost, w = 1/W, so that the same order results from the product. Two things
/// differ: Envoy draws two hosts at random (`choice_count`) when all weights are equal, and feeds
/// the quotients to a round robin when they are not; this policy looks at all destinations and takes
/// the best, which at the numbers usual at the edge costs little and is worth a lot.
///
/// Use it where the capacities of destinations are known beforehand and can be announced as weights,
/// or with an [`Optimizer`](crate::Optimizer) that makes weights follow latencies. A larger `bias`
/// listens more to the load and less to the weight; at 0 it is least impedance.
///
/// It keeps nothing and takes no lock. Of more than 128 destinations it looks at the last two
/// that it chose and at eight drawn at random; up to there its cost is linear in their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastRequest {
    bias: f32,
}

impl LeastRequest {
    pub(super) fn new(bias: f64) -> Self {
        LeastRequest { bias: bias as f32 }
    }

    #[inline]
    fn cost(&self, route: &Route) -> f32 {
        route.weight() * load(route).powf(self.bias)
    }
}

/// Requests of this broker there with one more.
#[inline]
fn load(route: &Route) -> f32 {
    route.destination().in_flight() as f32 + 1.0
}

impl Policy for LeastRequest {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        // The usual bias needs no power.
        let chosen = if self.bias == 1.0 {
            scan::least(scene, rng, |route| route.weight() * load(route))
        } else {
            scan::least(scene, rng, |route| self.cost(route))
        }?;
        Some(Choice::from(chosen))
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        costs_of(scene, |route| {
            let terms = vec![("weight", f64::from(route.weight()))];
            (f64::from(self.cost(route)), terms)
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
