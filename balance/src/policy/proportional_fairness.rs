//! Proportional fairness: speed against the rate at which a destination was served so far.

use super::slots::{Slot, Slots};
use super::{Choice, Policy, Scene, Wanted};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Routes};
use rand::Rng;
use std::hint::select_unpredictable;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Chooses the largest `(1/w)^alpha / (c/t)^beta`, the earliest inserted among equals, where c
/// counts the weight updates of the destination (1 at first) and t is the time since the last one
/// (at first, since it was added). After the table of that name in the C++ reference, there taken
/// from the scheduling of cellular networks.
///
/// Use it with an optimizer that updates the weight after every answer (`asyncPF`): updates are
/// what it counts. `alpha = 0, beta = 1` takes turns; `alpha = 1, beta = 0` always takes the
/// fastest and never explores; 1 and 1 balance the two. c never decays, as in the reference, so a
/// destination that joins later is preferred until it has caught up.
///
/// One lock per lambda. The power of the speed is taken when the weight is set; with a `beta` of 0, 1
/// or another small whole number a pick takes no power and does not divide.
#[derive(Debug)]
pub(super) struct ProportionalFairness {
    alpha: Exponent,
    beta: Exponent,
    slots: Mutex<Slots<Served>>,
}

#[derive(Debug)]
struct Served {
    /// `(1/w)^alpha`.
    merit: f64,
    /// c.
    count: u64,
    /// 1/c.
    share: f64,
    last: Nanos,
}

#[derive(Clone, Copy, Debug)]
enum Exponent {
    One,
    Whole(i32),
    Any(f64),
}

impl From<f64> for Exponent {
    fn from(exponent: f64) -> Self {
        if exponent == 1.0 {
            Exponent::One
        } else if exponent.fract() == 0.0 && exponent.abs() <= 4.0 {
            Exponent::Whole(exponent as i32)
        } else {
            Exponent::Any(exponent)
        }
    }
}

impl Exponent {
    #[inline]
    fn of(self, base: f64) -> f64 {
        match self {
            Exponent::One => base,
            Exponent::Whole(exponent) => base.powi(exponent),
            Exponent::Any(exponent) => base.powf(exponent),
        }
    }
}

impl ProportionalFairness {
    pub(super) fn new(alpha: f64, beta: f64) -> Self {
        ProportionalFairness {
            alpha: alpha.into(),
            beta: beta.into(),
            slots: Mutex::default(),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots<Served>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn served(&self, route: &Route, count: u64, now: Nanos) -> Served {
        Served {
            merit: self.alpha.of(1.0 / f64::from(route.weight())),
            count,
            share: 1.0 / count as f64,
            last: now,
        }
    }
}

/// The largest product of merit and power of t/c, the one that was there first among equals; a few
/// are in that order.
fn largest<'a, const FEW: bool>(
    slots: &'a Slots<Served>,
    scene: &Scene<'_>,
    power: impl Fn(f64) -> f64,
) -> Option<&'a SharedRoute> {
    let mut best: Option<&SharedRoute> = None;
    let mut largest = f64::NEG_INFINITY;
    let all = scene.admits_all();
    let admits = |slot: &&Slot<Served>| all || scene.admits(&slot.route);
    for slot in slots.iter().filter(admits) {
        let served = &slot.state;
        // At least a nanosecond, so that counts matter even to picks of the same instant.
        let elapsed = scene.now.since(served.last).max(Nanos(1)).as_secs_f64();
        let score = served.merit * power(elapsed * served.share);
        let was_there_first = |best: &Route| {
            !FEW && score == largest && slot.route.destination().id() < best.destination().id()
        };
        let better = score > largest || best.is_none_or(|best| was_there_first(best));
        // Nobody can foresee which is better.
        best = select_unpredictable(better, Some(&slot.route), best);
        largest = select_unpredictable(better, score, largest);
    }
    best
}

impl Policy for ProportionalFairness {
    fn choose<'a>(&self, scene: &Scene<'a>, _rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let slots = self.slots();
        // The usual exponent makes a loop of its own.
        let chosen = match (scene.routes, self.beta) {
            (Routes::Few(_), Exponent::One) => largest::<true>(&slots, scene, |base| base),
            (Routes::Few(_), beta) => largest::<true>(&slots, scene, |base| beta.of(base)),
            (Routes::Many(_), beta) => largest::<false>(&slots, scene, |base| beta.of(base)),
        };
        chosen.map(|route| Choice::from(scene.chosen(Slots::<Served>::position(route), route)))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, now: Nanos) {
        self.slots()
            .follow(change, |route| self.served(route, 1, now));
    }

    fn weight_set(&self, route: &SharedRoute, now: Nanos) {
        let mut slots = self.slots();
        if let Some(served) = slots.of(route) {
            *served = self.served(route, served.count + 1, now);
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_powers_that_they_stand_for() {
        for exponent in [0.0, 1.0, 2.0, 3.0, 4.0, 0.5, 7.5, 1000.0] {
            for base in [0.25, 1.0, 1.5] {
                let (power, expected) =
                    (Exponent::from(exponent).of(base), f64::powf(base, exponent));
                assert!(
                    (power - expected).abs() <= 1e-12 * expected,
                    "{base}^{exponent}"
                );
            }
        }
    }
}
