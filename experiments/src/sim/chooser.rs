//! Where the routers of a run send a request, and what they learn from the answer.

use std::sync::Arc;

use edge_balance::{
    Destinations, LoneLambda, Nanos, Optimizer, OptimizerConfig, PolicyConfig, ProbeLeases, Report,
    RetryBudget, RouteChange, Tried,
};
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

use super::Contender;
use super::arrivals::Arrival;
use super::budget::Budget;
use super::executor::Executor;
use super::job::Job;
use super::oracle::{Oracle, WorkOracle};
use super::random::{Stream, stream};
use super::scenario::Scenario;
use super::topology::{Neighbour, Topology};

/// All routers of a run.
#[derive(Debug)]
pub(super) struct Chooser {
    kind: Kind,
    /// By router; none where nothing can fail, so that nobody asks.
    budgets: Vec<Budget>,
}

#[derive(Debug)]
enum Kind {
    Tables {
        routers: Vec<Router>,
        /// Per request, on average, as long as there is anything to find out.
        probes: f64,
    },
    Oracle(Oracle),
    WorkOracle(WorkOracle),
    Uniform(Vec<Pcg64Mcg>),
}

/// What a broker has: lambdas, and randomness of its own.
#[derive(Debug)]
struct Router {
    /// In their order.
    lambdas: Vec<LoneLambda>,
    optimizer: Option<Optimizer>,
    random: Pcg64Mcg,
}

/// What is there to see, for those who see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct World<'a> {
    pub(super) topology: &'a Topology,
    pub(super) executors: &'a [Executor],
    /// Nanoseconds.
    pub(super) now: u64,
}

/// The broker's defaults: retries per request and per second, and the window.
const RETRIES: (f64, f64, Nanos) = (0.2, 10.0, Nanos::from_secs(10));

impl Chooser {
    pub(super) fn new(
        scenario: &Scenario,
        contender: &Contender,
        topology: &Topology,
        seed: u64,
    ) -> Self {
        let lambdas: Vec<String> = (0..scenario.lambdas.len())
            .map(|lambda| format!("lambda{lambda}"))
            .collect();
        let random = |router| stream(seed, Stream::Choices, router as u64);
        let all = 0..scenario.routers;
        let kind = match contender {
            Contender::Policy { config, optimizer } => Kind::Tables {
                routers: all
                    .clone()
                    .map(|router| {
                        Router::new(
                            *config,
                            *optimizer,
                            &lambdas,
                            topology.of(router),
                            random(router),
                        )
                    })
                    .collect(),
                probes: probes(config),
            },
            Contender::Oracle => Kind::Oracle(Oracle::new(scenario, topology)),
            Contender::OracleWork => Kind::WorkOracle(WorkOracle::new(scenario, topology)),
            Contender::Uniform => Kind::Uniform(all.clone().map(random).collect()),
        };
        let (ratio, reserve, window) = RETRIES;
        Chooser {
            kind,
            budgets: all
                .filter(|_| !scenario.antagonists.is_empty())
                .map(|_| Budget::new(RetryBudget::new(ratio, reserve, window)))
                .collect(),
        }
    }

    /// Notes that a new request has come to a router.
    pub(super) fn welcome(&mut self, router: u32, now: u64) {
        if let Some(budget) = self.budgets.get_mut(router as usize) {
            budget.deposit(Nanos(now));
        }
    }

    /// Whether the router may send a request again that failed.
    pub(super) fn may_retry(&mut self, router: u32, now: u64) -> bool {
        let budget = self.budgets.get_mut(router as usize);
        budget.is_none_or(|budget| budget.try_withdraw(Nanos(now)))
    }

    /// Gives the request a destination that it was not sent to before, if there is one, and answers
    /// whether there is.
    pub(super) fn choose(&mut self, job: &mut Job, world: World<'_>) -> bool {
        let router = job.request.router as usize;
        let known = world.topology.of(router);
        let World { executors, now, .. } = world;
        let nothing = Tried::new();
        let tried = job.tried.as_deref().unwrap_or(&nothing);
        let position = match &mut self.kind {
            Kind::Tables { routers, .. } => {
                let Router {
                    lambdas, random, ..
                } = &mut routers[router];
                let lambda = &lambdas[job.request.lambda as usize];
                debug_assert!(job.pick.is_none(), "the last attempt has ended");
                let picked = lambda.pick(&mut job.pick, tried, Nanos(now), random);
                let (Ok(()), Some(pick)) = (picked, &job.pick) else {
                    return false;
                };
                let position = lambda.position(pick);
                let position = position.unwrap_or_else(|| lambda.destination(pick).id() as usize);
                job.destination = position as u32;
                job.to = known[job.destination as usize];
                return true;
            }
            Kind::Oracle(oracle) => oracle.choose(job, tried),
            Kind::WorkOracle(oracle) => oracle.choose(job, tried, known, executors, now),
            Kind::Uniform(random) => uniform(known.len(), tried, &mut random[router]),
        };
        let Some(position) = position else {
            return false;
        };
        let to = known[position];
        match &mut self.kind {
            Kind::Oracle(oracle) => oracle.sent(to.executor),
            Kind::WorkOracle(oracle) => {
                oracle.sent(job, to, &executors[to.executor as usize], now);
            }
            Kind::Tables { .. } | Kind::Uniform(_) => (),
        }
        job.to = to;
        job.destination = position as u32;
        true
    }

    /// Whether routers learn from answers.
    pub(super) fn learns(&self) -> bool {
        matches!(self.kind, Kind::Tables { .. })
    }

    /// How many probes routers send per request, on average, as long as there is anything to find out.
    pub(super) fn probes_per_request(&self) -> f64 {
        match self.kind {
            Kind::Tables { probes, .. } => probes,
            Kind::Oracle(_) | Kind::WorkOracle(_) | Kind::Uniform(_) => 0.0,
        }
    }

    /// The probes that a router wants to send at the occasion of a request.
    pub(super) fn probes(&mut self, occasion: &Arrival, now: u64) -> ProbeLeases {
        let Kind::Tables { routers, .. } = &mut self.kind else {
            return ProbeLeases::new();
        };
        let Router {
            lambdas, random, ..
        } = &mut routers[occasion.router as usize];
        lambdas[occasion.lambda as usize].probes(Nanos(now), random)
    }

    /// What the router of a request knows of its lambda; nothing but for those with tables.
    #[inline]
    pub(super) fn lambda(&self, router: u32, lambda: u32) -> Option<&LoneLambda> {
        let Kind::Tables { routers, .. } = &self.kind else {
            return None;
        };
        Some(&routers[router as usize].lambdas[lambda as usize])
    }

    /// An answer was fine; the router learns from it.
    pub(super) fn succeeded(&self, job: &mut Job, report: &Report, now: Nanos) {
        let (Kind::Tables { routers, .. }, Some(lease)) = (&self.kind, job.pick.take()) else {
            return;
        };
        let Router {
            lambdas, optimizer, ..
        } = &routers[job.request.router as usize];
        let lambda = &lambdas[job.request.lambda as usize];
        let latency = now.since(Nanos(job.sent));
        if let Some(optimizer) = optimizer {
            optimizer.record(lambda.picked(&lease), latency.as_secs_f64(), now);
        }
        lambda.succeeded(lease, latency, report, now);
    }

    /// The executor turned the request down.
    pub(super) fn refused(&self, job: &mut Job, report: &Report, now: Nanos) {
        let lambda = self.lambda(job.request.router, job.request.lambda);
        if let (Some(lambda), Some(lease)) = (lambda, job.pick.take()) {
            lambda.refused(lease, report, now);
        }
    }

    /// The attempt failed.
    pub(super) fn failed(&self, job: &mut Job, now: Nanos) {
        let lambda = self.lambda(job.request.router, job.request.lambda);
        if let (Some(lambda), Some(lease)) = (lambda, job.pick.take()) {
            lambda.failed(lease, now);
        }
    }

    /// An attempt is over for the executor that it was sent to.
    pub(super) fn left(&mut self, executor: u32) {
        if let Kind::Oracle(oracle) = &mut self.kind {
            oracle.ended(executor);
        }
    }

    /// An antagonist changed an executor.
    pub(super) fn disturbed(&mut self, executor: u32, now: u64, state: &Executor) {
        match &mut self.kind {
            Kind::Oracle(oracle) => oracle.disturbed(executor, state),
            Kind::WorkOracle(oracle) => oracle.disturbed(executor, now, state),
            Kind::Tables { .. } | Kind::Uniform(_) => (),
        }
    }
}

impl Router {
    fn new(
        policy: PolicyConfig,
        optimizer: OptimizerConfig,
        lambdas: &[String],
        known: &[Neighbour],
        random: Pcg64Mcg,
    ) -> Self {
        let destinations = Arc::new(Destinations::new());
        let names: Vec<String> = known.iter().map(|n| format!("e{}", n.executor)).collect();
        let routes: Vec<_> = names
            .iter()
            .map(|name| RouteChange {
                destination: name,
                weight: 1.0,
                is_final: true,
            })
            .collect();
        // Routers have no table: there are many of them, and each asks for a few lambdas only.
        let found = |lambda: &String| {
            LoneLambda::new(lambda, policy, &destinations, &routes, Nanos::ZERO)
                .expect("names are not empty and the weight is 1")
        };
        let lambdas = lambdas.iter().map(found).collect();
        for destination in destinations.in_use() {
            assert_eq!(
                destination.name(),
                names[destination.id() as usize],
                "destinations are numbered in the order in which they are added"
            );
        }
        Router {
            lambdas,
            optimizer: (optimizer != OptimizerConfig::None).then(|| Optimizer::new(optimizer)),
            random,
        }
    }
}

/// How many probes the policy sends per request. Asking those that send none costs time at every
/// request.
fn probes(policy: &PolicyConfig) -> f64 {
    match policy {
        PolicyConfig::Prequal { probes } => *probes,
        PolicyConfig::PredictedCompletion(config) => config.probes,
        PolicyConfig::LeastCost
        | PolicyConfig::ConsistentHash { .. }
        | PolicyConfig::LeastRequest { .. }
        | PolicyConfig::WeightedRoundRobin { .. }
        | PolicyConfig::C3 { .. }
        | PolicyConfig::PeakEwma
        | PolicyConfig::PowerOfD { .. }
        | PolicyConfig::Random
        | PolicyConfig::LeastImpedance
        | PolicyConfig::RoundRobin
        | PolicyConfig::ProportionalFairness { .. }
        | PolicyConfig::Estimator(_) => 0.0,
    }
}

/// Any position that was not tried.
fn uniform(known: usize, tried: &Tried, random: &mut Pcg64Mcg) -> Option<usize> {
    let left = known.checked_sub(tried.len()).filter(|left| *left > 0)?;
    let nth = random.random_range(..left);
    if tried.is_empty() {
        return Some(nth);
    }
    (0..known)
        .filter(|position| !tried.contains(*position as u64))
        .nth(nth)
}

#[cfg(test)]
mod tests {
    use edge_balance::Report;

    use super::super::random::Stream;
    use super::*;

    #[test]
    fn who_sends_probes_is_asked_for_them_and_nobody_else() {
        let scenario = Scenario {
            speeds: vec![1.0; 4],
            ..Scenario::default()
        };
        let topology = Topology::new(&scenario, 1);
        let lambda = "lambda".to_owned();
        for name in PolicyConfig::NAMES.into_iter().chain(Contender::ESTIMATORS) {
            let Contender::Policy { config, optimizer } = Contender::named(name).unwrap() else {
                panic!("{name} is a policy");
            };
            let Router {
                lambdas,
                mut random,
                ..
            } = Router::new(
                config,
                optimizer,
                std::slice::from_ref(&lambda),
                topology.of(0),
                stream(1, Stream::Choices, 0),
            );
            let mut sent = 0;
            for millisecond in 1..=5000 {
                let now = Nanos::from_millis(millisecond);
                let lambda = &lambdas[0];
                let mut lease = None;
                lambda
                    .pick(&mut lease, &Tried::new(), now, &mut random)
                    .unwrap();
                let lease = lease.unwrap();
                // One is so quick that the others have nothing to do, and may be asked.
                let is_first = lambda.destination(&lease).id() == 0;
                let latency = Nanos::from_millis(if is_first { 1 } else { 50 });
                lambda.succeeded(lease, latency, &Report::default(), now);
                sent += lambda.probes(now, &mut random).len();
            }
            assert_eq!(sent > 0, probes(&config) > 0.0, "{name}");
        }
    }
}
