//! The forwarding path: pick a destination, send the bytes on, learn from the answer.

mod attempt;
mod delay;
mod inquiry;
mod pending;
mod query;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_balance::{Answers, Nanos, NoDestination, Pick, RetryBudget, Tried};
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_proto::view::{BrokerLoad, RequestView, ResponseView};
use edge_transport::{
    ClientOptions, Core, Cores, LambdaCall, LambdaClient, LambdaReply, LambdaService, malformed,
};
use http::HeaderMap;
use prost::Message as _;
use rand::{Rng as _, RngExt as _};
use rand_pcg::Pcg64Mcg;
use tonic::Status;

use self::attempt::{Attempt, Verdict};
pub(crate) use self::delay::Delay;
use self::inquiry::Inquirer;
use self::pending::PendingLimit;
use self::query::{Query, affinity};
use crate::clock::Clock;
use crate::config::{Config, EstimatorConfig};
use crate::explain::{Decisions, Pending};
use crate::metrics::Counters;
use crate::probes::{Prober, Question};
use crate::tables::Tables;
use crate::trace::Trace;

/// What a request gets when its lambda is in no table.
const NO_DESTINATIONS: &str = "No destinations found for the entry";

/// Serves `RunLambda` by forwarding it.
#[derive(Debug)]
pub(crate) struct Forwarder {
    tables: Arc<Tables>,
    clock: Clock,
    budget: RetryBudget,
    max_attempts: usize,
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

    async fn forward(&self, core: &Core, call: LambdaCall) -> LambdaReply {
        let arrived = Instant::now();
        let view = match RequestView::parse(&call.message) {
            Ok(view) => view,
            Err(error) => return encoded(&malformed(&error)),
        };
        if view.name.is_empty() {
            let text = "invalid request: the name of the lambda is empty";
            return failure(Outcome::ApplicationError, text);
        }
        if view.is_looping() {
            return failure(Outcome::ApplicationError, "loop detected");
        }
        let request = Query {
            name: view.name,
            input_bytes: view.input_bytes,
            affinity: affinity(&view),
            dry: view.dry,
            max_wait: (view.max_wait_us > 0).then(|| Nanos::from_micros(view.max_wait_us)),
            may_repeat: view.idempotent || self.idempotent.iter().any(|name| name == view.name),
            learning: self.tables.serving(view.forward),
            trace: self.trace.as_deref(),
        };
        let core = &self.cores[core.index()];
        let reply = self.attempts(core, &view, &request, &call).await;
        if view.forward {
            return self.with_own_load(&request, reply, arrived);
        }
        reply
    }

    /// The reply as another broker wants it: what it says of load and time is about this broker
    /// rather than about the computer behind it.
    fn with_own_load(
        &self,
        request: &Query<'_>,
        reply: LambdaReply,
        arrived: Instant,
    ) -> LambdaReply {
        let table = &request.learning.table;
        let occupancy = table.occupancy(request.name, self.clock.now());
        let residence = Nanos::from(arrived.elapsed());
        let load = BrokerLoad {
            in_flight: occupancy.in_flight,
            workers: occupancy.workers,
            residence_us: residence.as_micros(),
        };
        LambdaReply {
            message: ResponseView::with_load(&reply.message, load),
            ..reply
        }
    }

    /// Tries one destination after the other as long as that can help and
    /// does no harm. What the caller sees is the last real answer or error.
    async fn attempts(
        &self,
        core: &PerCore,
        view: &RequestView<'_>,
        request: &Query<'_>,
        call: &LambdaCall,
    ) -> LambdaReply {
        self.budget.deposit(self.clock.now());
        let mut tried = Tried::new();
        let sampled = self
            .decisions
            .samples(&call.metadata, || core.random().random());
        let answers = self.inquire(core, view, request, call).await;
        let mut failed = false;
        let mut last = None;
        loop {
            let now = self.clock.now();
            let table = &request.learning.table;
            let explanation = sampled
                .then(|| table.explain(request.for_pick(), &tried, now))
                .flatten();
            let picked = table.pick_knowing(
                request.for_pick(),
                &tried,
                &answers,
                now,
                &mut *core.random(),
            );
            let pick = match picked {
                Ok(pick) => pick,
                Err(NoDestination::UnknownLambda) if last.is_none() => {
                    return failure(Outcome::NotFound, NO_DESTINATIONS);
                }
                Err(_) => break,
            };
            // Refusals have a budget of their own, which the policy keeps.
            if failed && !self.budget.try_withdraw(now) {
                self.counters.budget_exhausted();
                break;
            }
            let number = tried.len() + 1;
            let is_last = number >= self.max_attempts;
            let max_wait = request.max_wait(&pick, is_last);
            let decision = explanation.map(|explanation| {
                let identity = (request.name, view.uuid);
                let policy = table.policy_of(request.name).name();
                Pending::new(identity, policy, number, explanation, &pick, max_wait)
            });
            if let Some(refusal) = request.refused_early(&pick, now) {
                if let Some(decision) = decision {
                    self.decisions
                        .ended(decision, Duration::ZERO, Outcome::Refused);
                }
                return refusal;
            }
            if tried.is_empty() {
                self.probe(core, view, request, call, now);
            }
            tried.push(pick.destination().id());
            let started = Instant::now();
            let attempt = self
                .attempt(core, view, request, call, pick, max_wait)
                .await;
            if let Some(decision) = decision {
                let took = started.elapsed();
                self.decisions.ended(decision, took, attempt.outcome);
            }
            match attempt.verdict {
                Verdict::Final => return attempt.reply,
                _ if is_last => return attempt.reply,
                Verdict::TryElsewhere => {
                    failed = true;
                    self.counters.retried();
                }
                Verdict::Refused => {
                    failed = false;
                    tried.refused();
                    self.counters.refused();
                }
            }
            last = Some(attempt.reply);
        }
        last.unwrap_or_else(|| failure(Outcome::Unavailable, NO_DESTINATIONS))
    }

    /// What destinations say about this request, if the policy wants to know
    /// before it picks.
    async fn inquire(
        &self,
        core: &PerCore,
        view: &RequestView<'_>,
        request: &Query<'_>,
        call: &LambdaCall,
    ) -> Answers {
        let Some(inquirer) = &self.inquirer else {
            return Answers::default();
        };
        let table = &request.learning.table;
        let now = self.clock.now();
        let probes = table.inquire(request.for_pick(), &Tried::new(), now, &mut *core.random());
        let question = view.asking(&call.message);
        inquirer
            .ask(
                probes,
                &question,
                call.deadline,
                &core.client,
                self.clock,
                &self.counters,
            )
            .await
    }

    /// Sends the probes that the policy wants at the occasion of this request: the same request,
    /// marked dry, since what a destination expects depends on the input.
    fn probe(
        &self,
        core: &PerCore,
        view: &RequestView<'_>,
        request: &Query<'_>,
        call: &LambdaCall,
        now: Nanos,
    ) {
        let table = &request.learning.table;
        let probes = table.probes(request.for_pick(), now, &mut *core.random());
        if probes.is_empty() {
            return;
        }
        let question = Question::about(view, &call.message);
        for probe in probes {
            let (clock, counters) = (self.clock, &self.counters);
            core.prober
                .send(probe, &question, &core.client, clock, counters);
        }
    }

    async fn attempt(
        &self,
        core: &PerCore,
        view: &RequestView<'_>,
        request: &Query<'_>,
        call: &LambdaCall,
        pick: Pick,
        max_wait: Option<Nanos>,
    ) -> Attempt {
        let max_wait_us = max_wait.map_or(0, |span| span.as_micros().max(1));
        let call = LambdaCall {
            message: view.forwarded(&call.message, max_wait_us),
            ..call.clone()
        };
        self.delay.wait(&core.random).await;
        let destination = pick.destination().clone();
        let started = Instant::now();
        let _permit = match &self.pending {
            None => None,
            Some(limit) => match limit.acquire(destination.name(), call.deadline).await {
                Ok(permit) => Some(permit),
                Err(text) => return Attempt::overdue(pick, text),
            },
        };
        let answered = if self.delay.is_fake() {
            Ok(self.delay.fake_answer(&core.random))
        } else {
            core.client.call_by_name(destination.name(), &call).await
        };
        let ended = Ended {
            latency: started.elapsed(),
            now: self.clock.now(),
            max_wait,
        };
        attempt::judge(request, pick, &destination, answered, ended, &self.counters)
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
    async fn run(&self, core: &Core, call: LambdaCall) -> Result<LambdaReply, Status> {
        let in_flight = self.counters.request(core.index());
        let reply = self.forward(core, call).await;
        in_flight.answered(&reply.message);
        Ok(reply)
    }
}

fn failure(outcome: Outcome, text: impl Into<String>) -> LambdaReply {
    encoded(&LambdaResponse::error(outcome, text))
}

fn encoded(response: &LambdaResponse) -> LambdaReply {
    LambdaReply {
        message: Bytes::from(response.encode_to_vec()),
        trailers: HeaderMap::new(),
    }
}
