//! Consistent hashing with bounded load: requests that belong together go to the same destination,
//! unless that has more than its share.

mod rendezvous;
mod ring;

use super::{Choice, Cost, Policy, Scene, Wanted, costs_of};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, FEW, Many, Routes};
use arc_swap::ArcSwap;
use rand::Rng;
use rendezvous::{Lane, Rank};
use ring::{Ring, Spot};
use std::hint::select_unpredictable;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

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
/// * Of more than 128 destinations only 64 are ranked, and bounded by what is in flight among them:
///   those that follow the affinity on a ring of hashes of their names. So it stays that a request
///   moves only if one of those 64 comes or goes, and brokers with the same destinations agree.
///
/// It takes no lock. Its cost is linear in the number of destinations that are ranked; the logarithm
/// is taken of the few only that may come first, `1 - u` being at most `-ln u`. Of many, what is in flight
/// is summed up only where the first has something in flight: else it is below any bound.
#[derive(Debug)]
pub(super) struct ConsistentHash {
    load_factor: f64,
    /// Empty where all are ranked.
    ring: ArcSwap<Ring>,
    /// No weight on the ring is below this one (f32, whose bits are in the same order as they are
    /// positive): one that could not even come first with it needs no look.
    least_weight: AtomicU32,
}

/// What the bound depends on.
struct Totals {
    requests: f64,
    capacity: f64,
}

impl Default for Totals {
    /// This request alone.
    fn default() -> Self {
        Totals {
            requests: 1.0,
            capacity: 0.0,
        }
    }
}

impl Totals {
    fn add(&mut self, route: &Route) {
        self.requests += f64::from(route.destination().in_flight());
        self.capacity += capacity(route);
    }
}

/// A share is inverse to the weight, which is a cost.
fn capacity(route: &Route) -> f64 {
    1.0 / f64::from(route.weight())
}

/// Those that are ranked, side by side in a few places: a loop over each costs less than one over a
/// chain of them.
trait Ranked {
    fn each<'a>(&'a self, look: impl FnMut(Lane, &'a SharedRoute));
}

impl Ranked for [SharedRoute] {
    #[inline]
    fn each<'a>(&'a self, mut look: impl FnMut(Lane, &'a SharedRoute)) {
        self.iter().for_each(|route| look(Lane::of(route), route));
    }
}

impl Ranked for Routes<'_> {
    fn each<'a>(&'a self, mut look: impl FnMut(Lane, &'a SharedRoute)) {
        self.iter().for_each(|route| look(Lane::of(route), route));
    }
}

/// Those of many that are open.
struct Open<'m> {
    many: &'m Many,
    positions: Vec<u32>,
}

impl Ranked for Open<'_> {
    fn each<'a>(&'a self, mut look: impl FnMut(Lane, &'a SharedRoute)) {
        let routes = self.positions.iter().map(|at| self.many.at(*at as usize));
        routes.for_each(|route| look(Lane::of(route), route));
    }
}

impl Ranked for [&[Spot]; 3] {
    #[inline]
    fn each<'a>(&'a self, mut look: impl FnMut(Lane, &'a SharedRoute)) {
        for spots in self {
            spots.iter().for_each(|spot| look(spot.lane, &spot.route));
        }
    }
}

/// The first of the candidates that suit. None weighs less than `least`.
#[inline]
fn first<'a, R: Ranked + ?Sized>(
    ranked: &'a R,
    least: f64,
    scene: &Scene<'_>,
    suits: impl Fn(&Route) -> bool,
) -> Option<&'a SharedRoute> {
    let mut first = None;
    let mut smallest = f64::INFINITY;
    ranked.each(|lane, route| {
        let unit = lane.unit(scene.request.affinity);
        // Where nothing is known of the weights the route is looked at in any case.
        if least > 0.0 {
            let lightest = Rank {
                unit,
                weight: least,
            };
            if lightest.at_least() >= smallest {
                return;
            }
        }
        if !scene.admits(route) {
            return;
        }
        let rank = Rank {
            unit,
            weight: f64::from(route.weight()),
        };
        if rank.at_least() >= smallest || !suits(route) {
            return;
        }
        let rank = rank.value();
        if rank < smallest {
            (first, smallest) = (Some(route), rank);
        }
    });
    first
}

impl ConsistentHash {
    pub(super) fn new(load_factor: f64) -> Self {
        ConsistentHash {
            load_factor,
            ring: ArcSwap::default(),
            least_weight: AtomicU32::new(f32::INFINITY.to_bits()),
        }
    }

    /// There is this weight, too.
    fn weighs(&self, route: &Route) {
        let bits = route.weight().to_bits();
        if bits < self.least_weight.load(Relaxed) {
            self.least_weight.fetch_min(bits, Relaxed);
        }
    }

    fn totals<R: Ranked + ?Sized>(ranked: &R, scene: &Scene<'_>) -> Totals {
        let mut totals = Totals::default();
        ranked.each(|_, route| {
            if scene.admits(route) {
                totals.add(route);
            }
        });
        totals
    }

    /// Ranks those that may be in no cache: the first has room if nothing is in flight there, and then
    /// the others need not be looked at.
    fn choose_of_many<'a, R: Ranked + ?Sized>(
        &self,
        ranked: &'a R,
        least: f64,
        scene: &Scene<'_>,
    ) -> Option<&'a SharedRoute> {
        let chosen = first(ranked, least, scene, |_| true)?;
        if chosen.destination().in_flight() == 0 {
            return Some(chosen);
        }
        self.choose_of(ranked, least, scene)
    }

    #[inline]
    fn choose_of<'a, R: Ranked + ?Sized>(
        &self,
        ranked: &'a R,
        least: f64,
        scene: &Scene<'_>,
    ) -> Option<&'a SharedRoute> {
        let totals = Self::totals(ranked, scene);
        // A whole number is below a bound if it is below the bound rounded up.
        let has_room = |route: &Route| {
            f64::from(route.destination().in_flight()) < self.bound(capacity(route), &totals)
        };
        // Bounds add up to more than there is, but other cores send meanwhile.
        first(ranked, least, scene, has_room).or_else(|| first(ranked, least, scene, |_| true))
    }

    /// The first of a few candidates that has room. Nobody can foresee which have room, nor which of
    /// them comes first so far: what has to be known of all is computed without a branch on it.
    fn first_with_room<'a>(
        &self,
        routes: &'a [SharedRoute],
        scene: &Scene<'_>,
    ) -> Option<&'a SharedRoute> {
        let rank = |route: &SharedRoute| Rank {
            unit: Lane::of(route).unit(scene.request.affinity),
            weight: f64::from(route.weight()),
        };
        let mut totals = Totals::default();
        let mut known = [(0.0, 0.0); FEW];
        for (route, known) in routes.iter().zip(&mut known) {
            totals.add(route);
            *known = (capacity(route), rank(route).at_least());
        }
        let mut least = f64::INFINITY;
        let mut first = None;
        for (route, (capacity, at_least)) in routes.iter().zip(&mut known) {
            let in_flight = f64::from(route.destination().in_flight());
            let has_room = in_flight < self.bound(*capacity, &totals);
            *at_least = select_unpredictable(has_room, *at_least, f64::INFINITY);
            let sooner = *at_least < least;
            first = select_unpredictable(sooner, Some(route), first);
            least = select_unpredictable(sooner, *at_least, least);
        }
        // Hardly any other may come before that one.
        let at_most = rank(first?).value();
        let mut smallest = f64::INFINITY;
        for (route, (_, at_least)) in routes.iter().zip(&known) {
            if *at_least <= at_most {
                let rank = rank(route).value();
                if rank < smallest {
                    (first, smallest) = (Some(route), rank);
                }
            }
        }
        first
    }

    /// Requests in flight that one of that capacity may have, to be rounded up.
    #[inline]
    fn bound(&self, capacity: f64, totals: &Totals) -> f64 {
        self.load_factor * totals.requests * capacity / totals.capacity
    }
}

impl Policy for ConsistentHash {
    fn choose<'a>(&self, scene: &Scene<'a>, _rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let many = match scene.routes {
            Routes::Few(routes) => {
                let chosen = scene
                    .admits_all()
                    .then(|| self.first_with_room(routes, scene));
                let chosen = chosen.flatten();
                return chosen
                    .or_else(|| self.choose_of(routes, 0.0, scene))
                    .map(Choice::from);
            }
            Routes::Many(many) => many,
        };
        let own = |chosen: &SharedRoute| Choice::from(SharedRoute::clone(chosen));
        let ring = self.ring.load();
        let least = f64::from(f32::from_bits(self.least_weight.load(Relaxed)));
        let next = ring::after(&ring, scene.request.affinity);
        if let Some(chosen) = self.choose_of_many(&next, least, scene) {
            return Some(own(chosen));
        }
        if !scene.healthy_only {
            return self.choose_of_many(&scene.routes, 0.0, scene).map(own);
        }
        // Where none of so many is open, few are.
        let positions = many.all_open(scene.broker);
        self.choose_of_many(&Open { many, positions }, 0.0, scene)
            .map(own)
    }

    fn routes_changed(&self, change: &Change<'_>, routes: Routes<'_>, _now: Nanos) {
        let before = self.ring.load();
        let after = ring::changed(&before, change, routes);
        if before.is_empty() {
            after.iter().for_each(|spot| self.weighs(&spot.route));
        }
        if let Change::Added(added) = change {
            added.iter().for_each(|route| self.weighs(route));
        }
        if !(before.is_empty() && after.is_empty()) {
            self.ring.store(Arc::new(after));
        }
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        self.weighs(route);
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let totals = Self::totals(&scene.routes, scene);
        costs_of(scene, |route| {
            let terms = vec![("bound", self.bound(capacity(route), &totals).ceil())];
            let rank = Rank {
                unit: Lane::of(route).unit(scene.request.affinity),
                weight: f64::from(route.weight()),
            };
            (rank.value(), terms)
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
