//! Weighted round robin: turns in proportion to what a destination gets done per share of its
//! processors.

mod turns;

use super::draw::drawn_of_few;
use super::slots::{Slot, follow};
use super::{Choice, Cost, Executed, Policy, Scene, Wanted, any_index, costs_of};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, FEW, Routes};
use crate::stamp::pack;
use rand::{Rng, RngExt};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use turns::{Turn, Turns};

/// Of more destinations than policies look at, so many are drawn at random.
const DRAWN: usize = 16;
/// One answer and one failure in the word that counts both.
const ANSWER: u64 = 1;
const FAILURE: u64 = 1 << 32;

/// Gives each destination turns in proportion to `rate / (utilisation + penalty x errors / rate)`,
/// after the client-side weighted round robin of gRPC (gRFC A58): a destination that serves a
/// hundred requests per second with half of its processors can serve two hundred.
///
/// Use it where requests are many and small, destinations differ in capacity but not in distance,
/// and report their utilisation. It needs neither probes nor latencies, and does not look at the
/// queue: a burst or a slow request is not avoided. `penalty` says how much a destination that fails
/// some of its requests loses.
///
/// * Weights are computed every second, from rate, errors and utilisation averaged over about ten
///   seconds of those that had an answer with a utilisation above 0.
/// * A weight counts from 10 s after the first report on, and until 3 min after the last.
/// * Destinations without a weight get the mean of the others; with fewer than two weights all
///   get the same. Weights are kept between 0.01 and 10 times the mean.
/// * Turns are given by due times: who is due first gets the request, and is due again after a
///   period inverse to its weight. They begin at random, so that brokers do not march in step.
///
/// In gRPC servers report their whole rate. Answers here do not, so it is the rate of this broker:
/// destinations that others keep busy too get less, and in balance all are utilised equally.
///
/// Counting takes no lock; picking takes one per lambda and looks at all destinations, or, of more
/// than 128, at 16 drawn at random.
#[derive(Debug)]
pub(super) struct WeightedRoundRobin {
    penalty: f64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot<Turn>>,
    turns: Turns,
}

impl WeightedRoundRobin {
    pub(super) fn new(penalty: f64) -> Self {
        WeightedRoundRobin {
            penalty,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn update(&mut self, penalty: f64, now: Nanos) {
        let Some(span) = self.turns.begin_update(now) else {
            return;
        };
        for slot in self.slots.iter_mut().filter(|s| s.state.is_awaited()) {
            let counts = slot.route.scratch().swap(0, Relaxed);
            let report = slot.route.second_scratch().swap(0, Relaxed);
            slot.state.observe(counts, report, span, penalty, now);
            // An answer is counted soon after it has come.
            if counts == 0 && slot.route.destination().in_flight() == 0 {
                slot.state.settled();
            }
        }
        let weights = self.slots.iter().map(|slot| slot.state.weight(now));
        let mean = turns::mean(weights);
        for slot in &mut self.slots {
            self.turns.set_period(&mut slot.state, mean, now);
        }
        self.list();
    }

    /// Those that are new take part from now on.
    fn enter(&mut self, rng: &mut dyn Rng) {
        for at in self.turns.newcomers() {
            self.turns
                .enter(at, &mut self.slots[at].state, || rng.random());
        }
    }

    fn list(&mut self) {
        self.turns.list(self.slots.iter().map(|slot| &slot.state));
    }
}

impl Policy for WeightedRoundRobin {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let mut state = self.state();
        state.update(self.penalty, scene.now);
        state.enter(rng);
        let State { slots, turns } = &mut *state;
        let admits = |at: usize| scene.admits(&slots[at].route);
        let n = slots.len();
        let drawn = (n > FEW)
            .then(|| std::array::from_fn::<_, DRAWN, _>(|_| any_index(n, rng)))
            .and_then(|drawn| turns.first(drawn, admits));
        // Of many some are enough: who is passed over is overdue, and first among the next.
        let next = drawn.or_else(|| match scene.routes {
            Routes::Many(_) if scene.healthy_only => {
                // The routes are in the same order, unless they are changing.
                let open = drawn_of_few(scene, DRAWN, rng);
                turns.first(open.into_iter().filter(|at| *at < n), admits)
            }
            _ => None,
        });
        let next = next.or_else(|| match scene.routes {
            Routes::Few(_) if scene.admits_all() => turns.first_of_all(),
            _ => turns.first(0..n, admits),
        })?;
        turns.take(next, &mut slots[next].state);
        Some(Choice::from(scene.chosen(next, &slots[next].route)))
    }

    /// The cost is the period between turns, relative to the mean.
    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let state = self.state();
        let of = |slot: &Slot<Turn>| SharedRoute::as_ptr(&slot.route);
        // A few are in the same order, and of many those that are asked for are not many.
        let mut slots = state.slots.iter().cycle();
        costs_of(scene, |route| {
            let mut left = slots.by_ref().take(state.slots.len());
            let slot = left.find(|slot| of(slot) == SharedRoute::as_ptr(route));
            slot.map_or((1.0, Vec::new()), |slot| {
                let weight = slot.state.weight(scene.now);
                let terms = weight.map(|weight| ("requests_per_second_at_full_use", weight));
                (slot.state.period(), terms.into_iter().collect())
            })
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {
        let mut state = self.state();
        follow(&mut state.slots, change, |_| Turn::default());
        match change {
            Change::Listed(_) => state.list(),
            change => state.turns.follow(change),
        }
    }

    fn learnt(&self, route: &Route, executed: &Executed<'_>) {
        route.scratch().fetch_add(ANSWER, Relaxed);
        let utilization = executed.report.utilization;
        if let Some(utilization) = utilization.filter(|share| *share > 0.0) {
            let report = pack(utilization.to_bits(), 0);
            route.second_scratch().store(report, Relaxed);
        }
    }

    fn failed(&self, route: &Route, _now: Nanos) {
        route.scratch().fetch_add(FAILURE, Relaxed);
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}
