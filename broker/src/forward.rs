//! The forwarding path: pick a destination, send the bytes on, learn from the answer.

mod attempt;
mod course;
mod delay;
mod inquiry;
mod pending;
mod progress;
mod query;
mod reply;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_balance::{CoreLimit, Nanos, RetryBudget};
use edge_proto::rpc::Outcome;
use edge_proto::view::{BrokerLoad, RequestView, ResponseView};
use edge_transport::{
    ClientOptions, Core, Cores, LambdaCall, LambdaClient, LambdaReply, LambdaService, Peer,
    malformed,
};
use rand::Rng as _;
use rand_pcg::Pcg64Mcg;
use tonic::Status;

use self::course::Course;
pub(crate) use self::delay::Delay;
use self::inquiry::Inquirer;
use self::pending::PendingLimit;
use self::query::{Query, affinity};
use self::reply::{Answer, encoded, failure, own};
use crate::admission::Admission;
use crate::clock::Clock;
use crate::config::{BackOff, Config, EstimatorConfig};
use crate::explain::Decisions;
use crate::metrics::Counters;
use crate::probes::Prober;
use crate::tables::Tables;
use crate::trace::Trace;

/// Serves `RunLambda` by forwarding it.
#[derive(Debug)]
pub(crate) struct Forwarder {
    tables: Arc<Tables>,
    clock: Clock,
    budget: RetryBudget,
    max_attempts: usize,
    back_off: BackOff,
    admission: Arc<Admission>,
    priorities: HashMap<String, u8>,
    /// The most requests of one core at a time.
    core_limits: Box<[CoreLimit]>,
    /// Whether copies of slow requests are sent elsewhere.
    hedges: bool,
    idempotent: Box<[String]>,
    delay: Delay,
    pending: Option<PendingLimit>,
    cores: Box<[PerCore]>,
    counters: Arc<Counters>,
    decisions: Arc<Decisions>,
    /// Of a dispatcher that asks before it picks.
    inquirer: Option<Inquirer>,
    trace: Option<Arc<Trace>>,
}

/// What one core has for itself; the locks are never contended.
#[derive(Debug)]
struct PerCore {
    client: Arc<LambdaClient>,
    prober: Prober,
    random: Mutex<Pcg64Mcg>,
}

impl PerCore {
    fn random(&self) -> MutexGuard<'_, Pcg64Mcg> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forwarder {
    pub(crate) fn new(
        config: &Config,
        tables: Arc<Tables>,
        clock: Clock,
        cores: &Cores,
        options: &Arc<ClientOptions>,
        counters: Arc<Counters>,
        decisions: Arc<Decisions>,
    ) -> Self {
        let per_core = cores.all().iter().map(|core| PerCore {
            client: Arc::new(LambdaClient::new(core.clone(), options.clone())),
            prober: Prober::default(),
            random: Mutex::new(Pcg64Mcg::new(rand::rng().next_u64().into())),
        });
        Self {
            tables,
            clock,
            budget: config.retry.budget(),
            max_attempts: config.retry.max_attempts,
            back_off: config.retry.back_off(),
            hedges: config.retry.hedge,
            admission: Arc::new(Admission::new(config.admission.queue(), clock)),
            priorities: config.priorities(),
            core_limits: (0..cores.all().len())
                .map(|_| config.admission.core_limit())
                .collect(),
            idempotent: config.idempotent_lambdas(),
            delay: config.router.delay(),
            pending: PendingLimit::new(config.router.max_pending_clients),
            cores: per_core.collect(),
            counters,
            decisions,
            inquirer: None,
            trace: None,
        }
    }

    /// Lets a dispatcher ask before it picks, if its estimator wants that, and
    /// write down how good its predictions were.
    pub(crate) fn with_estimator(
        self,
        estimator: &EstimatorConfig,
        trace: Option<Arc<Trace>>,
    ) -> Self {
        let inquirer = estimator
            .asking()
            .filter(|_| !self.delay.is_fake())
            .map(|(most, patience)| Inquirer::new(most, patience));
        Self {
            inquirer,
            trace,
            ..self
        }
    }

    /// Closes the connections to destinations that no table holds any more.
    pub(crate) fn forget_unused_destinations(&self) {
        let used = self.tables.destinations();
        let used: std::collections::HashSet<&str> = used.iter().map(|d| d.name()).collect();
        for core in &self.cores {
            core.client.retain(|name| used.contains(name));
        }
        if let Some(pending) = &self.pending {
            pending.retain(&used);
        }
        if let Some(inquirer) = &self.inquirer {
            inquirer.retain(&used);
        }
    }

    /// Whether the first table has yet to come, or the rest of it.
    fn awaits_table(&self) -> bool {
        self.tables.first().is_awaited(self.clock.now())
    }

    /// The line of those that wait for a place at a destination.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What bounds the requests of the core number `core`.
    pub(crate) fn core_limit(&self, core: usize) -> &CoreLimit {
        &self.core_limits[core]
    }

    /// Requests that are being answered on the core number `core`.
    pub(crate) fn in_flight(&self, core: usize) -> u32 {
        self.counters.in_flight_on(core)
    }

    async fn forward(&self, core: &Core, peer: Peer, call: LambdaCall) -> Answer {
        let arrived = Instant::now();
        let view = match RequestView::parse(&call.message) {
            Ok(view) => view,
            Err(error) => return own(&malformed(&error)),
        };
        if view.name.is_empty() {
            let text = "invalid request: the name of the lambda is empty";
            return failure(Outcome::ApplicationError, text, view.uuid);
        }
        if view.is_looping() {
            return failure(Outcome::ApplicationError, "loop detected", view.uuid);
        }
        let request = Query {
            name: view.name,
            uuid: view.uuid,
            input_bytes: view.input_bytes,
            affinity: affinity(&view),
            dry: view.dry,
            max_wait: (view.max_wait_us > 0).then(|| Nanos::from_micros(view.max_wait_us)),
            may_repeat: view.idempotent || self.idempotent.iter().any(|name| name == view.name),
            priority: self.priorities.get(view.name).copied().unwrap_or_default(),
            peer,
            learning: self.tables.serving(view.forward),
            trace: self.trace.as_deref(),
        };
        let course = Course {
            forwarder: self,
            core: &self.cores[core.index()],
            view: &view,
            request: &request,
            call: &call,
            arrived,
        };
        let answer = course.run().await;
        if view.forward {
            return self.with_own_load(&request, answer, arrived);
        }
        answer
    }

    /// The reply as another broker wants it: what it says of load and time is about this broker
    /// rather than about the computer behind it.
    fn with_own_load(
        &self,
        request: &Query<'_>,
        Answer { reply, outcome }: Answer,
        arrived: Instant,
    ) -> Answer {
        let table = &request.learning.table;
        let occupancy = table.occupancy(request.name, self.clock.now());
        let residence = Nanos::from(arrived.elapsed());
        let load = BrokerLoad {
            in_flight: occupancy.in_flight,
            workers: occupancy.workers,
            residence_us: residence.as_micros(),
        };
        Answer {
            reply: LambdaReply {
                message: ResponseView::with_load(&reply.message, load),
                ..reply
            },
            outcome,
        }
    }
}

/// How long an attempt took, when it was over, and the wait that the destination was allowed.
#[derive(Debug, Clone, Copy)]
struct Ended {
    latency: Duration,
    now: Nanos,
    max_wait: Option<Nanos>,
}

impl LambdaService for Forwarder {
    fn came_together<'a>(&self, calls: impl Iterator<Item = &'a LambdaCall>) {
        let names = calls.filter_map(|call| RequestView::leading_name(&call.message));
        // Of a broker that serves other brokers, too, it is the table of clients' requests: the larger.
        self.tables.serving(false).table.fetch(names);
    }

    async fn run(&self, core: &Core, peer: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let (in_flight, others) = self.counters.request(core.index());
        let answer = if others < self.core_limits[core.index()].current() {
            self.forward(core, peer, call).await
        } else {
            self.counters.shed();
            reply::all_busy()
        };
        in_flight.answered(answer.outcome);
        Ok(answer.reply)
    }
}
