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
use super::facts::Facts;
use crate::load::faded;
use crate::pair::reverted;
use crate::route::Route;
use crate::stamp::Stamp;

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

impl Prediction {
    /// Without branches that depend on the facts, so that several destinations at a time fit the
    /// vector units.
    #[inline(always)]
    pub(super) fn from_facts(facts: Facts<f32>, means: Means) -> Self {
        let known = facts.overall > 0.0;
        let shared = reverted(facts.overall, facts.service_age, means.all_services);
        let unknown = OPTIMISM * means.service;
        let shared = if known { shared } else { unknown };
        let of_others = means.service * (shared / means.all_services);
        let of_this = reverted(facts.service, facts.service_age, means.service);
        let relative = if known { of_others } else { unknown };
        let service = if facts.service > 0.0 {
            of_this
        } else {
            relative
        };

        let unknown = UNKNOWN_NETWORK * (means.latency - means.service).max(0.0);
        let network = if facts.network > 0.0 {
            facts.network
        } else {
            unknown
        };
        let workers = facts.workers.max(1.0);
        let turn = shared / workers;
        let others = faded(facts.last, facts.average, facts.report_age, shared);
        let ahead = facts.own + others + 1.0 - workers;
        let answered = network + service + turn * ahead.max(0.0);
        let due = network + service.max(turn * (1.0 + facts.own));
        let excess = (facts.stalled - STALL * due).max(0.0);
        let completion = answered + if facts.own > 0.0 { excess } else { 0.0 };
        let company = (facts.own + 1.0) * facts.per_company;
        let measured = facts.latency > 0.0;
        let pressure = if measured {
            facts.latency * company
        } else {
            completion
        };

        let latency = reverted(facts.latency, facts.latency_age, means.latency);
        let guess = if means.latency > 0.0 {
            OPTIMISM * means.latency
        } else {
            facts.weight
        };
        let by_latency = if measured { latency } else { guess } * company;

        let silent = means.service == 0.0 || (measured && facts.workers == 0.0);
        let predicted = completion * completion * pressure;
        let cubed = by_latency * by_latency * by_latency;
        Prediction {
            cost: if silent { cubed } else { predicted },
            completion: if silent { by_latency } else { completion },
            service: (!silent).then_some(service),
        }
    }

    pub(super) fn of(route: &Route, means: Means, now: Stamp) -> Self {
        Prediction::from_facts(Facts::of(route, now), means)
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
