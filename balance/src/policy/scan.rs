//! A look at all candidates: the one that costs least, or now and then the most neglected.

use super::draw::drawn_of_few;
use super::{Choice, Scene, any_index};
use crate::real::{LANES, Lanes, numbers};
use crate::route::{Route, SharedRoute};
use crate::routes::Routes;
use crate::stamp::{Age, Stamp};
use rand::Rng;
use std::hint::select_unpredictable;
use wide::u32x4;

/// Share of the picks that are explorations.
const REQUESTS_TO_EXPLORE: f64 = 1.0 / 128.0;
/// A route that was neither sampled nor picked for so long is due for exploration.
const UNTOUCHED: Age = Age::from_millis(5_000);
/// An exploration may come this long after the last one, however few requests there are.
const EXPLORATIONS_APART: Age = Age::from_millis(30_000);

/// Of many routes policies that compare them look at so many drawn at random, and at the last two
/// winners.
pub(super) const DRAWN: usize = 8;

/// Of more routes than these, so many are looked at to find one that has been idle.
const LOOKED_AT: usize = 256;

/// The positions that are looked at where not all are: the last two winners, which are good more
/// often than others, and some at random.
pub(super) fn sampled(scene: &Scene<'_>, rng: &mut dyn Rng) -> [usize; DRAWN + 2] {
    let n = scene.routes.len();
    let [last, before] = scene.lambda.winners();
    std::array::from_fn(|nth| match nth {
        0 if last < n => last,
        1 if before < n => before,
        _ => any_index(n, rng),
    })
}

/// The candidate that costs least; of many, of those that are [`sampled`]. The scan starts anywhere,
/// so that exact ties are broken at random.
pub(super) fn least<'a>(
    scene: &Scene<'a>,
    rng: &mut dyn Rng,
    cost: impl Fn(&Route) -> f32,
) -> Option<&'a SharedRoute> {
    let Routes::Few(routes) = scene.routes else {
        let some = least_at(scene, &sampled(scene, rng), &cost);
        // Where few are candidates, none may have been drawn.
        let of_few = |rng: &mut dyn Rng| least_at(scene, &drawn_of_few(scene, DRAWN, rng), &cost);
        return some.or_else(|| of_few(rng));
    };
    let (before, after) = routes.split_at(any_index(routes.len(), rng));
    if scene.admits_all() {
        let (first, rest) = after.split_first()?;
        let mut best = Least::new(first, f32::INFINITY.min(cost(first)));
        // A loop for each costs less than one over both.
        rest.iter().for_each(|route| best.or(route, cost(route)));
        before.iter().for_each(|route| best.or(route, cost(route)));
        return Some(best.route);
    }
    least_of(after.iter().chain(before), scene, cost)
}

/// The first of those that cost least, so far.
struct Least<'a> {
    route: &'a SharedRoute,
    cost: f32,
}

impl<'a> Least<'a> {
    fn new(route: &'a SharedRoute, cost: f32) -> Self {
        Least { route, cost }
    }

    /// Nobody can foresee which is better, so there is no branch on it.
    #[inline(always)]
    fn or(&mut self, route: &'a SharedRoute, cost: f32) {
        let better = cost < self.cost;
        self.route = select_unpredictable(better, route, self.route);
        self.cost = select_unpredictable(better, cost, self.cost);
    }
}

/// The one of those at some positions.
fn least_at<'a>(
    scene: &Scene<'a>,
    positions: &[usize],
    cost: impl Fn(&Route) -> f32,
) -> Option<&'a SharedRoute> {
    let costs = positions.iter().map(|at| {
        let route = scene.routes.at(*at);
        let admitted = scene.admits(route);
        (*at, if admitted { cost(route) } else { f32::NAN })
    });
    let known = costs.filter(|(_, cost)| !cost.is_nan());
    let (at, _) = known.min_by(|a, b| a.1.total_cmp(&b.1))?;
    scene.lambda.won(at);
    Some(scene.routes.at(at))
}

#[inline]
fn least_of<'a>(
    routes: impl Iterator<Item = &'a SharedRoute>,
    scene: &Scene<'_>,
    cost: impl Fn(&Route) -> f32,
) -> Option<&'a SharedRoute> {
    let mut admitted = routes.filter(|route| scene.admits(route));
    let first = admitted.next()?;
    let mut best = Least::new(first, f32::INFINITY.min(cost(first)));
    admitted.for_each(|route| best.or(route, cost(route)));
    Some(best.route)
}

/// Costs that take some computing.
pub(super) trait Costs {
    /// The cost of one candidate.
    fn of(&self, route: &Route) -> f32;

    /// Those of several, each as [`Costs::of`] has it. Nobody can foresee which of them are old, or
    /// slow: side by side they need no branch on it.
    fn of_each(&self, routes: [&Route; LANES]) -> Lanes;
}

/// The same as [`least`].
#[inline]
fn least_side_by_side<'a>(
    scene: &Scene<'a>,
    rng: &mut dyn Rng,
    costs: &impl Costs,
) -> Option<&'a SharedRoute> {
    match scene.routes {
        Routes::Few(routes) if scene.admits_all() => {
            let start = any_index(routes.len(), rng);
            let (before, after) = routes.split_at(start);
            let mut best = Places::new();
            best.look_at(after, 0, costs);
            best.look_at(before, after.len(), costs);
            let at = start + best.first();
            routes.get(at).or_else(|| routes.get(at - routes.len()))
        }
        _ => least(scene, rng, |route| costs.of(route)),
    }
}

/// Of each lane the first place of those that cost least so far, as the bits of a number.
struct Places {
    places: Lanes,
    costs: Lanes,
}

impl Places {
    fn new() -> Self {
        Places {
            places: Lanes::ZERO,
            costs: Lanes::splat(f32::INFINITY),
        }
    }

    /// Looks at some, the first of which has that place.
    #[inline(always)]
    fn look_at(&mut self, routes: &[SharedRoute], mut place: usize, costs: &impl Costs) {
        let (blocks, rest) = routes.as_chunks();
        for block in blocks {
            self.compare(costs.of_each(block.each_ref().map(|route| &**route)), place);
            place += LANES;
        }
        if let [.., last] = rest {
            // It costs the same at a place behind its own, too, where it makes no difference.
            let block = std::array::from_fn(|lane| &**rest.get(lane).unwrap_or(last));
            self.compare(costs.of_each(block), place);
        }
    }

    #[inline(always)]
    fn compare(&mut self, new: Lanes, place: usize) {
        let better = new.simd_lt(self.costs);
        // There are less than 2^32 routes.
        let places = u32x4::splat(place as u32) + u32x4::new([0, 1, 2, 3]);
        self.places = better.select(numbers(places), self.places);
        self.costs = better.select(new, self.costs);
    }

    /// The first place of those that cost least.
    fn first(&self) -> usize {
        let places = self.places.to_array().map(f32::to_bits);
        let lanes = self.costs.to_array().into_iter().zip(places);
        let first = lanes.reduce(|one, other| {
            let better = other.0 < one.0 || other.0 == one.0 && other.1 < one.1;
            select_unpredictable(better, other, one)
        });
        first.map_or(0, |(_, place)| place as usize)
    }
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
    let first = match scene.routes {
        Routes::Few(_) => 0,
        Routes::Many(many) => any_index(many.len(), rng),
    };
    let (mut idlest, mut longest) = (None, long);
    let found = scene.routes.find_map((first, LOOKED_AT), |at, route| {
        if scene.admits(route) {
            let age = untouched(route);
            if age > longest {
                (idlest, longest) = (Some(at), age);
            }
        }
        None
    });
    found.or(idlest)
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
#[inline]
pub(super) fn least_or_neglected<'a>(
    scene: &Scene<'a>,
    rng: &mut dyn Rng,
    costs: &impl Costs,
) -> Option<Choice<'a>> {
    let idle = neglected(scene, REQUESTS_TO_EXPLORE, UNTOUCHED, rng).map(|at| scene.routes.at(at));
    let chosen = match idle {
        Some(route) => route,
        None => least_side_by_side(scene, rng, costs)?,
    };
    chosen.pair().picked(Stamp::at(scene.now));
    Some(Choice {
        explored: idle.is_some(),
        ..Choice::from(chosen)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Destinations, Nanos};

    struct Weights;

    impl Costs for Weights {
        fn of(&self, route: &Route) -> f32 {
            route.weight()
        }

        fn of_each(&self, routes: [&Route; LANES]) -> Lanes {
            Lanes::new(routes.map(Route::weight))
        }
    }

    #[test]
    fn side_by_side_the_first_of_the_least_is_found_wherever_it_is() {
        let destinations = Destinations::new();
        let route = |at: usize, weight| {
            let destination = destinations.intern(&format!("d{at}"));
            SharedRoute::new(Route::new(destination, weight, true, Nanos::ZERO))
        };
        for length in 1..20 {
            for place in 0..length {
                let another = (7 * place + 3) % length;
                let weight = |at| {
                    if at == place || at == another {
                        1.0
                    } else {
                        2.0
                    }
                };
                let routes: Vec<_> = (0..length).map(|at| route(at, weight(at))).collect();
                for split in 0..length {
                    let mut best = Places::new();
                    best.look_at(&routes[..split], 0, &Weights);
                    best.look_at(&routes[split..], split, &Weights);
                    assert_eq!(best.first(), place.min(another));
                }
            }
        }
    }
}
