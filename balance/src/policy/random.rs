//! Random: each destination with a probability inverse to its weight.

use super::{Choice, Policy, Scene, any_index};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use rand::{Rng, RngExt};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many shares are kept from the sum to the choice; more are computed again.
const KEPT: usize = 128;
/// Of more destinations than that, so many are drawn, one after the other, before all are summed up.
const MOST_DRAWS: usize = 64;
/// Draws that it may take on average.
const DRAWS_WORTH_IT: f64 = 8.0;

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
    /// What no share exceeds, `1/w_min` (f64); 0 where that is not known, infinite where shares
    /// differ so much that drawing is no use.
    largest: AtomicU64,
}

impl Random {
    /// One of many, unless the draw fails for too long.
    fn draw<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<&'a SharedRoute> {
        let largest = match f64::from_bits(self.largest.load(Relaxed)) {
            0.0 => {
                let shares = scene.routes.iter().map(|r| 1.0 / f64::from(r.weight()));
                let largest = shares.fold(0.0, f64::max);
                self.largest.store(largest.to_bits(), Relaxed);
                largest
            }
            f64::INFINITY => return None,
            known => known,
        };
        for _ in 0..MOST_DRAWS {
            let route = &scene.routes[any_index(scene.routes.len(), rng)];
            if rng.random::<f64>() * largest < share(scene, route) {
                return Some(route);
            }
        }
        self.largest.store(f64::INFINITY.to_bits(), Relaxed);
        None
    }

    /// All shares were looked at: is drawing of use again?
    fn seen(&self, shares: impl Iterator<Item = f64>, total: f64, n: usize) {
        let largest = shares.fold(0.0, f64::max);
        if total * DRAWS_WORTH_IT > n as f64 * largest {
            self.largest.store(largest.to_bits(), Relaxed);
        }
    }
}

impl Policy for Random {
    fn choose(&self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<Choice> {
        if scene.routes.len() > KEPT
            && let Some(route) = self.draw(scene, rng)
        {
            return Some(Choice::from(SharedRoute::clone(route)));
        }
        let (first, others) = scene.routes.split_at(scene.routes.len().min(KEPT));
        let mut shares = SmallVec::<[f64; KEPT]>::new();
        shares.extend(first.iter().map(|route| share(scene, route)));
        let others = || others.iter().map(|route| share(scene, route));
        let shares = || shares.iter().copied().chain(others());
        let total: f64 = shares().sum();
        if total <= 0.0 {
            return None;
        }
        if scene.routes.len() > KEPT && scene.admits_all() {
            self.seen(shares(), total, scene.routes.len());
        }
        let mut left = rng.random_range(0.0..total);
        let mut chosen = None;
        // Should weights or health change meanwhile, the last one admitted takes what is left over.
        for (at, share) in shares().enumerate() {
            if share > 0.0 {
                chosen = Some(at);
            }
            left -= share;
            if left < 0.0 {
                break;
            }
        }
        chosen.map(|at| Choice::from(SharedRoute::clone(&scene.routes[at])))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, _routes: &[SharedRoute], _now: Nanos) {
        self.largest.store(0, Relaxed);
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        let share = 1.0 / f64::from(route.weight());
        if share > f64::from_bits(self.largest.load(Relaxed)) {
            // What is not known stays so.
            let _ = self.largest.fetch_update(Relaxed, Relaxed, |known| {
                (known != 0 && share > f64::from_bits(known)).then_some(share.to_bits())
            });
        }
    }
}

/// Nothing for those that are no candidates.
fn share(scene: &Scene<'_>, route: &Route) -> f64 {
    if scene.admits(route) {
        1.0 / f64::from(route.weight())
    } else {
        0.0
    }
}
