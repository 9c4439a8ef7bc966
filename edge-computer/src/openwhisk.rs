//! Fronts OpenWhisk: its actions become lambdas, requests become blocking calls of its API.
//!
//! Several installations may be behind one computer. Each is listed from time to time, so that
//! actions come and go; one that does not answer is out of service until it does, and one whose
//! calls fail for a while. Of those that have an action, the one is called that is expected to
//! answer first, and the next one if the request was not begun there.

mod backend;
mod breaker;
mod client;
mod config;
mod credentials;
mod name;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use edge_proto::MAX_HOPS;
use edge_proto::rpc::{Utilization, computer_info};
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

use self::backend::{Action, Backend};
pub use self::client::HOPS;
pub use self::config::{BackendConfig, BackendError, NamesConfig};
pub use self::credentials::CredentialsError;
pub use self::name::{ActionName, NameError, is_valid};
use crate::executor::{
    ContainerSnapshot, Execution, ExecutionError, Executor, Invocation, Patience,
    ProcessorSnapshot, Snapshot, Standing, Terms,
};
use crate::sampler::{Sampler, Shares, share};
use crate::sim::Loads;

/// Executes lambdas as actions of OpenWhisk.
#[derive(Debug)]
pub struct OpenWhisk {
    backends: Vec<Arc<Backend>>,
    routes: Arc<RwLock<Routes>>,
    changes: Arc<watch::Sender<u64>>,
    sampler: Sampler,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// The actions that serve a lambda.
type Routes = HashMap<String, Vec<Target>>;

#[derive(Debug, Clone)]
struct Target {
    backend: Arc<Backend>,
    action: Arc<Action>,
}

impl OpenWhisk {
    /// Fronts the platforms of `configs`, on which nobody waits longer than `max_wait` for a turn,
    /// and no more than `max_pending` for one lambda. To be called within a runtime, on which their
    /// actions are listed from now on.
    ///
    /// # Errors
    /// If one of them is configured in a way that makes no sense.
    pub fn start(
        configs: Vec<BackendConfig>,
        max_pending: usize,
        max_wait: Duration,
    ) -> Result<Self, BackendError> {
        let listed = Arc::new(watch::Sender::new(0));
        let mut backends = Vec::new();
        for config in configs {
            let backend = Backend::new(config, max_pending, max_wait, listed.clone())?;
            backends.push(Arc::new(backend));
        }
        let routes = Arc::new(RwLock::new(Routes::new()));
        let changes = Arc::new(watch::Sender::new(0));
        let follow = follow(
            listed.subscribe(),
            backends.clone(),
            routes.clone(),
            changes.clone(),
        );
        let discoveries = backends
            .iter()
            .map(|backend| tokio::spawn(backend.clone().discover()));
        let mut tasks: Vec<_> = discoveries.map(AbortOnDropHandle::new).collect();
        tasks.push(AbortOnDropHandle::new(tokio::spawn(follow)));
        let sampled = backends.clone();
        let sampler = Sampler::start(move |now, period| {
            let busy = |backend: &Arc<Backend>| {
                let turns = &backend.turns;
                let share = share(turns.take_busy(now), turns.workers(), period);
                (backend.name.clone(), share)
            };
            Shares {
                processors: sampled.iter().map(busy).collect(),
                lambdas: BTreeMap::new(),
            }
        });
        Ok(Self {
            backends,
            routes,
            changes,
            sampler,
            _tasks: tasks,
        })
    }

    fn targets(&self, lambda: &str) -> Result<Vec<Target>, ExecutionError> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let found = routes.get(lambda).or_else(|| {
            // The reference takes names without their first slash, too.
            let full = lambda.contains('/').then(|| format!("/{lambda}"));
            full.and_then(|full| routes.get(&full))
        });
        found
            .cloned()
            .ok_or_else(|| ExecutionError::NotFound(format!("no action serves lambda {lambda}")))
    }

    /// Those in service, the one first that is expected to answer first.
    fn candidates(&self, lambda: &str) -> Result<Vec<Target>, ExecutionError> {
        let mut targets = self.targets(lambda)?;
        targets.retain(|target| target.backend.breaker.is_in_service());
        if targets.is_empty() {
            return Err(ExecutionError::Unavailable {
                text: format!("lambda {lambda}: its platform is out of service"),
                begun: false,
            });
        }
        // Where nothing is known yet, all cost the same.
        let order = |target: &Target| (target.cost(), target.backend.config.weight);
        targets.sort_by(|a, b| {
            let (a, b) = (order(a), order(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        Ok(targets)
    }

    fn loads(&self, backend: &Backend) -> Loads {
        self.sampler.of_processor(&backend.name)
    }
}

impl Target {
    fn cost(&self) -> f64 {
        self.backend.cost(&self.action)
    }

    fn admits(&self, terms: &Terms<'_>) -> Result<(), ExecutionError> {
        self.backend.turns.admits(self.action.number, terms)
    }
}

/// Keeps the routes as the platforms are listed.
async fn follow(
    mut listed: watch::Receiver<u64>,
    backends: Vec<Arc<Backend>>,
    routes: Arc<RwLock<Routes>>,
    changes: Arc<watch::Sender<u64>>,
) {
    while listed.changed().await.is_ok() {
        let mut all = Routes::new();
        for backend in &backends {
            for action in backend.known() {
                for lambda in &action.lambdas {
                    all.entry(lambda.clone()).or_default().push(Target {
                        backend: backend.clone(),
                        action: action.clone(),
                    });
                }
            }
        }
        *routes.write().unwrap_or_else(PoisonError::into_inner) = all;
        changes.send_modify(|changes| *changes += 1);
    }
}

/// Whether a request that ended so was not begun, so that somebody else may have it.
fn was_not_begun(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NotFound(_)
            | ExecutionError::Refused { .. }
            | ExecutionError::Overloaded { .. }
            | ExecutionError::TooLate { .. }
            | ExecutionError::Unavailable { begun: false, .. }
    )
}

impl Executor for OpenWhisk {
    async fn run(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<Execution, ExecutionError> {
        if invocation.hops > MAX_HOPS {
            return Err(ExecutionError::Application("loop detected".to_owned()));
        }
        let terms = invocation.terms(deadline);
        let mut latest = None;
        let mut candidates = self.candidates(terms.lambda)?;
        if terms.patience == Patience::UntilDeadline {
            // All of them would let it wait: those first that would take it anyhow.
            candidates.sort_by_cached_key(|target| target.admits(&terms).is_err());
        }
        for target in candidates {
            let executed = target
                .backend
                .run(&target.action, &invocation, &terms)
                .await;
            match executed {
                Err(error) if was_not_begun(&error) => latest = Some(error),
                executed => {
                    let loads = self.loads(&target.backend);
                    return executed.map(|execution| Execution { loads, ..execution });
                }
            }
        }
        // There is at least one candidate.
        Err(latest.unwrap_or(ExecutionError::NotFound(invocation.lambda)))
    }

    fn admits(&self, terms: Terms<'_>) -> Result<(), ExecutionError> {
        let mut admitted = Ok(());
        for target in self.candidates(terms.lambda)? {
            admitted = target.admits(&terms);
            if admitted.is_ok() {
                break;
            }
        }
        admitted
    }

    fn estimate(&self, lambda: &str, _: usize) -> Result<Duration, ExecutionError> {
        let candidates = self.candidates(lambda)?;
        let target = &candidates[0];
        Ok(target.backend.turns.estimate(target.action.number))
    }

    fn standing(&self, lambda: &str) -> Option<Standing> {
        let targets = self.targets(lambda).ok()?;
        let healthy = targets
            .iter()
            .filter(|target| target.backend.breaker.is_in_service());
        let standing = healthy.fold(Standing::default(), |sum, target| Standing {
            in_flight: sum.in_flight + target.backend.turns.in_system(),
            workers: sum.workers + target.backend.workers(&target.action),
            loads: sum.loads,
        });
        let loads = targets.first().map(|target| self.loads(&target.backend));
        Some(Standing {
            loads: loads.unwrap_or_default(),
            ..standing
        })
    }

    /// One for each lambda: of the first platform that has it, with the workers of all that have.
    fn containers(&self) -> Vec<computer_info::Container> {
        let mut containers: BTreeMap<String, computer_info::Container> = BTreeMap::new();
        for backend in &self.backends {
            for action in backend.announced() {
                let workers = backend.workers(&action);
                for lambda in &action.lambdas {
                    containers
                        .entry(lambda.clone())
                        .and_modify(|container| container.num_workers += workers)
                        .or_insert_with(|| computer_info::Container {
                            name: format!("wsk:{}", action.kind),
                            processor: backend.name.clone(),
                            lambda: lambda.clone(),
                            num_workers: workers,
                        });
                }
            }
        }
        containers.into_values().collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn snapshot(&self) -> Snapshot {
        let processors = self.backends.iter().map(|backend| ProcessorSnapshot {
            name: backend.name.clone(),
            kind: "OpenWhisk".to_owned(),
            cores: backend.turns.workers(),
            speed: 0.0,
            memory_bytes: 0,
            memory_used_bytes: 0,
            running: backend.turns.in_system().min(backend.turns.workers()),
            utilization: self.loads(backend).load1,
        });
        let containers = self.backends.iter().flat_map(|backend| {
            let actions = backend.known();
            let shown = actions.into_iter().map(|action| {
                let (active, pending) = backend.turns.of_lambda(action.number);
                ContainerSnapshot {
                    name: format!("wsk:{}", action.kind),
                    processor: backend.name.clone(),
                    lambda: action.name.to_string(),
                    workers: backend.workers(&action),
                    active,
                    pending,
                }
            });
            shown.collect::<Vec<_>>()
        });
        Snapshot {
            name: "OpenWhisk".to_owned(),
            processors: processors.collect(),
            containers: containers.collect(),
            backends: self
                .backends
                .iter()
                .map(|backend| backend.snapshot())
                .collect(),
        }
    }

    fn utilization(&self) -> broadcast::Receiver<Arc<Utilization>> {
        self.sampler.subscribe()
    }

    async fn close(&self) {
        for backend in &self.backends {
            backend.turns.close();
        }
    }
}
