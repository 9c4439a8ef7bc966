//! Random: each destination with a probability inverse to its weight.

use super::{Choice, Policy, Scene, any_index};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, FEW, Many, Routes};
use rand::{Rng, RngExt};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of many destinations, so many are drawn, one after the other, before all are summed up.
const MOST_DRAWS: usize = 512;
/// Draws that it may take on average; to sum up takes a look at each of hundreds or thousands.
const DRAWS_WORTH_IT: f64 = 64.0;

/// Chooses i with probability `(1/w_i) / sum(1/w)`, after the `random` table of the C++ reference.
///
/// Use it for static shares of traffic, or as the baseline of an experiment; with weights that
/// follow latencies it keeps sending a share to the slow ones and ignores how loaded they are.
///
/// The sum is computed for every pick, in double precision: a running sum drifts, and one excursion
/// of a weight to a tiny value wipes out the small terms for good. Of more than 128 destinations one
/// is drawn, and taken with the probability `w_min / w_i`, until one is taken (rejection sampling,
/// von Neumann, 1951): the shares are the same, and where weights do not differ much a pick looks at a
/// few destinations only.
#[derive(Debug, Default)]
pub(super) struct Random {
    /// What no share exceeds, `1/w_min` (f64); infinite where shares differ so much that drawing is no
    /// use.
    largest: AtomicU64,
}

impl Random {
    /// One of many, unless the draw fails for too long.
    fn draw<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<&'a SharedRoute> {
        let largest = f64::from_bits(self.largest.load(Relaxed));
        if largest == f64::INFINITY {
            return None;
        }
        for _ in 0..MOST_DRAWS {
            let route = scene.routes.at(any_index(scene.routes.len(), rng));
            if rng.random::<f64>() * largest < share(scene, route) {
                return Some(route);
            }
        }
        self.largest.store(f64::INFINITY.to_bits(), Relaxed);
        None
    }

    /// One of many, all of which are looked at.
    #[cold]
    fn search<'a>(
        &self,
        scene: &Scene<'a>,
        many: &'a Many,
        rng: &mut dyn Rng,
    ) -> Option<&'a SharedRoute> {
        let shares = || (0..many.len()).map(|at| share(scene, many.at(at)));
        let (mut total, mut largest) = (0.0, 0.0);
        for at in 0..many.len() {
            // Those that are no candidates now may have the largest share later.
            largest = f64::max(largest, 1.0 / f64::from(many.at(at).weight()));
            total += share(scene, many.at(at));
        }
        if total * DRAWS_WORTH_IT > many.len() as f64 * largest {
            self.largest.store(largest.to_bits(), Relaxed);
        }
        Some(many.at(by_share(total, shares(), rng)?))
    }

    /// No share exceeds the largest, nor this one.
    fn raise(&self, route: &Route) {
        let share = whole_share(route);
        // Shares are not negative, so that their bits are in the same order.
        if share.to_bits() > self.largest.load(Relaxed) {
            self.largest.fetch_max(share.to_bits(), Relaxed);
        }
    }
}

/// A position, with the probability of its share.
#[inline]
fn by_share(total: f64, shares: impl Iterator<Item = f64>, rng: &mut dyn Rng) -> Option<usize> {
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random_range(0.0..total);
    let mut chosen = None;
    // Should weights or health change meanwhile, the last one admitted takes what is left over.
    for (at, share) in shares.enumerate() {
        if share > 0.0 {
            chosen = Some(at);
        }
        left -= share;
        if left < 0.0 {
            break;
        }
    }
    chosen
}

impl Policy for Random {
    fn choose(&self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<Choice> {
        let chosen = match scene.routes {
            Routes::Few(routes) => {
                let mut shares = [0.0; FEW];
                let shares = &mut shares[..routes.len()];
                let with_routes = shares.iter_mut().zip(routes);
                if scene.admits_all() {
                    with_routes.for_each(|(place, route)| *place = whole_share(route));
                } else {
                    with_routes.for_each(|(place, route)| *place = share(scene, route));
                }
                let total = shares.iter().sum();
                &routes[by_share(total, shares.iter().copied(), rng)?]
            }
            Routes::Many(many) => match self.draw(scene, rng) {
                Some(drawn) => drawn,
                None => self.search(scene, many, rng)?,
            },
        };
        Some(Choice::from(SharedRoute::clone(chosen)))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {
        if let Change::Added(routes) = change {
            routes.iter().for_each(|route| self.raise(route));
        }
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        self.raise(route);
    }
}

/// Nothing for those that are no candidates.
fn share(scene: &Scene<'_>, route: &Route) -> f64 {
    if scene.admits(route) {
        whole_share(route)
    } else {
        0.0
    }
}

fn whole_share(route: &Route) -> f64 {
    1.0 / f64::from(route.weight())
}
