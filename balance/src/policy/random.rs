//! Random: each destination with a probability inverse to its weight.

use super::{Choice, Policy, Scene};
use crate::route::Route;
use rand::{Rng, RngExt};

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
        let admitted = || scene.routes.iter().filter(|route| scene.admits(route));
        let total: f64 = admitted().map(|route| share(route)).sum();
        if total <= 0.0 {
            return None;
        }
        let mut left = rng.random_range(0.0..total);
        let mut chosen = None;
        // Should weights or health change meanwhile, the last one admitted takes what is left over.
        for route in admitted() {
            chosen = Some(route);
            left -= share(route);
            if left < 0.0 {
                break;
            }
        }
        chosen.cloned().map(Choice::from)
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }
}

fn share(route: &Route) -> f64 {
    1.0 / f64::from(route.weight())
}
