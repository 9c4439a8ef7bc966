//! The registry at work: events go in, and their effects go to the routers' pushers at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_transport::tls::ClientConfig;
use edge_transport::{Cores, Endpoint};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, LivenessConfig, PushConfig};
use crate::etsi::View;
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::names::{Address, Route};
use crate::pusher::Pusher;
use crate::registry::{Bounds, Effect, Registry};
use crate::state::State;
use crate::table::Table;

/// Computers, containers of all of them, and routers that are remembered at the
/// most. Tables of routers are read up to as many entries.
const MAX_COMPUTERS: usize = 100_000;
const MAX_CONTAINERS: usize = 4_000_000;
const MAX_ROUTERS: usize = 10_000;

/// The registry and the pushers that carry out its effects. An event takes
/// effect on all of them in one step, and never waits for a router.
#[derive(Debug)]
pub(crate) struct Fleet {
    inner: Mutex<Inner>,
    /// Who we are to routers.
    owner: Arc<str>,
    push: PushConfig,
    liveness: LivenessConfig,
    tls: Option<Arc<ClientConfig>>,
    metrics: Metrics,
    cores: Arc<Cores>,
    tasks: TaskTracker,
    /// Asks pushers to end when they have told their routers everything.
    finish: CancellationToken,
    /// Ends everything now.
    stop: CancellationToken,
    /// Counts changes of who serves what.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    pushers: BTreeMap<Address, Running>,
    started: usize,
}

/// The pusher of a router.
#[derive(Debug)]
struct Running {
    inbox: Arc<Inbox>,
    stop: CancellationToken,
}

impl Fleet {
    pub(crate) fn new(
        config: &Config,
        tls: Option<Arc<ClientConfig>>,
        metrics: Metrics,
        cores: Arc<Cores>,
    ) -> Self {
        let bounds = Bounds {
            computers: MAX_COMPUTERS,
            containers: MAX_CONTAINERS,
            routers: MAX_ROUTERS,
            probe_failures: config.liveness.probe_failures,
            forget_after: config.liveness.forget_after,
            grace: config.liveness.grace,
        };
        let inner = Inner {
            registry: Registry::new(bounds, Instant::now()),
            pushers: BTreeMap::new(),
            started: 0,
        };
        Self {
            inner: Mutex::new(inner),
            owner: config.controller.owner.as_str().into(),
            push: config.push.clone(),
            liveness: config.liveness.clone(),
            tls,
            metrics,
            cores,
            tasks: TaskTracker::new(),
            finish: CancellationToken::new(),
            stop: CancellationToken::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// Wakes up whenever it has changed who serves what.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who serves what now, and where the routers' tables are.
    pub(crate) fn view(&self) -> View {
        View::of(&self.inner().registry)
    }

    pub(crate) fn push(&self) -> &PushConfig {
        &self.push
    }

    pub(crate) fn liveness(&self) -> &LivenessConfig {
        &self.liveness
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn forget_after(&self) -> Duration {
        self.liveness.forget_after
    }

    /// A client of a router's table.
    pub(crate) fn table_at(&self, endpoint: &Endpoint) -> Table {
        let owner = self.owner.clone();
        Table::at(endpoint, self.tls.clone(), self.push.call_timeout, owner)
    }

    /// The entries that a router's table ought to have.
    pub(crate) fn desired(&self) -> Arc<[Route]> {
        self.inner().registry.desired()
    }

    /// Whether an entry of ours that is not among the `desired` is for somebody who is gone. Not if
    /// other entries are desired by now: it may have come back.
    pub(crate) fn is_gone(&self, destination: &Address, desired: &Arc<[Route]>) -> bool {
        let registry = &mut self.inner().registry;
        Arc::ptr_eq(&registry.desired(), desired) && registry.is_gone(destination)
    }

    /// Whether all who renew, and are there, are known.
    pub(crate) fn is_settled(&self) -> bool {
        self.inner().registry.is_settled(Instant::now())
    }

    /// Lets something happen to the registry, and sees to the effects.
    pub(crate) fn event<E>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut Registry, Instant) -> Result<Vec<Effect>, E>,
    ) -> Result<(), E> {
        let mut inner = self.inner();
        let effects = event(&mut inner.registry, Instant::now())?;
        // Not everything that changes what is known has effects.
        self.count(&inner.registry);
        if effects.is_empty() {
            return Ok(());
        }
        let mut told: BTreeMap<Address, Vec<Effect>> = BTreeMap::new();
        for effect in effects {
            report(&effect);
            match &effect {
                Effect::Connect { router, table } => {
                    self.connect(&mut inner, router, table);
                    told.entry(router.clone()).or_default().push(effect);
                }
                Effect::Install { router, .. }
                | Effect::Ensure { router, .. }
                | Effect::Remove { router, .. }
                | Effect::Reconcile { router } => {
                    told.entry(router.clone()).or_default().push(effect);
                }
                Effect::Disconnect { router } => {
                    if let Some(running) = inner.pushers.remove(router) {
                        running.stop.cancel();
                    }
                }
                Effect::LambdaAdded(_)
                | Effect::LambdaRemoved(_)
                | Effect::ComputerAdded { .. }
                | Effect::ComputerRemoved { .. } => {
                    self.changes
                        .send_modify(|count| *count = count.wrapping_add(1));
                }
            }
        }
        for (router, effects) in told {
            if let Some(running) = inner.pushers.get(&router) {
                running.inbox.tell(&effects);
            }
        }
        Ok(())
    }

    fn count(&self, registry: &Registry) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let metrics = &self.metrics;
        metrics.computers.set(count(registry.computers().len()));
        metrics.routers.set(count(registry.routers().len()));
        metrics.lambdas.set(count(registry.lambdas().len()));
    }

    /// As [`event`](Self::event), for those that cannot fail.
    pub(crate) fn happens(
        self: &Arc<Self>,
        event: impl FnOnce(&mut Registry, Instant) -> Vec<Effect>,
    ) {
        let Ok(()) =
            self.event(|registry, now| Ok::<_, std::convert::Infallible>(event(registry, now)));
    }

    pub(crate) fn forget_unreachable_router(self: &Arc<Self>, router: &Address) {
        self.happens(|registry, _| registry.forget_unreachable_router(router));
    }

    /// What is known now, for people.
    pub(crate) fn state(&self) -> State {
        let inner = self.inner();
        let contact = |router: &Address| inner.pushers.get(router).map(|r| r.inbox.contact());
        State::of(&inner.registry, Instant::now(), contact)
    }

    /// Runs `task` until everything ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.stop.clone().run_until_cancelled_owned(task);
        let task = self.tasks.track_future(async move {
            task.await;
        });
        self.cores.all()[0].spawn(task);
    }

    /// When the next lease ends.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.inner().registry.next_expiry()
    }

    /// The computers that have to be probed.
    pub(crate) fn to_probe(&self) -> Vec<Address> {
        self.inner().registry.to_probe()
    }

    /// Lets pushers tell their routers what is left to tell, at most for
    /// `patience`, then ends all tasks. Returns true if nothing was left.
    pub(crate) async fn finish(&self, patience: Duration) -> bool {
        self.finish.cancel();
        let pushers = async {
            loop {
                let running: Vec<_> = self
                    .inner()
                    .pushers
                    .values()
                    .map(|r| r.stop.clone())
                    .collect();
                match running.into_iter().find(|stop| !stop.is_cancelled()) {
                    Some(stop) => stop.cancelled().await,
                    None => return,
                }
            }
        };
        let finished = tokio::time::timeout(patience, pushers).await.is_ok();
        self.stop().await;
        finished
    }

    /// Ends all tasks now.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Starts a pusher for a router that has none.
    fn connect(self: &Arc<Self>, inner: &mut Inner, router: &Address, table: &Endpoint) {
        if inner.pushers.contains_key(router) {
            return;
        }
        let inbox = Arc::new(Inbox::new(table.clone()));
        let stop = self.stop.child_token();
        let running = Running {
            inbox: inbox.clone(),
            stop: stop.clone(),
        };
        inner.pushers.insert(router.clone(), running);
        let (fleet, finish) = (self.clone(), self.finish.clone());
        let (router, table) = (router.clone(), table.clone());
        let task = async move {
            let pushing = Pusher::new(router, &table, inbox, fleet).run(finish);
            stop.run_until_cancelled(pushing).await;
            // Says that it has ended.
            stop.cancel();
        };
        let cores = self.cores.all();
        cores[inner.started % cores.len()].spawn(self.tasks.track_future(task));
        inner.started += 1;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Effects are computed before anything is carried out; a panic between
        // the two is made up for by reconciliation.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells operators who comes and goes.
fn report(effect: &Effect) {
    match effect {
        Effect::LambdaAdded(lambda) => tracing::info!(lambda = ?lambda.as_str(), "lambda added"),
        Effect::LambdaRemoved(lambda) => {
            tracing::info!(lambda = ?lambda.as_str(), "lambda removed: no computer serves it");
        }
        Effect::ComputerAdded { computer, lambdas } => {
            tracing::info!(%computer, lambdas = lambdas.len(), "computer added");
        }
        Effect::ComputerRemoved { computer, lambdas } => {
            tracing::info!(%computer, lambdas = lambdas.len(), "computer removed");
        }
        Effect::Connect { router, table } => tracing::info!(%router, %table, "router announced"),
        Effect::Disconnect { router } => tracing::info!(%router, "router forgotten"),
        Effect::Install { .. }
        | Effect::Ensure { .. }
        | Effect::Remove { .. }
        | Effect::Reconcile { .. } => {}
    }
}
