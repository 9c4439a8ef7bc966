//! Proportional fairness: speed against the rate at which a destination was served so far.

use super::{Choice, Policy, Scene, Slot, follow};
use crate::Nanos;
use crate::route::Route;
use rand::Rng;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Chooses the largest `(1/w)^alpha / (c/t)^beta`, the earliest inserted among equals, where c
/// counts the weight updates of the destination (1 at first) and t is the time since the last one
/// (at first, since it was added). After the table of that name in the C++ reference, there taken
/// from the scheduling of cellular networks.
///
/// Use it with an optimizer that updates the weight after every answer (`asyncPF`): updates are
/// what it counts. `alpha = 0, beta = 1` takes turns; `alpha = 1, beta = 0` always takes the
/// fastest and never explores; 1 and 1 balance the two. c never decays, as in the reference, so a
/// destination that joins later is preferred until it has caught up.
#[derive(Debug)]
pub(super) struct ProportionalFairness {
    alpha: f64,
    beta: f64,
    slots: Mutex<Vec<Slot<Served>>>,
}

#[derive(Debug)]
struct Served {
    count: u64,
    last: Nanos,
}

impl ProportionalFairness {
    pub(super) fn new(alpha: f64, beta: f64) -> Self {
        ProportionalFairness {
            alpha,
            beta,
            slots: Mutex::default(),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot<Served>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn score(&self, slot: &Slot<Served>, now: Nanos) -> f64 {
        let speed = 1.0 / f64::from(slot.route.weight());
        // At least a nanosecond, so that counts matter even to picks of the same instant.
        let elapsed = now.since(slot.state.last).max(Nanos(1)).as_secs_f64();
        let rate = slot.state.count as f64 / elapsed;
        speed.powf(self.alpha) / rate.powf(self.beta)
    }
}

impl Policy for ProportionalFairness {
    fn choose(&self, scene: &Scene<'_>, _rng: &mut dyn Rng) -> Option<Choice> {
        let slots = self.slots();
        let mut best: Option<(f64, &Slot<Served>)> = None;
        for slot in slots.iter().filter(|slot| scene.admits(&slot.route)) {
            let score = self.score(slot, scene.now);
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, slot));
            }
        }
        best.map(|(_, slot)| Choice::from(Arc::clone(&slot.route)))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, routes: &[Arc<Route>], now: Nanos) {
        follow(&mut self.slots(), routes, || Served {
            count: 1,
            last: now,
        });
    }

    fn weight_set(&self, route: &Arc<Route>, now: Nanos) {
        let mut slots = self.slots();
        if let Some(slot) = slots
            .iter_mut()
            .find(|slot| Arc::ptr_eq(&slot.route, route))
        {
            slot.state.count += 1;
            slot.state.last = now;
        }
    }
}
