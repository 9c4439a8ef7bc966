//! Round robin by deficit: among the good destinations, in turn and as often as their weights allow.

use super::{Choice, Policy, Scene, Slot, follow};
use crate::Nanos;
use crate::route::Route;
use rand::Rng;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// After a probe that did not help, or at first, a destination rests for so long.
const FIRST_REST: Nanos = Nanos::from_secs(1);
/// What doubling the rest stops at.
const LONGEST_REST: Nanos = Nanos::from_secs(30);
/// Good is what weighs at most so many times the smallest weight.
const GOOD: f32 = 2.0;

/// Chooses the smallest deficit among the active destinations, then adds its weight to it: each is
/// chosen as often as the inverse of its weight says. After the `round-robin` table of the C++
/// reference, the preferred one of its authors.
///
/// Use it with an optimizer, where fairness among the good destinations matters more than the last
/// millisecond; it does not see load.
///
/// Active are the destinations within twice the smallest weight, those whose weight was never
/// updated yet, and those under probe: after a rest of 1 s without update a bad one becomes active
/// again until its next update, which either shows that it is good or doubles the rest, up to 30 s.
///
/// Unlike in the reference, deficits start at 0 (there at the largest float, which absorbs every
/// weight, so that of four fresh destinations three were used), rests also end when nothing but
/// picks happen, only active destinations are credited when the smallest deficit is taken off, and
/// the first update after joining or after a rest corrects what the guess of a weight has charged (a
/// newcomer announced at 1 among tens of milliseconds would sit out a hundred turns). Ties go by
/// name.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    slots: Mutex<Vec<Slot<Turn>>>,
}

#[derive(Debug)]
struct Turn {
    deficit: f64,
    active: bool,
    /// None before the first update and while under probe.
    updated: Option<Nanos>,
    probing: bool,
    rest: Nanos,
}

impl Turn {
    fn new() -> Self {
        Turn {
            deficit: 0.0,
            active: true,
            updated: None,
            probing: false,
            rest: FIRST_REST,
        }
    }

    /// Whether it takes part from now on.
    fn refresh(&mut self, good: bool, now: Nanos) -> bool {
        if good {
            if self.probing {
                (self.probing, self.rest) = (false, FIRST_REST);
            }
            return true;
        }
        let Some(updated) = self.updated else {
            return true;
        };
        if self.probing {
            self.probing = false;
            self.rest = Nanos(self.rest.0 * 2).min(LONGEST_REST);
        }
        if now.since(updated) < self.rest {
            return false;
        }
        (self.updated, self.probing) = (None, true);
        true
    }
}

impl RoundRobin {
    fn slots(&self) -> MutexGuard<'_, Vec<Slot<Turn>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the smallest deficit off the active ones and decides anew who is active; newcomers start
/// level with the one whose turn it is.
fn refresh(slots: &mut [Slot<Turn>], now: Nanos) {
    let smallest = smallest_deficit(slots);
    let good = good_weight(slots.iter());
    for slot in slots {
        let was_active = slot.state.active;
        slot.state.active = slot.state.refresh(slot.route.weight() <= good, now);
        if was_active {
            slot.state.deficit -= smallest;
        } else if slot.state.active {
            slot.state.deficit = 0.0;
        }
    }
}

fn smallest_deficit(slots: &[Slot<Turn>]) -> f64 {
    let active = slots.iter().filter(|slot| slot.state.active);
    active
        .map(|slot| slot.state.deficit)
        .fold(f64::INFINITY, f64::min)
}

/// The largest weight that is still good.
fn good_weight<'a>(slots: impl Iterator<Item = &'a Slot<Turn>>) -> f32 {
    GOOD * slots
        .map(|slot| slot.route.weight())
        .fold(f32::INFINITY, f32::min)
}

impl Policy for RoundRobin {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        let mut slots = self.slots();
        refresh(&mut slots, scene.now);
        let admitted = |slot: &&mut Slot<Turn>| scene.admits(&slot.route);
        let by_turn = |a: &&mut Slot<Turn>, b: &&mut Slot<Turn>| {
            let by_deficit = a.state.deficit.total_cmp(&b.state.deficit);
            by_deficit.then_with(|| {
                a.route
                    .destination()
                    .name()
                    .cmp(b.route.destination().name())
            })
        };
        let active = slots
            .iter_mut()
            .filter(admitted)
            .filter(|slot| slot.state.active);
        if let Some(next) = active.min_by(by_turn) {
            next.state.deficit += f64::from(next.route.weight());
            return Some(Arc::clone(&next.route).into());
        }
        // All active ones are ejected or tried: the good ones among the rest stand in.
        let good = good_weight(slots.iter().filter(|slot| scene.admits(&slot.route)));
        let spare = slots
            .iter_mut()
            .filter(admitted)
            .filter(|slot| slot.route.weight() <= good);
        spare.min_by(by_turn).map(|next| {
            next.state.deficit += f64::from(next.route.weight());
            Arc::clone(&next.route).into()
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, routes: &[Arc<Route>], now: Nanos) {
        let mut slots = self.slots();
        // Before newcomers join, so that they start level with the one whose turn it is.
        refresh(&mut slots, now);
        follow(&mut slots, routes, Turn::new);
        refresh(&mut slots, now);
    }

    fn weight_set(&self, route: &Arc<Route>, now: Nanos) {
        let mut slots = self.slots();
        let smallest = smallest_deficit(&slots);
        if let Some(slot) = slots
            .iter_mut()
            .find(|slot| Arc::ptr_eq(&slot.route, route))
            && slot.state.updated.replace(now).is_none()
        {
            // It was charged by a guess; its real weight may be far less.
            let charged = smallest + f64::from(route.weight());
            slot.state.deficit = slot.state.deficit.min(charged);
        }
        refresh(&mut slots, now);
    }
}
