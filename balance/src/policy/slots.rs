//! What a stateful policy keeps about each route, found through the route itself.

use crate::route::{Route, SharedRoute};
use std::sync::atomic::Ordering::Relaxed;

/// A route and what a stateful policy keeps about it.
#[derive(Debug)]
pub(super) struct Slot<S> {
    pub(super) route: SharedRoute,
    pub(super) state: S,
}

/// One slot per route, in the order of the routes. The position is in the first word of the route's
/// scratch, so that finding a slot looks at no other.
#[derive(Debug)]
pub(super) struct Slots<S>(Vec<Slot<S>>);

impl<S> Default for Slots<S> {
    fn default() -> Self {
        Slots(Vec::new())
    }
}

impl<S> Slots<S> {
    /// Brings them in step with `routes`; those that stay keep their state.
    pub(super) fn follow(&mut self, routes: &[SharedRoute], fresh: impl Fn(&Route) -> S) {
        follow(&mut self.0, routes, fresh);
        for (at, slot) in self.0.iter().enumerate() {
            slot.route.scratch().store(at as u64, Relaxed);
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Slot<S>> {
        self.0.iter()
    }

    /// None if the route was removed meanwhile, or is not there yet.
    pub(super) fn of(&mut self, route: &SharedRoute) -> Option<&mut S> {
        let at = route.scratch().load(Relaxed) as usize;
        let slot = self.0.get_mut(at)?;
        SharedRoute::ptr_eq(&slot.route, route).then_some(&mut slot.state)
    }
}

/// Brings `slots` in step with `routes`; those that stay, which are in the same order, keep their
/// state.
pub(super) fn follow<S>(
    slots: &mut Vec<Slot<S>>,
    routes: &[SharedRoute],
    fresh: impl Fn(&Route) -> S,
) {
    let mut before = std::mem::take(slots).into_iter();
    slots.extend(routes.iter().map(|route| {
        let kept = before.find(|slot| SharedRoute::ptr_eq(&slot.route, route));
        kept.unwrap_or_else(|| Slot {
            route: SharedRoute::clone(route),
            state: fresh(route),
        })
    }));
}
