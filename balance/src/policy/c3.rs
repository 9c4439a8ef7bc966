//! C3: latency without service, plus service times the cube of the expected queue, over all
//! destinations.

use super::least_cost::{expected_latencies, expected_latency, own_requests};
use super::scan::Costs;
use super::{Choice, Cost, Executed, Policy, Scene, Wanted, costs_of, scan};
use crate::average::replace;
use crate::real::{LANES, Lanes, Real, numbers};
use crate::route::Route;
use crate::stamp::Stamp;
use rand::Rng;
use std::sync::atomic::Ordering::Relaxed;

/// Weight of a new sample in all averages.
const WEIGHT: f32 = 0.1;

/// Chooses the smallest `R - T + q^3 T` with `q = 1 + own n + Q`, after Suresh, Canini, Schmid and
/// Feldmann, "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection" (NSDI
/// 2015): R is the average latency of the lambda at the destination, T its average service time as
/// answers report it, own the requests of this broker there, n the number of brokers that are
/// expected to behave alike (`clients`), and Q the average number of requests that answers leave
/// behind there. The cube keeps many brokers from rushing to the same fast destination.
///
/// Use it where service times dominate and destinations are equally far: the cube knows neither
/// workers nor distance, so that far or highly parallel ones are used too little. Say with `clients`
/// how many brokers share the destinations; too large a number does less harm than too small a one.
///
/// * Every average gives 0.1 to a new sample, after fewer than ten samples their share.
/// * Where service times are not reported T = R; where queues are not, Q = 0.
/// * Latencies that were never measured, or are old, are expected as by [`super::least_cost`], and
///   the most neglected destination is explored at the same rate. The paper has no need of either,
///   since its clients read from all replicas now and then.
/// * The rate control of the paper is left out: it holds requests back, and a broker that has a
///   request in hand does better to ask how long the destination lets it wait.
///
/// It takes no lock. Of more than 128 destinations it looks at the last two
/// that it chose and at eight drawn at random; up to there its cost is linear in their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct C3 {
    clients: f32,
}

/// What a score is made of.
struct Terms {
    latency: f32,
    service: f32,
    queue: f32,
}

/// What scores depend on beside the candidate.
struct Now {
    clients: f32,
    mean: f32,
    now: Stamp,
}

impl C3 {
    pub(super) fn new(clients: u32) -> Self {
        C3 {
            clients: clients as f32,
        }
    }

    fn now(self, scene: &Scene<'_>) -> Now {
        Now {
            clients: self.clients,
            mean: scene.lambda.latency(),
            now: Stamp::at(scene.now),
        }
    }
}

/// Requests that others leave behind there, on average: it is kept in the scratch.
#[inline(always)]
fn left_behind(route: &Route) -> u32 {
    route.scratch().load(Relaxed) as u32
}

impl Now {
    #[inline(always)]
    fn terms(&self, route: &Route) -> Terms {
        let latency = expected_latency(route, self.mean, self.now);
        let service = match route.pair().service() {
            0.0 => latency,
            known => known.min(latency),
        };
        let own = route.destination().in_flight() as f32;
        Terms {
            latency,
            service,
            queue: 1.0 + own * self.clients + f32::from_bits(left_behind(route)),
        }
    }
}

impl Costs for Now {
    #[inline(always)]
    fn of(&self, route: &Route) -> f32 {
        self.terms(route).score()
    }

    #[inline(always)]
    fn of_each(&self, routes: [&Route; LANES]) -> Lanes {
        let latency = expected_latencies(routes, self.mean, self.now);
        let known = Lanes::new(routes.map(|route| route.pair().service()));
        let service = known.if_above(Lanes::ZERO, known.fast_min(latency), latency);
        let left_behind = numbers(routes.map(left_behind).into());
        let queue = Lanes::ONE + own_requests(routes) * Lanes::splat(self.clients) + left_behind;
        latency - service + queue * queue * queue * service
    }
}

impl Terms {
    fn score(&self) -> f32 {
        self.latency - self.service + self.queue.powi(3) * self.service
    }
}

impl Policy for C3 {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        scan::least_or_neglected(scene, rng, &self.now(scene))
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let now = self.now(scene);
        costs_of(scene, |route| {
            let terms = now.terms(route);
            let named = vec![
                ("latency_s", f64::from(terms.latency)),
                ("service_s", f64::from(terms.service)),
                ("queue", f64::from(terms.queue)),
            ];
            (f64::from(terms.score()), named)
        })
    }

    fn sample_weight(&self) -> Option<f32> {
        Some(WEIGHT)
    }

    fn learnt(&self, route: &Route, executed: &Executed<'_>) {
        let Some(in_flight) = executed.report.in_flight else {
            return;
        };
        let queue = in_flight as f32;
        replace(route.scratch(), |word| {
            // An average of nothing is as good a start as any: queues are short at first.
            let average = f32::from_bits(word as u32);
            let moved = average + WEIGHT * (queue - average);
            u64::from(moved.to_bits())
        });
    }

    fn wanted(&self) -> Wanted {
        Wanted::LATENCIES
    }
}
