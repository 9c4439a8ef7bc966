//! Random: each destination with a probability inverse to its weight.

use super::{Choice, Policy, Scene};
use crate::route::{Route, SharedRoute};
use rand::{Rng, RngExt};
use smallvec::SmallVec;

/// So many shares are kept from the sum to the choice; more are computed again.
const KEPT: usize = 128;

/// Chooses i with probability `(1/w_i) / sum(1/w)`, after the `random` table of the C++ reference.
///
/// Use it for static shares of traffic, or as the baseline of an experiment; with weights that
/// follow latencies it keeps sending a share to the slow ones and ignores how loaded they are.
///
/// The sum is computed for every pick, in double precision: a running sum drifts, and one excursion
/// of a weight to a tiny value wipes out the small terms for good.
#[derive(Debug)]
pub(super) struct Random;

impl Policy for Random {
    fn choose(&self, scene: &Scene<'_>, rng: &mut dyn Rng) -> Option<Choice> {
        let (first, others) = scene.routes.split_at(scene.routes.len().min(KEPT));
        let mut shares = SmallVec::<[f64; KEPT]>::new();
        shares.extend(first.iter().map(|route| share(scene, route)));
        let others = || others.iter().map(|route| share(scene, route));
        let shares = || shares.iter().copied().chain(others());
        let total: f64 = shares().sum();
        if total <= 0.0 {
            return None;
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
}

/// Nothing for those that are no candidates.
fn share(scene: &Scene<'_>, route: &Route) -> f64 {
    if scene.admits(route) {
        1.0 / f64::from(route.weight())
    } else {
        0.0
    }
}
