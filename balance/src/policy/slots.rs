//! What a stateful policy keeps about each route, found through the route itself.

use crate::route::{Route, SharedRoute};
use crate::routes::Change;
use std::ops::Range;
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
    /// Does what was done to the routes; those that stay keep their state.
    pub(super) fn follow(&mut self, change: &Change<'_>, fresh: impl Fn(&Route) -> S) {
        let before = self.0.len();
        follow(&mut self.0, change, fresh);
        let from = match change {
            Change::Added(_) => before,
            Change::Removed(at, _) => *at,
            Change::Replaced(at, _) => {
                self.number(*at..self.0.len().min(at + 1));
                return;
            }
            Change::Listed(_) => 0,
        };
        self.number(from..self.0.len());
    }

    fn number(&self, positions: Range<usize>) {
        let slots = positions.clone().zip(&self.0[positions]);
        slots.for_each(|(at, slot)| slot.route.scratch().store(at as u64, Relaxed));
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Slot<S>> {
        self.0.iter()
    }

    /// Where the slot of the route is if it has one.
    pub(super) fn position(route: &Route) -> usize {
        route.scratch().load(Relaxed) as usize
    }

    /// None if the route was removed meanwhile, or is not there yet.
    pub(super) fn of(&mut self, route: &SharedRoute) -> Option<&mut S> {
        let at = Self::position(route);
        let slot = self.0.get_mut(at)?;
        SharedRoute::ptr_eq(&slot.route, route).then_some(&mut slot.state)
    }
}

/// Does to `slots` what was done to the routes; those that stay keep their state.
pub(super) fn follow<S>(
    slots: &mut Vec<Slot<S>>,
    change: &Change<'_>,
    fresh: impl Fn(&Route) -> S,
) {
    let slot = |route: &SharedRoute| Slot {
        route: SharedRoute::clone(route),
        state: fresh(route),
    };
    change.follow(slots, |slot| &slot.route, slot);
}
