//! When a request would be answered by one destination, from what is known there and then.
//!
//! With a own requests of the broker there, o others' as of now, w workers, s the service time of
//! the lambda there, S that of all lambdas, and `net` what a latency contains beside the stay there:
//!
//! ```text
//! x    = net + s + S * max(0, a + o + 1 - w) / w
//! y    = L * (a + 1) / A
//! cost = (x^2 * y)^(1/3)
//! ```
//!
//! x reacts fast, but trusts a noisy snapshot of the queue. y is the slow average L of whole
//! latencies, in proportion to how many more own requests are there than there were on average (A)
//! when the ones behind L were sent: it contains everything that is not modelled, and pushes back
//! when answers stay out. Without A, as a plain product, it would overrate long queues, since L has
//! grown with them already, and in overload drive requests to slow destinations. The blend is
//! geometric; cubes are compared instead of cube roots.
//!
//! * Where answers stay out (nothing for three times as long as they should take, with requests
//!   there), x grows by the excess: a paused destination is not waited for.
//! * s and S above their means over all destinations revert to them when they are old, so that a
//!   destination that was slow once gets another chance.
//! * A destination that never answered is taken to be a bit better than the mean; one that knows
//!   other lambdas, to be as fast relative to the mean as it is with those.
//! * One that reports no load is judged by y alone.

use super::super::Scene;
use super::super::least_cost::expected_latency;
use crate::pair::Credit;
use crate::route::Route;
use crate::stamp::Stamp;
use std::hint::select_unpredictable;

/// What an unknown service time is expected to be, relative to the mean: worth a try.
const OPTIMISM: f32 = 0.7;
/// What the network is expected to take where it was never measured, relative to what latencies
/// contain beside service times on average.
const UNKNOWN_NETWORK: f32 = 0.5;
/// Answers that stay out for so many times what they should take mean that something is wrong.
const STALL: f32 = 3.0;

/// Means over destinations that predictions lean on, in seconds; 0 where nothing is known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// Service time of the lambda.
    service: f32,
    /// Service time of all lambdas.
    all_services: f32,
    /// Latency of the lambda.
    latency: f32,
}

impl Means {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        Means {
            service: scene.lambda.service(),
            all_services: scene.broker.service(),
            latency: scene.lambda.latency(),
        }
    }
}

/// What to expect of one destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prediction {
    /// To compare: the cube of seconds. See [`seconds`].
    pub(super) cost: f32,
    /// Seconds until the answer.
    pub(super) completion: f32,
    /// Seconds of execution, where anything is known about service times.
    pub(super) service: Option<f32>,
}

/// The seconds that a cost stands for.
pub(super) fn seconds(cost: f32) -> f32 {
    cost.cbrt()
}

/// The slow factor of a cost: what latencies come to with so many own requests there.
#[inline(always)]
fn pressure(latency: f32, own: f32, route: &Route) -> f32 {
    latency * (own + 1.0) * route.pair().per_company()
}

impl Prediction {
    #[inline(always)]
    pub(super) fn of(route: &Route, means: Means, now: Stamp) -> Self {
        let destination = route.destination();
        let load = destination.load();
        let latency = route.pair().latency(now);
        let own = destination.in_flight() as f32;
        let reports = load.reports();
        if means.service == 0.0 || (latency.average > 0.0 && !reports) {
            return Prediction::of_silent(route, means, own, now);
        }
        let overall = load.service();
        let (service, shared) = if overall == 0.0 {
            let unknown = OPTIMISM * means.service;
            (unknown, unknown)
        } else {
            let credit = Credit::at(load.service_age(now));
            let shared = credit.revert(overall, means.all_services);
            let known = route.pair().service();
            if known > 0.0 {
                (credit.revert(known, means.service), shared)
            } else {
                (means.service * shared / means.all_services, shared)
            }
        };
        let network = match load.network() {
            0.0 => UNKNOWN_NETWORK * (means.latency - means.service).max(0.0),
            known => known,
        };
        let workers = load.workers();
        let turn = shared * load.per_worker();
        let ahead = own + load.others(shared, now) + 1.0 - workers;
        let due = network + service.max(turn * (1.0 + own));
        let overdue = (load.stalled(now) - STALL * due).max(0.0);
        // Who has requests and who has none follows no order, so no branch could be foreseen.
        let stalled = select_unpredictable(own > 0.0, overdue, 0.0);
        let completion = network + service + turn * ahead.max(0.0) + stalled;
        let pressure = match latency.average {
            0.0 => completion,
            known => pressure(known, own, route),
        };
        Prediction {
            cost: completion * completion * pressure,
            completion,
            service: Some(service),
        }
    }

    /// What the cost is not below, with less effort: nobody ahead, and a service time that has
    /// reverted all the way. Rounding does not change that, since it keeps the order of numbers.
    /// Zero where something is unknown.
    #[inline(always)]
    pub(super) fn at_least(route: &Route, means: Means) -> f32 {
        let destination = route.destination();
        let load = destination.load();
        let service = route.pair().service();
        let latency = route.pair().latency_average();
        let network = load.network();
        // None of them is negative.
        if means.service * service * latency * network == 0.0 || !load.reports() {
            return 0.0;
        }
        let own = destination.in_flight() as f32;
        let completion = network + service.min(means.service);
        completion * completion * pressure(latency, own, route)
    }

    #[cold]
    fn of_silent(route: &Route, means: Means, own: f32, now: Stamp) -> Self {
        let relative = (own + 1.0) * route.pair().per_company();
        let expected = expected_latency(route, means.latency, now) * relative;
        Prediction {
            cost: expected * expected * expected,
            completion: expected,
            service: None,
        }
    }

    /// What it is made of, for people.
    pub(super) fn terms(&self, route: &Route) -> Vec<(&'static str, f64)> {
        let load = route.destination().load();
        let mut terms = vec![
            ("completion_s", f64::from(self.completion)),
            (
                "latency_s",
                f64::from(route.pair().measured().unwrap_or_default()),
            ),
        ];
        if let Some(service) = self.service {
            terms.extend([
                ("service_s", f64::from(service)),
                ("network_s", f64::from(load.network())),
                ("workers", f64::from(load.workers())),
            ]);
        }
        terms
    }
}
