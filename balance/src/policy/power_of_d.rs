//! Power of d choices: of a few destinations drawn at random, the one with the fewest requests in flight.

use super::draw::{Drawn, draw};
use super::{Choice, Cost, Policy, Scene, Wanted, costs_of};
use rand::Rng;

/// Draws `choices` candidates and takes the one with the fewest requests of this broker in flight,
/// the first drawn among equals. `p2c` draws two, `power-of-d` as many as it is told.
///
/// Use it where destinations are alike and so many that looking at all of them costs too much: a
/// pick takes the same time however many there are. Two choices instead of one bring the longest
/// queue of n from about `ln n / ln ln n` down to `ln ln n`, more choices little beyond (Azar,
/// Broder, Karlin and Upfal, "Balanced Allocations", 1999; Mitzenmacher, "The Power of Two Choices
/// in Randomized Load Balancing", 2001). Where destinations differ in speed or distance it is a poor
/// choice: it sees neither, and a fast one is drawn too rarely to be used to the full.
///
/// It looks at requests in flight only, so that weights and latencies do not matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct PowerOfD {
    choices: usize,
}

impl PowerOfD {
    pub(super) fn new(choices: u32) -> Self {
        PowerOfD {
            choices: choices as usize,
        }
    }
}

impl Policy for PowerOfD {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let routes = scene.routes;
        let mut drawn = Drawn::new();
        draw(&mut drawn, scene, self.choices, rng, |_| true);
        let least = drawn
            .iter()
            .min_by_key(|at| routes.at(**at).destination().in_flight())?;
        Some(Choice::from(routes.at(*least)))
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        costs_of(scene, |route| {
            (f64::from(route.destination().in_flight()), Vec::new())
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
