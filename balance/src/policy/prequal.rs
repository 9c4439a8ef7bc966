//! Prequal: destinations are asked how busy they are beside the requests, and the answers decide.

mod pool;
mod quiet;
mod recent;

use super::draw::{Drawn, draw};
use super::{Choice, Chosen, Cost, Executed, Policy, Scene, Wanted, costs_of};
use crate::average::replace;
use crate::lambda_state::LambdaState;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Routes};
use crate::{Nanos, Report};
use pool::{MOST_PROBES, Pool, Probed};
use quiet::is_idle;
use rand::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Probes that a pool must hold for the rule to be better than chance.
const ENOUGH: usize = 2;
/// Probes per request while there is no load to be found, and the pool is full.
const SELDOM: f64 = 1.0 / 16.0;

/// Chooses among the answers to recent probes by the rule "hot or cold", after Wydrowski, Kleinberg,
/// Rumble and Archer, "Load is not what you should balance: Introducing Prequal" (NSDI 2024).
///
/// Each request sends `probes` dry requests (a fraction is made up for over several requests) to
/// destinations drawn at random. The answers tell the requests in flight there and the time that one
/// would take now; they live in a pool of 16 per lambda for up to a second.
///
/// * A probe is hot if its requests in flight exceed the 0.84 quantile (`2^-0.25`) of the last 64
///   that were told. Among cold ones the shortest time wins, if all are hot the fewest requests.
/// * The probe that was used counts one request more, and may be used
///   `b = 2 / ((1 - m/n) probes - removals)` times for n destinations and a pool of m; b is between
///   1 and 4, its fraction made up for over several probes.
/// * Each request also removes one probe, alternately the worst (of the hot ones the one with the
///   most requests, else the slowest) and the oldest, so that the pool does not come to hold what
///   nobody wants; where fewer than three probes are sent, a third of them is removed.
/// * With fewer than two usable probes the destination is drawn at random.
/// * Where there is no load, there is nothing to find out. It is quiet once 64 answers in a row told of
///   no request, or, where a destination tells no number, that one would take less than a
///   millisecond. Then answers count our own requests that are there at the moment, so that they
///   remain true when these have ended, and are neither used up nor removed, as long as so many are of
///   idle destinations that they would fill half a pool; and while the pool is full a request in 16
///   sends a probe, which replaces the oldest. The first answer that tells of a request ends it, also
///   one to a request of ours that was not alone there.
///
/// Of the paper's parameters the pool is at most half the number of destinations, at least two, and
/// removals leave two, since it is made for hundreds of servers rather than a few. A new answer
/// replaces the one of the same destination. The time of the probe's own way there and back is
/// added, which the paper can do without where all are equally far; at the edge it is better (in the
/// simulation study behind [`super::least_cost`] 2.1 instead of 2.4 times the 99th percentile of an
/// omniscient dispatcher; that policy came to 1.3, without probes).
///
/// Use it where many brokers share many destinations, each broker sends little to each of them, so
/// that its own counts tell nothing, and messages are cheap. Only destinations that execute lambdas
/// themselves are probed, and those only if there is more than one: among other brokers it chooses at
/// random.
///
/// One lock per lambda guards the pool, for some hundred nanoseconds at a time.
#[derive(Debug)]
pub(super) struct Prequal {
    probes: Due,
    /// Whether the last request found no load anywhere.
    rests: AtomicBool,
    pool: Mutex<Pool>,
}

/// Hands out whole numbers of probes that add up to so many per request. Of two cores that do it at
/// the same moment both may send the probe that makes up for fractions, or neither.
#[derive(Debug)]
struct Due {
    per_request: f64,
    /// f64, below 1.
    owed: AtomicU64,
}

impl Due {
    fn new(per_request: f64) -> Self {
        Due {
            per_request,
            owed: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    /// How many this request sends, if it may be so many per request.
    fn next(&self, most: f64) -> usize {
        let share = self.per_request.min(most);
        let mut due = 0;
        replace(&self.owed, |owed| {
            let (whole, rest) = pool::whole(f64::from_bits(owed), share);
            due = whole as usize;
            rest.to_bits()
        });
        due
    }
}

impl Prequal {
    pub(super) fn new(probes: f64) -> Self {
        Prequal {
            probes: Due::new(probes),
            rests: AtomicBool::new(false),
            pool: Mutex::new(Pool::new(probes)),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy for Prequal {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let known = {
            let mut pool = self.pool();
            pool.forget_old(scene.now);
            let all = scene.admits_all();
            let candidates = pool.ranked(|route| all || scene.admits(route));
            let rests = pool.rests(&candidates);
            self.rests.store(rests, Relaxed);
            match candidates.best {
                Some(best) if candidates.count >= ENOUGH => Some(if rests {
                    pool.route(best)
                } else {
                    pool.used(best)
                }),
                _ => None,
            }
        };
        let chosen = known.or_else(|| {
            let routes = scene.routes;
            let mut drawn = Drawn::new();
            draw(&mut drawn, scene, 1, rng, |_| true);
            drawn.first().map(|at| SharedRoute::clone(routes.at(*at)))
        })?;
        Some(Choice::from(chosen))
    }

    /// The cost is the place in the order of preference; those without a probe come last.
    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let mut pool = self.pool();
        pool.forget_old(scene.now);
        let order = pool.in_order();
        costs_of(scene, |route| {
            let is_it = |probed: &Probed| SharedRoute::ptr_eq(&probed.route, route);
            let place = order.iter().position(is_it);
            let terms = place.map_or_else(Vec::new, |place| {
                let probed = &order[place];
                vec![
                    ("latency_s", f64::from(probed.seconds)),
                    ("requests_there", f64::from(pool.requests(probed))),
                    ("hot", f64::from(u8::from(pool.is_hot(probed)))),
                ]
            });
            (place.unwrap_or(order.len()) as f64, terms)
        })
    }

    fn routes_changed(&self, change: &Change<'_>, routes: Routes<'_>, _now: Nanos) {
        self.pool().follow(change, routes.len());
    }

    fn probes_due(&self, _lambda: &LambdaState, _now: Nanos, _rng: &mut dyn Rng) -> usize {
        let seldom = self.rests.load(Relaxed) && self.pool().is_full();
        self.probes.next(if seldom { SELDOM } else { f64::MAX })
    }

    fn probes(
        &self,
        scene: &Scene<'_>,
        due: usize,
        rng: &mut dyn Rng,
        ask: &mut dyn FnMut(&SharedRoute),
    ) {
        let routes = scene.routes;
        if routes.len() < 2 {
            // There is nothing to choose.
            return;
        }
        let mut drawn = Drawn::new();
        draw(
            &mut drawn,
            scene,
            due.min(MOST_PROBES),
            rng,
            Route::is_final,
        );
        drawn.iter().for_each(|at| ask(routes.at(*at)));
    }

    fn probed(
        &self,
        route: Chosen<'_>,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
    ) {
        let known = route.route();
        let expected = match (estimate, known.pair().measured()) {
            (Some(estimate), _) => (estimate + latency).as_secs_f64() as f32,
            (None, Some(measured)) => measured,
            // Nothing to compare it by.
            (None, None) => return,
        };
        // One that does not tell is taken to have no requests but ours.
        let in_flight = report
            .in_flight
            .unwrap_or_else(|| known.destination().in_flight());
        let idle = in_flight == 0 && is_idle(report.in_flight, estimate);
        let mut pool = self.pool();
        if pool.add(route, in_flight, expected, now) {
            pool.heard(idle);
        }
    }

    /// A request of ours that was not alone there tells more than a probe would.
    fn learnt(&self, route: &Route, executed: &Executed<'_>) {
        if !self.rests.load(Relaxed) {
            return;
        }
        let own = route.destination().in_flight();
        if executed.report.in_flight.is_some_and(|there| there > own) {
            self.pool().heard(false);
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted::LATENCIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_probes_are_made_up_for() {
        for (per_request, expected) in [(0.4, 399..=400), (2.5, 2500..=2500), (0.0, 0..=0)] {
            let due = Due::new(per_request);
            let sent: usize = (0..1000).map(|_| due.next(f64::MAX)).sum();
            assert!(expected.contains(&sent), "{per_request}: {sent}");
        }
    }
}
