//! Consistent hashing with bounded load: requests that belong together go to the same destination,
//! unless that has more than its share.

use super::{Choice, Cost, Policy, Scene, costs_of};
use crate::route::Route;
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use xxhash_rust::xxh64::xxh64;

/// Ranks the destinations for each affinity of a [`Request`](crate::Request) by a hash of both and
/// takes the first that has less than `load-factor` times its share of the requests in flight.
///
/// Use it for lambdas that profit from going where their session was before: a local state, a warm
/// cache. Requests with the same affinity meet at the same destination whichever broker they come
/// through and whenever it was started; a destination that comes or goes moves only the requests
/// that it gets or had. It looks at neither latency nor the load that others cause.
///
/// * The ranking is that of rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings
///   to Increase Hit Rates", 1998) with weights: the smallest `-w ln u` comes first, u being the hash
///   as a number between 0 and 1. So a destination is first for a share of affinities inverse to its
///   weight. There is no ring to keep.
/// * The bound is that of Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded
///   Loads" (2018): with m requests of this broker in flight at the candidates, this one included, a
///   destination with share p takes at most `ceil(load-factor m p)`. A small factor balances, a large
///   one keeps sessions together; 1.25 is the usual compromise.
/// * Requests without an affinity (0) all rank alike, so they fill one destination after the other.
///
/// It takes no lock. Its cost is linear in the number of destinations.
#[derive(Debug)]
pub(super) struct ConsistentHash {
    load_factor: f64,
}

/// What the bound depends on.
struct Totals {
    requests: f64,
    capacity: f64,
}

/// A share is inverse to the weight, which is a cost.
fn capacity(route: &Route) -> f64 {
    1.0 / f64::from(route.weight())
}

/// The hash of the destination's name, which is kept in the scratch.
fn name_hash(route: &Route) -> u64 {
    let word = &route.scratch()[0];
    match word.load(Relaxed) {
        0 => {
            let hash = xxh64(route.destination().name().as_bytes(), 0);
            word.store(hash, Relaxed);
            hash
        }
        known => known,
    }
}

/// The smallest is first.
fn rank(route: &Route, affinity: u64) -> f64 {
    let hash = xxh64(&name_hash(route).to_le_bytes(), affinity);
    // 52 bits and a half: never 0, never 1.
    let unit = ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -unit.ln() * f64::from(route.weight())
}

impl ConsistentHash {
    pub(super) fn new(load_factor: f64) -> Self {
        ConsistentHash { load_factor }
    }

    fn totals(scene: &Scene<'_>) -> Totals {
        let admitted = scene.routes.iter().filter(|route| scene.admits(route));
        let nothing = Totals {
            requests: 1.0,
            capacity: 0.0,
        };
        admitted.fold(nothing, |sums, route| Totals {
            requests: sums.requests + f64::from(route.destination().in_flight()),
            capacity: sums.capacity + capacity(route),
        })
    }

    /// Requests in flight that the route may have.
    fn bound(&self, route: &Route, totals: &Totals) -> f64 {
        (self.load_factor * totals.requests * capacity(route) / totals.capacity).ceil()
    }
}

impl Policy for ConsistentHash {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        let totals = Self::totals(scene);
        let affinity = scene.request.affinity;
        let mut first: Option<(f64, &Arc<Route>)> = None;
        let mut first_of_all: Option<(f64, &Arc<Route>)> = None;
        for route in scene.routes.iter().filter(|route| scene.admits(route)) {
            let rank = rank(route, affinity);
            if first_of_all.is_none_or(|(smallest, _)| rank < smallest) {
                first_of_all = Some((rank, route));
            }
            if first.is_none_or(|(smallest, _)| rank < smallest)
                && f64::from(route.destination().in_flight()) < self.bound(route, &totals)
            {
                first = Some((rank, route));
            }
        }
        // Bounds add up to more than there is, but other cores send meanwhile.
        let (_, chosen) = first.or(first_of_all)?;
        Some(Choice::from(Arc::clone(chosen)))
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let totals = Self::totals(scene);
        costs_of(scene, |route| {
            let terms = vec![("bound", self.bound(route, &totals))];
            (rank(route, scene.request.affinity), terms)
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }
}
