//! Round robin by deficit: among the good destinations, in turn and as often as their weights allow.

mod rota;
mod turn;

use super::{Choice, Policy, Scene, Wanted};
use crate::Nanos;
use crate::route::SharedRoute;
use crate::routes::{Change, Routes};
use rand::Rng;
use rota::Rota;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
///
/// One lock per lambda. A pick goes through the deficits only, and of more than 128 destinations only
/// until it meets one whose turn it is; an update of a weight looks at one destination, unless it
/// changes what is good.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    rota: Mutex<Rota>,
}

impl RoundRobin {
    fn rota(&self) -> MutexGuard<'_, Rota> {
        self.rota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy for RoundRobin {
    fn choose<'a>(&self, scene: &Scene<'a>, _rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let mut rota = self.rota();
        rota.end_rests(scene.now);
        let next = match scene.routes {
            _ if scene.admits_all() && !rota.has_parked() => rota.next(),
            Routes::Few(_) => rota.next_of(|route| scene.admits(route)),
            Routes::Many(_) => rota.next_of_many(scene),
        };
        next.map(|next| Choice::from(next.chosen(scene)))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, change: &Change<'_>, routes: Routes<'_>, now: Nanos) {
        self.rota().follow(change, routes, now);
    }

    fn weight_set(&self, route: &SharedRoute, now: Nanos) {
        self.rota().weight_set(route, now);
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
