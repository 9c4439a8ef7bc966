//! A lambda of no table, whose routes never change, for one who picks for it again and again.

use super::error::check_route;
use super::{Lambda, RouteChange, TableError};
use crate::health::Census;
use crate::policy::{Chosen, Forecast, Policies, Wanted};
use crate::route::SharedRoute;
use crate::routes::Snapshot;
use crate::sent::{Ending, OneThread, Sent};
use crate::{
    Answers, Destination, Destinations, Nanos, NoDestination, Picked, PolicyConfig, Report,
    Request, Tried,
};
use rand::Rng;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::sync::Arc;

/// A lambda with routes that never change, chosen among and learnt of as in a
/// [`ForwardingTable`](super::ForwardingTable), for programs that simulate brokers. What is picked is lent
/// rather than shared: nobody counts who holds the route and the lambda, which takes four locked
/// instructions for each request, and more where there are probes. In return each [`Lease`] has to be
/// brought back here.
///
/// All lambdas with the same destinations belong to one thread, since it counts requests in flight without
/// locked instructions. Only what the policy reads is learnt (or everything where there are
/// [limits](Destinations::with_limits)), and what destinations owe is not: ask them for nothing but their
/// requests in flight and their health, and do not [inspect](Destinations::inspect) them.
#[derive(Debug)]
pub struct LoneLambda {
    lambda: Arc<Lambda>,
    routes: Snapshot,
    /// Nobody but the policy reads what is learnt.
    wanted: Wanted,
    census: Arc<Census>,
}

/// The destination of one request of a [`LoneLambda`]: what a [`Pick`](crate::Pick) is for a table. The
/// request counts as in flight there until the lambda is told how it ended; a lease that is dropped
/// instead leaves it so.
#[derive(Debug)]
#[must_use = "the request is in flight until the lambda is told how it ended"]
pub struct Lease {
    held: Held,
    sent: Sent,
}

/// A probe that a [`LoneLambda`] wants sent: what a [`Probe`](crate::Probe) is for a table.
#[derive(Debug)]
#[must_use = "the lambda is to be told what became of it"]
pub struct ProbeLease {
    held: Held,
    made: Nanos,
}

/// Those of one request. Usually there are none or a few, which need no heap.
pub type ProbeLeases = SmallVec<[ProbeLease; 4]>;

/// A route.
#[derive(Debug)]
enum Held {
    /// The one at this position.
    At(u32),
    Own(SharedRoute),
}

impl Lease {
    /// See [`Pick::max_wait`](crate::Pick::max_wait).
    #[must_use]
    pub fn max_wait(&self) -> Option<Nanos> {
        self.sent.max_wait()
    }

    /// See [`Pick::forecast`](crate::Pick::forecast).
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        self.sent.forecast.as_deref()
    }
}

impl LoneLambda {
    /// With these routes.
    ///
    /// # Errors
    /// Those of [`ForwardingTable::change`](super::ForwardingTable::change), for the first route that
    /// is wrong.
    pub fn new(
        name: &str,
        policy: PolicyConfig,
        destinations: &Arc<Destinations>,
        routes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<Self, TableError> {
        for route in routes {
            check_route(name, route.destination, route.weight)?;
        }
        let policy = Policies::new(policy).next();
        let wanted = if destinations.have_limits() {
            // These are learnt, too.
            Wanted::ALL
        } else {
            policy.wanted()
        };
        let lambda = Arc::new(Lambda::new(name, policy, Arc::clone(destinations), now));
        lambda.change(routes, now);
        let routes = lambda.routes().load_full();
        Ok(LoneLambda {
            lambda,
            routes,
            wanted,
            census: Arc::clone(destinations.census()),
        })
    }

    /// Chooses as [`ForwardingTable::pick`](super::ForwardingTable::pick) does, and puts the lease into
    /// `place`, so that it need not be moved there.
    ///
    /// # Errors
    /// Those of `pick`; nothing is put there then.
    pub fn pick(
        &self,
        place: &mut Option<Lease>,
        tried: &Tried,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<(), NoDestination> {
        let keep = |chosen: Chosen<'_>, sent| {
            let held = match chosen {
                Chosen::Lent(route) => self.held(route),
                Chosen::Own(route) => Held::Own(route),
            };
            *place = Some(Lease { held, sent });
        };
        self.lambda.pick_among::<OneThread, _>(
            &self.routes,
            &Request::OF_KNOWN_LAMBDA,
            tried,
            Answers::NONE,
            self.census.set_aside(),
            now,
            rng,
            keep,
        )
    }

    /// Where the request goes.
    #[must_use]
    pub fn destination<'a>(&'a self, lease: &'a Lease) -> &'a Arc<Destination> {
        self.route(&lease.held).destination()
    }

    /// The position of the route by which the request goes, counted as the lambda was given them, none of
    /// which twice. Unknown where they are many, or the policy has a hold on the route.
    #[inline]
    #[must_use]
    pub fn position(&self, lease: &Lease) -> Option<usize> {
        match lease.held {
            Held::At(at) => Some(at as usize),
            Held::Own(_) => None,
        }
    }

    /// What an [`Optimizer`](crate::Optimizer) wants to know.
    #[must_use]
    pub fn picked<'a>(&'a self, lease: &'a Lease) -> Picked<'a> {
        Picked {
            lambda: &self.lambda,
            route: self.route(&lease.held),
        }
    }

    /// See [`Pick::succeeded`](crate::Pick::succeeded).
    pub fn succeeded(&self, lease: Lease, latency: Nanos, report: &Report, now: Nanos) {
        self.end(lease, |ending| ending.succeeded(latency, report, now));
    }

    /// See [`Pick::refused`](crate::Pick::refused).
    pub fn refused(&self, lease: Lease, report: &Report, now: Nanos) {
        self.end(lease, |ending| ending.refused(report, now));
    }

    /// See [`Pick::failed`](crate::Pick::failed).
    pub fn failed(&self, lease: Lease, now: Nanos) {
        self.end(lease, |ending| ending.failed(now));
    }

    #[inline]
    fn end(&self, mut lease: Lease, tell: impl FnOnce(&mut Ending<'_, OneThread>)) {
        let Lease { held, sent } = &mut lease;
        let mut ending = Ending {
            lambda: &self.lambda,
            route: self.route(held),
            sent,
            wanted: self.wanted,
            counting: PhantomData,
        };
        tell(&mut ending);
        ending.over();
    }

    /// The same as [`ForwardingTable::probes`](super::ForwardingTable::probes).
    pub fn probes(&self, now: Nanos, rng: &mut dyn Rng) -> ProbeLeases {
        let request = &Request::OF_KNOWN_LAMBDA;
        let mut leases = ProbeLeases::new();
        let due = self.lambda.probes_due(now, rng);
        if due > 0 {
            let mut ask = |route: &SharedRoute| {
                let held = self.held(route);
                leases.push(ProbeLease { held, made: now });
            };
            let routes = &self.routes;
            self.lambda
                .probes_among(routes, due, request, now, rng, &mut ask);
        }
        leases
    }

    /// Whom to ask.
    #[must_use]
    pub fn asked<'a>(&'a self, lease: &'a ProbeLease) -> &'a Arc<Destination> {
        self.route(&lease.held).destination()
    }

    /// See [`Probe::answered`](crate::Probe::answered).
    pub fn answered(
        &self,
        lease: ProbeLease,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
    ) {
        let route = match lease.held {
            Held::At(at) => Chosen::Lent(&self.routes.slice[at as usize]),
            Held::Own(route) => Chosen::Own(route),
        };
        self.lambda
            .probed(route, latency, estimate, report, now, self.wanted);
    }

    /// There is not going to be an answer.
    pub fn unanswered(&self, lease: ProbeLease) {
        let ProbeLease { held, made } = lease;
        self.lambda.unanswered(self.route(&held), made);
    }

    /// What it takes to find the route again. Many are not side by side, so that one of those is counted.
    #[inline]
    fn held(&self, route: &SharedRoute) -> Held {
        let few = &self.routes.slice;
        let offset = std::ptr::from_ref(route)
            .addr()
            .wrapping_sub(few.as_ptr().addr());
        let at = offset / size_of::<SharedRoute>();
        match few.get(at) {
            Some(known) if std::ptr::eq(known, route) => Held::At(at as u32),
            _ => Held::Own(SharedRoute::clone(route)),
        }
    }

    #[inline]
    fn route<'a>(&'a self, held: &'a Held) -> &'a SharedRoute {
        match held {
            Held::At(at) => &self.routes.slice[*at as usize],
            Held::Own(route) => route,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::FEW;
    use crate::{
        ForwardingTable, LimitConfig, Optimizer, OptimizerConfig, Pick, PolicyKeys, Probe,
    };
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;
    use std::collections::VecDeque;

    const LAMBDA: &str = "f";

    /// What becomes of a request that the destination of that number got.
    enum End {
        Succeeded(Nanos, Report),
        Refused(Report),
        Failed,
    }

    impl End {
        fn of(step: u64, id: u64) -> Self {
            let report = Report {
                in_flight: Some((step % 3 + id % 2) as u32),
                workers: Some(1),
                service: Some(Nanos::from_millis(2 + id)),
                residence: Some(Nanos::from_millis(3 + id)),
                ..Report::default()
            };
            match step % 97 {
                13 => End::Refused(report),
                // Now and then somebody is set aside.
                41 if step.is_multiple_of(4) => End::Failed,
                _ => End::Succeeded(Nanos::from_millis(4 + id + step % 5), report),
            }
        }
    }

    fn routes(names: &[String]) -> Vec<RouteChange<'_>> {
        let route = |destination| RouteChange {
            destination,
            weight: 1.0,
            is_final: true,
        };
        names.iter().map(|name| route(name.as_str())).collect()
    }

    fn picked(
        alone: &LoneLambda,
        tried: &Tried,
        now: Nanos,
        rng: &mut Pcg32,
    ) -> Result<Lease, NoDestination> {
        let mut lease = None;
        alone.pick(&mut lease, tried, now, rng)?;
        Ok(lease.expect("there is a lease unless there is an error"))
    }

    /// Drives both side by side, with `broker` as registries; all destinations that they choose and ask are
    /// the same.
    fn agree(policy: PolicyConfig, destinations: usize, broker: impl Fn() -> Destinations) {
        let names: Vec<_> = (0..destinations).map(|n| format!("d{n}")).collect();
        let routes = routes(&names);
        let now = Nanos::ZERO;
        let table = ForwardingTable::new(policy, Arc::new(broker()));
        table.change_many(LAMBDA, &routes, now).unwrap();
        let alone = Arc::new(broker());
        let alone = LoneLambda::new(LAMBDA, policy, &alone, &routes, now).unwrap();
        let optimizer = Optimizer::new(OptimizerConfig::moving_average(0.9).unwrap());
        let mut rngs = [(); 2].map(|()| Pcg32::seed_from_u64(3));
        let mut under_way: VecDeque<(Pick, Lease)> = VecDeque::new();
        let mut asked: VecDeque<(Probe, ProbeLease)> = VecDeque::new();
        for step in 1..3000 {
            let now = Nanos::from_millis(step);
            let tried = Tried::new();
            let [one, other] = &mut rngs;
            let pick = table.pick(LAMBDA, &tried, now, one);
            let lease = picked(&alone, &tried, now, other);
            match (pick, lease) {
                (Ok(pick), Ok(lease)) => {
                    let id = pick.destination().id();
                    assert_eq!(id, alone.destination(&lease).id(), "{policy} {step}");
                    if let Some(position) = alone.position(&lease) {
                        assert_eq!(names[position], alone.destination(&lease).name());
                    } else {
                        assert!(destinations > FEW || policy.name() == "prequal", "{policy}");
                    }
                    assert_eq!(pick.max_wait(), lease.max_wait(), "{policy} {step}");
                    assert_eq!(pick.forecast(), lease.forecast(), "{policy} {step}");
                    under_way.push_back((pick, lease));
                }
                (pick, lease) => assert_eq!(pick.err(), lease.err(), "{policy} {step}"),
            }
            let probes = table.probes(LAMBDA, now, one);
            let leases = alone.probes(now, other);
            assert_eq!(probes.len(), leases.len());
            asked.extend(probes.into_iter().zip(leases));
            if asked.len() > 3
                && let Some((probe, lease)) = asked.pop_front()
            {
                let id = probe.destination().id();
                assert_eq!(id, alone.asked(&lease).id());
                if step % 11 == 0 {
                    drop(probe);
                    alone.unanswered(lease);
                } else {
                    let (latency, report) = (Nanos::from_millis(1), Report::default());
                    let estimate = Some(Nanos::from_millis(3 + id));
                    probe.answered(latency, estimate, &report, now);
                    alone.answered(lease, latency, estimate, &report, now);
                }
            }
            if under_way.len() > 5
                && let Some((pick, lease)) = under_way.pop_front()
            {
                match End::of(step, pick.destination().id()) {
                    End::Succeeded(latency, report) => {
                        optimizer.record(&pick, latency.as_secs_f64(), now);
                        let picked = alone.picked(&lease);
                        optimizer.record(picked, latency.as_secs_f64(), now);
                        pick.succeeded(latency, &report, now);
                        alone.succeeded(lease, latency, &report, now);
                    }
                    End::Refused(report) => {
                        pick.refused(&report, now);
                        alone.refused(lease, &report, now);
                    }
                    End::Failed => {
                        pick.failed(now);
                        alone.failed(lease, now);
                    }
                }
            }
        }
    }

    #[test]
    fn one_alone_chooses_as_in_a_table() {
        let keys = PolicyKeys {
            alpha: Some(1.0),
            beta: Some(1.0),
            ..PolicyKeys::default()
        };
        for name in PolicyConfig::NAMES {
            let policy = PolicyConfig::from_name(name, &keys).unwrap();
            agree(policy, 5, Destinations::new);
            // So many that they are not side by side.
            agree(policy, 200, Destinations::new);
            // So few that limits matter.
            let limits = LimitConfig {
                min: 1,
                max: 4,
                start: 3,
                ..LimitConfig::default()
            };
            agree(policy, 2, || Destinations::new().with_limits(limits));
        }
    }

    #[test]
    fn no_request_is_in_flight_whose_end_was_told() {
        let names = ["a".to_owned(), "b".to_owned()];
        let destinations = Arc::new(Destinations::new());
        let policy = PolicyConfig::default();
        let now = Nanos::ZERO;
        let alone = LoneLambda::new(LAMBDA, policy, &destinations, &routes(&names), now).unwrap();
        let mut rng = Pcg32::seed_from_u64(1);
        let in_flight = || -> u32 {
            let all = destinations.in_use();
            all.iter().map(|destination| destination.in_flight()).sum()
        };
        let mut pick = || picked(&alone, &Tried::new(), now, &mut rng).unwrap();
        let leases = [pick(), pick(), pick()];
        assert_eq!(in_flight(), 3);
        let [one, two, three] = leases;
        alone.succeeded(one, Nanos::from_millis(1), &Report::default(), now);
        alone.refused(two, &Report::default(), now);
        assert_eq!(in_flight(), 1);
        alone.failed(three, now);
        assert_eq!(in_flight(), 0);
    }

    #[test]
    fn a_wrong_route_is_an_error() {
        let wrong = RouteChange {
            destination: "a",
            weight: -1.0,
            is_final: true,
        };
        let destinations = Arc::new(Destinations::new());
        let policy = PolicyConfig::default();
        let alone = LoneLambda::new(LAMBDA, policy, &destinations, &[wrong], Nanos::ZERO);
        assert_eq!(alone.err(), Some(TableError::InvalidWeight(-1.0)));
    }
}
