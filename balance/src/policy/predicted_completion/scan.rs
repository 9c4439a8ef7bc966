//! The look at candidates: which costs least, what the second best costs, which lies idle.

use super::super::Scene;
use super::prediction::{Means, Prediction};
use crate::lambda_state::UNTOUCHED;
use crate::stamp::{Age, Stamp};

/// A cost that is smaller by this factor: a third of the seconds.
const MUCH_BETTER: f32 = 27.0;

/// What was found so far, as positions among the routes.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    scene: &'a Scene<'a>,
    means: Means,
    now: Stamp,
    pub(super) best: Option<usize>,
    least: f32,
    /// Cost of the second best, infinite if there is none.
    pub(super) second: f32,
    /// The one that was neither used nor heard of for the longest time, if that is long.
    pub(super) idle: Option<usize>,
    longest: Age,
    /// The cheapest of those that are set aside.
    spare: Option<usize>,
    least_spare: f32,
}

impl<'a> Scan<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, means: Means, now: Stamp) -> Self {
        Scan {
            scene,
            means,
            now,
            best: None,
            least: f32::INFINITY,
            second: f32::INFINITY,
            idle: None,
            longest: UNTOUCHED,
            spare: None,
            least_spare: f32::INFINITY,
        }
    }

    /// Looks at the routes at these positions, as far as they are candidates.
    pub(super) fn look_at(&mut self, positions: impl IntoIterator<Item = usize>) {
        for at in positions {
            let route = &self.scene.routes[at];
            if self.best == Some(at) || self.scene.tried.contains(route.destination().id()) {
                continue;
            }
            let cost = Prediction::of(route, self.means, self.now).cost;
            if self.scene.healthy_only && !route.destination().health().is_healthy() {
                if cost < self.least_spare {
                    (self.spare, self.least_spare) = (Some(at), cost);
                }
                continue;
            }
            if cost < self.least || self.best.is_none() {
                (self.second, self.least) = (self.least, cost);
                self.best = Some(at);
            } else if cost < self.second {
                self.second = cost;
            }
            let pair = route.pair();
            let untouched = pair.untouched(pair.latency(self.now), self.now);
            if untouched > self.longest {
                (self.idle, self.longest) = (Some(at), untouched);
            }
        }
    }

    /// One that is set aside although it would be much better than the best of the others.
    pub(super) fn needed(&self) -> Option<usize> {
        let much_better = self.least_spare * MUCH_BETTER < self.least;
        self.spare.filter(|_| much_better)
    }
}
