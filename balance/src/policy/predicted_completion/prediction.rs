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
//! * S is the mean of all destinations where nothing tells that they are not equally fast, see
//!   [`Speeds`](crate::speeds::Speeds): the queue is multiplied by it, and so is its noise.
//! * A destination that never answered is taken to be a bit better than the mean; one that knows
//!   other lambdas, to be as fast relative to the mean as it is with those.
//! * One that reports no load is judged by y alone.

use super::super::Scene;
use super::super::least_cost;
use crate::load::{Load, others_by_now};
use crate::pair::{Credit, Pair};
use crate::real::{LANES, Lanes, Real, halves, numbers};
use crate::route::{Route, SharedRoute};
use crate::stamp::Stamp;
use std::borrow::Borrow;
use wide::u32x4;

/// What an unknown service time is expected to be, relative to the mean: worth a try.
const OPTIMISM: f32 = 0.7;
/// What the network is expected to take where it was never measured, relative to what latencies
/// contain beside service times on average.
const UNKNOWN_NETWORK: f32 = 0.5;
/// Answers that stay out for so many times what they should take mean that something is wrong.
const STALL: f32 = 3.0;

/// Means over destinations that predictions lean on, in seconds, and what follows from them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// Latency of the lambda; 0 where nothing is known yet, as for the others.
    latency: f32,
    /// Whether a service time of the lambda is known.
    known: bool,
    /// Service time of the lambda.
    service: Lanes,
    /// Service time of all lambdas.
    all_services: Lanes,
    /// The one over the other.
    relative: Lanes,
    /// What an unknown service time is expected to be.
    unknown: Lanes,
    /// What the network is expected to take where it was never measured.
    network: Lanes,
}

impl Means {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let latency = scene.lambda.latency();
        let service = scene.lambda.service();
        let all_services = scene.broker.service();
        Means {
            latency,
            known: service > 0.0,
            service: service.into(),
            all_services: all_services.into(),
            relative: (service / all_services).into(),
            unknown: (OPTIMISM * service).into(),
            network: (UNKNOWN_NETWORK * (latency - service).max(0.0)).into(),
        }
    }

    /// Whether a service time of the lambda is known.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }
}

/// The seconds that a cost stands for.
pub(super) fn seconds(cost: f32) -> f32 {
    cost.cbrt()
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

impl Prediction {
    pub(super) fn of(route: &SharedRoute, means: &Means, now: Stamp) -> Self {
        Predictions::of([route; LANES], means, now).lane(0)
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

/// What to expect of several destinations, one in each lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predictions {
    /// See [`Prediction::cost`].
    pub(super) cost: Lanes,
    /// Seconds until the answer.
    pub(super) completion: Lanes,
    /// Seconds of execution; 0 where nothing is known about service times.
    pub(super) service: Lanes,
}

impl Predictions {
    #[inline(always)]
    pub(super) fn of(routes: [&SharedRoute; LANES], means: &Means, now: Stamp) -> Self {
        if !means.known {
            return Predictions::of_silent(&routes, means, now);
        }
        let (predictions, silent) = Predictions::computed::<false>(&routes, means, now);
        if silent.to_bitmask() == 0 {
            return predictions;
        }
        let others = Predictions::of_silent(&routes, means, now);
        predictions.but_where(silent, others)
    }

    /// The same where all are known in every respect, as is the rule where a service time of the lambda
    /// is; none elsewhere.
    #[inline(always)]
    pub(super) fn of_known(
        routes: &[SharedRoute; LANES],
        means: &Means,
        now: Stamp,
    ) -> Option<Self> {
        let (predictions, unknown) = Predictions::computed::<true>(routes, means, now);
        (unknown.to_bitmask() == 0).then_some(predictions)
    }

    /// The predictions, and a mask of those that are wrong: if all are `KNOWN`, of the others, which
    /// saves looking for a substitute of each number; if not, of those that were asked and do not
    /// say how busy they are.
    #[inline(always)]
    fn computed<const KNOWN: bool>(
        routes: &[impl Borrow<SharedRoute>; LANES],
        means: &Means,
        now: Stamp,
    ) -> (Self, Lanes) {
        let routes = routes.each_ref().map(|route| &**route.borrow());
        let loads = routes.map(|route: &Route| route.destination().load());
        let words = loads.map(Load::words);
        let [heard, progress] = halves(words.map(|words| words.times));
        let [workers, per_worker] = halves(words.map(|words| words.workers)).map(numbers);
        let [network, overall] = halves(words.map(|words| words.parts)).map(numbers);
        let [last, average] = halves(words.map(|words| words.others)).map(numbers);
        let served = u32x4::new(loads.map(|load| load.served_at().0));
        let own =
            Lanes::new(routes.map(|route| route.destination().in_flight().cast_signed() as f32));
        let pairs = routes.map(Route::pair);
        let [known, per_company] = halves(pairs.map(Pair::service_and_per_company)).map(numbers);
        let latency = Lanes::new(pairs.map(Pair::latency_average));
        let (zero, one) = (Lanes::ZERO, Lanes::ONE);
        let if_known = |number: Lanes, then: Lanes, otherwise: Lanes| {
            if KNOWN {
                then
            } else {
                number.if_above(zero, then, otherwise)
            }
        };

        let credit = Credit::at(Stamp::ages(served, now));
        let shared = credit.revert(overall, means.all_services);
        let shared = if_known(overall, shared, means.unknown);
        let like_others = if_known(overall, means.relative * shared, means.unknown);
        let reverted = credit.revert(known, means.service);
        let service = if_known(known, reverted, like_others);
        let network_there = if_known(network, network, means.network);

        let turn = shared * per_worker;
        let others = others_by_now(last, average, Stamp::ages(heard, now), shared);
        let ahead = own + others + one - workers.at_least(one);
        let due = network_there + service.at_least(turn * (one + own));
        let overdue = Stamp::ages(progress, now) - Lanes::from(STALL) * due;
        let stalled = own.if_above(zero, overdue.at_least(zero), zero);
        let completion = network_there + service + turn * ahead.at_least(zero) + stalled;

        let pressure = latency * (own + one) * per_company;
        let pressure = if_known(latency, pressure, completion);
        let predictions = Predictions {
            cost: completion * completion * pressure,
            completion,
            service,
        };
        let wrong = if KNOWN {
            let numbers = [overall, known, network, latency];
            let least = numbers.into_iter().fold(workers, Lanes::fast_min);
            least.simd_le(zero)
        } else {
            latency.simd_gt(zero) & workers.simd_eq(zero)
        };
        (predictions, wrong)
    }

    /// What to expect of those that do not say how busy they are, or where no service time is known:
    /// y, of a latency that reverts to the mean when it is old.
    fn of_silent(routes: &[impl Borrow<SharedRoute>; LANES], means: &Means, now: Stamp) -> Self {
        let routes = routes.each_ref().map(|route| &**route.borrow());
        let own =
            Lanes::new(routes.map(|route| route.destination().in_flight().cast_signed() as f32));
        let pairs = routes.map(Route::pair);
        let [_, per_company] = halves(pairs.map(Pair::service_and_per_company)).map(numbers);
        let [average, sampled] = halves(pairs.map(Pair::latency_and_stamp));
        let average = numbers(average);
        let unknown = if means.latency > 0.0 {
            Lanes::splat(least_cost::OPTIMISM * means.latency)
        } else {
            Lanes::new(routes.map(Route::weight))
        };
        let reverted = Credit::at(Stamp::ages(sampled, now)).revert(average, means.latency.into());
        let latency = average.if_above(Lanes::ZERO, reverted, unknown);
        let expected = latency * ((own + Lanes::ONE) * per_company);
        Predictions {
            cost: expected * expected * expected,
            completion: expected,
            service: Lanes::ZERO,
        }
    }

    /// The same, but `others` in the lanes of this mask.
    fn but_where(self, mask: Lanes, others: Self) -> Self {
        Predictions {
            cost: mask.select(others.cost, self.cost),
            completion: mask.select(others.completion, self.completion),
            service: mask.select(others.service, self.service),
        }
    }

    pub(super) fn lane(self, lane: usize) -> Prediction {
        let service = self.service.to_array()[lane];
        Prediction {
            cost: self.cost.to_array()[lane],
            completion: self.completion.to_array()[lane],
            service: (service > 0.0).then_some(service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::unpack;
    use crate::{Destinations, Nanos};

    #[test]
    fn those_that_say_nothing_are_judged_side_by_side_as_each_by_itself() {
        let destinations = Destinations::new();
        let now = Nanos::from_secs(20);
        let latencies = [(0.01, 1), (0.3, 14), (0.3, 20), (0.0, 0)];
        let routes: Vec<_> = (0..)
            .zip(latencies)
            .map(|(number, (seconds, answered_at))| {
                let destination = destinations.intern(&format!("d{number}"));
                let route = Route::new(destination, 5.0, true, Nanos::ZERO);
                if seconds > 0.0 {
                    let answered_at = Stamp::at(Nanos::from_secs(answered_at));
                    route.pair().record(seconds, None, 2.0, 0.02, answered_at);
                }
                for _ in 0..number {
                    route.destination().begin(0.01, now);
                }
                SharedRoute::new(route)
            })
            .collect();
        let block = std::array::from_fn(|lane| &routes[lane]);
        let stamp = Stamp::at(now);
        for latency in [0.0, 0.1] {
            let means = Means {
                latency,
                known: false,
                service: Lanes::ZERO,
                all_services: Lanes::ZERO,
                relative: Lanes::ZERO,
                unknown: Lanes::ZERO,
                network: Lanes::ZERO,
            };
            let together = Predictions::of(block, &means, stamp);
            for (lane, route) in routes.iter().enumerate() {
                let own = route.destination().in_flight() as f32;
                let per_company = unpack(route.pair().service_and_per_company()).1;
                let relative = (own + 1.0) * f32::from_bits(per_company);
                let expected = least_cost::expected_latency(route, latency, stamp) * relative;
                let found = together.lane(lane);
                assert!((found.completion / expected - 1.0).abs() < 1e-5, "{lane}");
                assert_eq!(found.cost, found.completion.powi(3));
                assert_eq!(found.service, None);
            }
        }
    }
}
