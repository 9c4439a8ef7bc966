//! Least impedance: always the destination with the smallest weight.

use super::{Choice, Policy, Scene};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Many, Routes};
use rand::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chooses the smallest weight, the earliest inserted among equals, after the table of that name
/// in the C++ reference.
///
/// Use it where one destination is to take everything and the others are spares in order of weight.
/// With weights that follow latencies it locks in on the first destination that is faster than what
/// the others were announced at, and never tries those.
///
/// Of more than 128 destinations it remembers the first, under a lock per lambda, until that goes or
/// some weight changes that may make another one the first.
#[derive(Debug, Default)]
pub(super) struct LeastImpedance {
    first: Mutex<First>,
}

/// The first of many.
#[derive(Debug, Default)]
struct First {
    /// Unless another one may be it.
    known: Option<SharedRoute>,
    /// Where the latest routes are in memory: a pick that looks at older ones, which it keeps there
    /// meanwhile, does not know which is the first of these.
    among: usize,
}

fn place(many: &Many) -> usize {
    std::ptr::from_ref(many).addr()
}

impl LeastImpedance {
    fn first(&self) -> MutexGuard<'_, First> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Weights are above 0, so that their bits are in the same order, and compared sooner.
fn weight(route: &Route) -> u32 {
    route.weight().to_bits()
}

/// Of equals the one that was there first comes first.
fn rank(route: &Route) -> (u32, u64) {
    (weight(route), route.destination().id())
}

impl LeastImpedance {
    fn of_many(&self, scene: &Scene<'_>, many: &Many) -> Option<SharedRoute> {
        let mut first = self.first();
        // The first of all is the first of those that are candidates, if it is one.
        if let Some(known) = first.known.as_ref().filter(|known| scene.admits(known)) {
            return Some(SharedRoute::clone(known));
        }
        let admitted = scene.routes.iter().filter(|route| scene.admits(route));
        let found = admitted.min_by_key(|route| rank(route))?;
        if scene.admits_all() && first.among == place(many) {
            first.known = Some(SharedRoute::clone(found));
        }
        Some(SharedRoute::clone(found))
    }
}

impl Policy for LeastImpedance {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        let first = match scene.routes {
            Routes::Few(routes) => {
                let admitted = routes.iter().filter(|route| scene.admits(route));
                // Of equal elements the first one is returned.
                SharedRoute::clone(admitted.min_by_key(|route| weight(route))?)
            }
            Routes::Many(many) => self.of_many(scene, many)?,
        };
        Some(Choice::from(first))
    }

    fn routes_changed(&self, change: &Change<'_>, routes: Routes<'_>, _now: Nanos) {
        let mut first = self.first();
        first.among = match routes {
            Routes::Few(_) => 0,
            Routes::Many(many) => place(many),
        };
        match change {
            Change::Added(routes) => {
                let lightest = routes.iter().min_by_key(|route| rank(route));
                // It came last, so that it has to be lighter.
                if let (Some(known), Some(new)) = (&mut first.known, lightest)
                    && weight(new) < weight(known)
                {
                    *known = SharedRoute::clone(new);
                }
            }
            Change::Removed(_, gone) | Change::Replaced(_, gone) => {
                first
                    .known
                    .take_if(|known| SharedRoute::ptr_eq(known, gone));
            }
            Change::Listed(_) => first.known = None,
        }
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        let mut first = self.first();
        // One that is heavier than the first and is not it changes nothing.
        first
            .known
            .take_if(|known| SharedRoute::ptr_eq(known, route) || route.weight() <= known.weight());
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }
}
