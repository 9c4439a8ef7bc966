//! The look at candidates: which costs least, and what the second best costs.

use super::super::Scene;
use super::prediction::{Means, Prediction};
use crate::stamp::Stamp;
use std::hint::select_unpredictable;

/// A cost that is smaller by this factor: a third of the seconds.
const MUCH_BETTER: f32 = 27.0;

/// What was found so far, as positions among the routes.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) best: Option<usize>,
    least: f32,
    /// Cost of the second best, infinite if there is none.
    pub(super) second: f32,
    /// The cheapest of those that are set aside.
    spare: Option<usize>,
    least_spare: f32,
}

impl Scan {
    pub(super) fn new() -> Self {
        Scan {
            best: None,
            least: f32::INFINITY,
            second: f32::INFINITY,
            spare: None,
            least_spare: f32::INFINITY,
        }
    }

    /// Looks at the routes at these positions, as far as they are candidates.
    #[inline]
    pub(super) fn look_at(
        &mut self,
        scene: &Scene<'_>,
        means: Means,
        now: Stamp,
        positions: impl IntoIterator<Item = usize>,
    ) {
        let first_attempt = scene.tried.is_empty();
        for at in positions {
            let route = &scene.routes[at];
            let destination = route.destination();
            if !first_attempt && scene.tried.contains(destination.id()) {
                continue;
            }
            let set_aside = scene.healthy_only && !destination.health().is_healthy();
            // What cannot be among the best two, which are most candidates, needs no closer look.
            if !set_aside && Prediction::at_least(route, means) >= self.second {
                continue;
            }
            let cost = Prediction::of(route, means, now).cost;
            if set_aside {
                if cost < self.least_spare {
                    (self.spare, self.least_spare) = (Some(at), cost);
                }
            } else {
                self.compare(at, cost);
            }
        }
    }

    /// Nobody can foresee which is better, so there is no branch on it. Positions that were drawn may
    /// come twice, but one destination is not best and second best.
    #[inline(always)]
    fn compare(&mut self, at: usize, cost: f32) {
        let Some(best) = self.best else {
            (self.best, self.least) = (Some(at), cost);
            return;
        };
        let better = cost < self.least;
        let behind = select_unpredictable(better, self.least, cost);
        let second = (behind < self.second) & (at != best);
        self.second = select_unpredictable(second, behind, self.second);
        self.best = Some(select_unpredictable(better, at, best));
        self.least = select_unpredictable(better, cost, self.least);
    }

    /// One that is set aside although it would be much better than the best of the others.
    pub(super) fn needed(&self) -> Option<usize> {
        let much_better = self.least_spare * MUCH_BETTER < self.least;
        self.spare.filter(|_| much_better)
    }
}
