//! Least impedance: always the destination with the smallest weight.

use super::{Choice, Policy, Scene, Wanted};
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
/// some weight changes that may make another one the first. While the first is no candidate, one that
/// stands in for it is remembered, too, for so many picks that the search for it costs each of them
/// little; of those that are lighter one may be back for as long.
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
    /// The first of the candidates when there was a search for one, and the picks that it is good for.
    stand_in: Option<SharedRoute>,
    good_for: usize,
}

/// A pick may cost as much as a look at so many destinations, on average.
const LOOKS_PER_PICK: usize = 64;

impl First {
    /// What stands in, if it is good for another pick.
    fn stand_in(&mut self, scene: &Scene<'_>) -> Option<&SharedRoute> {
        let stand_in = self.stand_in.as_ref().filter(|route| scene.admits(route))?;
        self.good_for = self.good_for.checked_sub(1)?;
        Some(stand_in)
    }

    /// Takes note of what a search has found.
    fn found(&mut self, route: &SharedRoute, scene: &Scene<'_>, many: &Many) {
        if self.among != place(many) {
            return;
        }
        if scene.admits_all() {
            self.known = Some(SharedRoute::clone(route));
            return;
        }
        // One where this request has been still stands in for others.
        let is_tried = |known: &SharedRoute| scene.tried.contains(known.destination().id());
        if !self.stand_in.as_ref().is_some_and(is_tried) {
            self.stand_in = Some(SharedRoute::clone(route));
            self.good_for = many.len() / LOOKS_PER_PICK;
        }
    }

    /// Forgets those of the two that are `so`.
    fn forget(&mut self, so: impl Fn(&SharedRoute) -> bool) {
        self.known.take_if(|known| so(known));
        self.stand_in.take_if(|known| so(known));
    }
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
        if let Some(stand_in) = first.stand_in(scene) {
            return Some(SharedRoute::clone(stand_in));
        }
        let admitted = scene.routes.iter().filter(|route| scene.admits(route));
        let found = admitted.min_by_key(|route| rank(route))?;
        first.found(found, scene, many);
        Some(SharedRoute::clone(found))
    }
}

impl Policy for LeastImpedance {
    fn choose<'a>(&self, scene: &Scene<'a>, _rng: &mut dyn Rng) -> Option<Choice<'a>> {
        match scene.routes {
            Routes::Few(routes) => {
                let all = scene.admits_all();
                let admitted = routes.iter().filter(|route| all || scene.admits(route));
                // Of equal elements the first one is returned.
                admitted.min_by_key(|route| weight(route)).map(Choice::from)
            }
            Routes::Many(many) => self.of_many(scene, many).map(Choice::from),
        }
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
                first.stand_in = None;
            }
            Change::Removed(_, gone) | Change::Replaced(_, gone) => {
                first.forget(|known| SharedRoute::ptr_eq(known, gone));
            }
            Change::Listed(_) => first.forget(|_| true),
        }
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        let mut first = self.first();
        // One that is heavier than the first and is not it changes nothing.
        first.forget(|known| SharedRoute::ptr_eq(known, route) || route.weight() <= known.weight());
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
