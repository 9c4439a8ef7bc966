//! Least impedance: always the destination with the smallest weight.

use super::{Choice, Policy, Scene};
use rand::Rng;

/// Chooses the smallest weight, the earliest inserted among equals, after the table of that name
/// in the C++ reference.
///
/// Use it where one destination is to take everything and the others are spares in order of weight.
/// With weights that follow latencies it locks in on the first destination that is faster than what
/// the others were announced at, and never tries those.
#[derive(Debug)]
pub(super) struct LeastImpedance;

impl Policy for LeastImpedance {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        scene
            .routes
            .iter()
            .filter(|route| scene.admits(route))
            // Of equal elements the first one is returned. Weights are above 0, so that their bits
            // are in the same order, and compared sooner.
            .min_by_key(|route| route.weight().to_bits())
            .cloned()
            .map(Choice::from)
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }
}
