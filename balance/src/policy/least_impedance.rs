//! Least impedance: always the destination with the smallest weight.

use super::scan::FULL_SCAN;
use super::{Choice, Policy, Scene};
use crate::Nanos;
use crate::route::SharedRoute;
use rand::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chooses the smallest weight, the earliest inserted among equals, after the table of that name
/// in the C++ reference.
///
/// Use it where one destination is to take everything and the others are spares in order of weight.
/// With weights that follow latencies it locks in on the first destination that is faster than what
/// the others were announced at, and never tries those.
///
/// Of more than 128 destinations it remembers the first, under a lock per lambda, until some weight
/// changes that may make another one the first.
#[derive(Debug, Default)]
pub(super) struct LeastImpedance {
    first: Mutex<Option<SharedRoute>>,
}

impl LeastImpedance {
    fn first(&self) -> MutexGuard<'_, Option<SharedRoute>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy for LeastImpedance {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        let is_remembered = scene.routes.len() > FULL_SCAN && scene.admits_all();
        let mut remembered = is_remembered.then(|| self.first());
        if let Some(first) = remembered.as_ref().and_then(|first| first.as_ref()) {
            return Some(Choice::from(SharedRoute::clone(first)));
        }
        let first = scene
            .routes
            .iter()
            .filter(|route| scene.admits(route))
            // Of equal elements the first one is returned. Weights are above 0, so that their bits
            // are in the same order, and compared sooner.
            .min_by_key(|route| route.weight().to_bits())?;
        if let Some(remembered) = &mut remembered {
            **remembered = Some(SharedRoute::clone(first));
        }
        Some(Choice::from(SharedRoute::clone(first)))
    }

    fn routes_changed(&self, _routes: &[SharedRoute], _now: Nanos) {
        *self.first() = None;
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        let mut first = self.first();
        // One that is heavier than the first and is not it changes nothing.
        if first.as_ref().is_some_and(|first| {
            SharedRoute::ptr_eq(first, route) || route.weight() <= first.weight()
        }) {
            *first = None;
        }
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }
}
