//! The look at candidates: which costs least, and what the second best costs.

use super::super::Scene;
use super::facts::{Facts, LANES};
use super::prediction::{Means, Prediction};
use crate::stamp::Stamp;

/// A cost that is smaller by this factor: a third of the seconds.
const MUCH_BETTER: f32 = 27.0;

/// What was found so far, as positions among the routes.
#[derive(Debug)]
pub(super) struct Scan {
    means: Means,
    now: Stamp,
    pub(super) best: Option<usize>,
    least: f32,
    /// Cost of the second best, infinite if there is none.
    pub(super) second: f32,
    /// The cheapest of those that are set aside.
    spare: Option<usize>,
    least_spare: f32,
    /// Candidates that are not compared yet: how many, where, and what is known of them.
    gathered: usize,
    positions: [usize; LANES],
    facts: Facts<[f32; LANES]>,
}

impl Scan {
    pub(super) fn new(means: Means, now: Stamp) -> Self {
        Scan {
            means,
            now,
            best: None,
            least: f32::INFINITY,
            second: f32::INFINITY,
            spare: None,
            least_spare: f32::INFINITY,
            gathered: 0,
            positions: [0; LANES],
            facts: Facts::NONE,
        }
    }

    /// Looks at the routes at these positions, as far as they are candidates.
    #[inline]
    pub(super) fn look_at(
        &mut self,
        scene: &Scene<'_>,
        positions: impl IntoIterator<Item = usize>,
    ) {
        let first_attempt = scene.tried.is_empty();
        for at in positions {
            let route = &scene.routes[at];
            if !first_attempt && scene.tried.contains(route.destination().id()) {
                continue;
            }
            self.positions[self.gathered] = at;
            self.facts.set(self.gathered, Facts::of(route, self.now));
            self.gathered += 1;
            if self.gathered == LANES {
                self.compare(scene);
            }
        }
        self.compare(scene);
    }

    /// The costs in the first N lanes, of which those that nothing was gathered for do not matter:
    /// only a loop whose length is known becomes whole vectors.
    #[inline(always)]
    fn costs<const N: usize>(&self) -> [f32; LANES] {
        let mut costs = [0.0; LANES];
        for (lane, cost) in costs[..N].iter_mut().enumerate() {
            *cost = Prediction::from_facts(self.facts.lane(lane), self.means).cost;
        }
        costs
    }

    /// Compares what was gathered.
    fn compare(&mut self, scene: &Scene<'_>) {
        let costs = match self.gathered {
            0..=4 => self.costs::<4>(),
            5..=8 => self.costs::<8>(),
            _ => self.costs::<LANES>(),
        };
        let gathered = std::mem::take(&mut self.gathered);
        for (&at, cost) in self.positions.iter().zip(costs).take(gathered) {
            let destination = scene.routes[at].destination();
            if scene.healthy_only && !destination.health().is_healthy() {
                if cost < self.least_spare {
                    (self.spare, self.least_spare) = (Some(at), cost);
                }
                continue;
            }
            // Even a cost beyond all numbers makes a candidate. No branches here: which is better
            // cannot be foreseen.
            let cost = cost.min(f32::MAX);
            let better = cost < self.least;
            let beaten = if better { self.least } else { cost };
            self.second = self.second.min(beaten);
            self.least = self.least.min(cost);
            self.best = if better { Some(at) } else { self.best };
        }
    }

    /// One that is set aside although it would be much better than the best of the others.
    pub(super) fn needed(&self) -> Option<usize> {
        let much_better = self.least_spare * MUCH_BETTER < self.least;
        self.spare.filter(|_| much_better)
    }
}
