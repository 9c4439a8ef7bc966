//! Real functions: processes and servers that speak OpenWhisk's runtime protocol, and their pools.
//!
//! A container is initialised once with the code of one function (`POST /init`), then executes it
//! as often as it is asked to (`POST /run`). What it takes to start and initialise one is told apart
//! as a cold start. A process that is cancelled, takes too long, or fails in any way that leaves
//! doubt about it is killed with everything that it has started.

mod activate;
mod config;
mod container;
mod endpoints;
mod execution;
mod function;
mod guard;
mod line;
mod logs;
mod places;
mod pool;
mod process;
mod protocol;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use edge_proto::rpc::{Utilization, computer_info};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub use self::config::{FunctionConfig, FunctionError, KindConfig, RuntimeConfig};
pub use self::function::{Code, Function, Kind, Limits};
use self::guard::Guard;
use self::logs::printable;
use self::places::Places;
pub use self::pool::Pool;
use self::pool::Site;
use self::process::Workshop;
pub(crate) use self::protocol::explain;
pub use self::protocol::{Activated, Activation, Status};
use crate::executor::{
    ContainerSnapshot, Execution, ExecutionError, Executor, Invocation, ProcessorSnapshot,
    Snapshot, Standing, Terms,
};
use crate::params::{Mapping, failure};
use crate::sampler::{Sampler, Shares, share};
use crate::turns::Bounds;

/// What the pool of processes is called where processors are named.
const PROCESSOR: &str = "runtime";
/// How long the end of killed processes is waited for.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Why runtimes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no place for our runtime.
    #[error("cannot prepare the folder of the runtimes")]
    Folder(#[from] std::io::Error),
    /// There is no HTTP client.
    #[error("cannot prepare the HTTP client")]
    Client(#[from] reqwest::Error),
    /// A function cannot be deployed.
    #[error(transparent)]
    Function(#[from] FunctionError),
}

/// Functions by name, each with its pool of containers.
#[derive(Debug)]
pub struct Runtimes {
    site: Arc<Site>,
    bounds: Bounds,
    mapping: Mapping,
    pools: Arc<RwLock<BTreeMap<String, Arc<Pool>>>>,
    sampler: Sampler,
    _upkeep: AbortOnDropHandle<()>,
}

impl Runtimes {
    /// Prepares the functions that `config` names; containers are started when they are needed. To
    /// be called within a runtime, on which their processes are watched.
    ///
    /// # Errors
    /// If the system does not give what it takes, or the code of a function cannot be read.
    pub fn start(
        config: &RuntimeConfig,
        max_pending: usize,
        max_wait: Duration,
    ) -> Result<Self, RuntimeError> {
        let functions = config.functions()?;
        let folder = tempfile::Builder::new().prefix("edge-runtime-").tempdir()?;
        let guard = Guard::start(folder.path()).inspect_err(|error| {
            tracing::warn!(%error, "runtime processes may outlive this computer if it is killed");
        });
        let workshop = Workshop {
            node: config::located(&config.node),
            start_within: config.start_within,
            folder,
            client: protocol::Client::new()?,
            guard: guard.ok(),
            supervisors: TaskTracker::new(),
        };
        workshop.restore()?;
        let site = Arc::new(Site {
            workshop,
            home: tokio::runtime::Handle::current(),
            places: Places::new(config.max_containers.max(1)),
            pools: Mutex::default(),
            next_pool: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            closing: CancellationToken::new(),
        });
        let pools: Arc<RwLock<BTreeMap<String, Arc<Pool>>>> = Arc::default();
        let sampled = pools.clone();
        let sampler = Sampler::start(move |now, period| shares(&sampled, now, period));
        let upkeep = tokio::spawn(upkeep::keep_up(site.clone(), config.idle));
        let runtimes = Self {
            site,
            bounds: Bounds {
                workers: 1,
                max_pending,
                max_wait,
            },
            mapping: config.mapping.clone(),
            pools,
            sampler,
            _upkeep: AbortOnDropHandle::new(upkeep),
        };
        for function in functions {
            runtimes.deploy(function);
        }
        Ok(runtimes)
    }

    /// Serves `function` from now on, in place of the one that had its name.
    pub fn deploy(&self, function: Function) -> Arc<Pool> {
        let name = function.name.clone();
        let pool = Pool::new(function, self.site.clone(), self.bounds);
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let before = pools.insert(name, pool.clone());
        drop(pools);
        // Executions under way hold on to theirs.
        drop(before);
        self.site.changes.send_modify(|changes| *changes += 1);
        pool
    }

    /// Serves the function `name` no longer. Executions under way go on.
    pub fn withdraw(&self, name: &str) -> bool {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let before = pools.remove(name);
        drop(pools);
        self.site.changes.send_modify(|changes| *changes += 1);
        before.is_some()
    }

    /// The function `name`.
    pub fn pool(&self, name: &str) -> Option<Arc<Pool>> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.get(name).cloned()
    }

    /// Containers that there are at present.
    pub fn containers_alive(&self) -> usize {
        self.all().iter().map(|pool| pool.containers()).sum()
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.values().cloned().collect()
    }

    fn find(&self, name: &str) -> Result<Arc<Pool>, ExecutionError> {
        self.pool(name)
            .ok_or_else(|| ExecutionError::NotFound(format!("no function serves lambda {name}")))
    }
}

/// Share of the workers' time that was spent in the `period` before `now`: of those of each function,
/// and of all.
fn shares(pools: &RwLock<BTreeMap<String, Arc<Pool>>>, now: Instant, period: Duration) -> Shares {
    let pools = pools.read().unwrap_or_else(PoisonError::into_inner);
    let (mut all_busy, mut all_workers) = (Duration::ZERO, 0_u32);
    let mut lambdas = BTreeMap::new();
    for (name, pool) in &*pools {
        let (busy, workers) = (pool.turns.take_busy(now), pool.turns.workers());
        lambdas.insert(name.clone(), share(busy, workers, period));
        all_busy += busy;
        all_workers = all_workers.saturating_add(workers);
    }
    let all = share(all_busy, all_workers, period);
    Shares {
        processors: BTreeMap::from([(PROCESSOR.to_owned(), all)]),
        lambdas,
    }
}

impl Executor for Runtimes {
    async fn run(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<Execution, ExecutionError> {
        let Invocation {
            lambda,
            uuid,
            input,
            datain,
            states,
            patience,
            ..
        } = invocation;
        let terms = Terms {
            lambda: &lambda,
            input_bytes: input.len(),
            patience,
            deadline,
        };
        let pool = self.find(&lambda)?;
        let params = self.mapping.params(&input, &datain);
        let params = params.map_err(|error| ExecutionError::Application(error.to_string()))?;
        // It may be large, wait for long, and is in the parameters.
        drop((input, datain));
        let activation = Activation {
            id: uuid::Uuid::new_v4().simple().to_string(),
            transaction_id: uuid,
            namespace: "_".to_owned(),
            version: "0.0.1".to_owned(),
            api_host: String::new(),
            params,
        };
        let id = activation.id.clone();
        let activated = pool.activate(activation, &terms).await?;
        for line in &activated.logs {
            tracing::debug!(lambda, activation = id, "{}", printable(line));
        }
        let cold_start = activated.start.unwrap_or_default() + activated.init.unwrap_or_default();
        let outputs = self.mapping.outputs(&activated.result);
        let execution = Execution {
            output: outputs.output,
            dataout: outputs.dataout,
            states,
            loads: self.sampler.of_lambda(&lambda),
            service: activated.run,
            cold_start: (!cold_start.is_zero()).then_some(cold_start),
        };
        let kind = match activated.status {
            Status::Success => return Ok(execution),
            Status::ApplicationError => "application error",
            Status::DeveloperError => "action developer error",
        };
        let said = failure(&activated.result).unwrap_or_default();
        Err(ExecutionError::Failed {
            text: format!("{kind}: {said}"),
            execution: Box::new(execution),
        })
    }

    fn admits(&self, terms: Terms<'_>) -> Result<(), ExecutionError> {
        let pool = self.find(terms.lambda)?;
        pool.in_service()?;
        pool.turns.admits(0, &terms)
    }

    fn estimate(&self, lambda: &str, _: usize) -> Result<Duration, ExecutionError> {
        Ok(self.find(lambda)?.turns.estimate(0))
    }

    fn standing(&self, lambda: &str) -> Option<Standing> {
        let pool = self.pool(lambda)?;
        Some(Standing {
            in_flight: pool.turns.in_system(),
            workers: pool.workers(),
            loads: self.sampler.of_lambda(lambda),
        })
    }

    fn containers(&self) -> Vec<computer_info::Container> {
        let pools = self.all();
        let healthy = pools.iter().filter(|pool| pool.health.is_healthy());
        healthy
            .map(|pool| computer_info::Container {
                name: pool.function.name.clone(),
                processor: PROCESSOR.to_owned(),
                lambda: pool.function.name.clone(),
                num_workers: pool.workers(),
            })
            .collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.site.changes.subscribe()
    }

    fn snapshot(&self) -> Snapshot {
        let pools = self.all();
        let containers = pools.iter().map(|pool| {
            let (active, pending) = pool.turns.of_lambda(0);
            ContainerSnapshot {
                name: pool.function.name.clone(),
                processor: PROCESSOR.to_owned(),
                lambda: pool.function.name.clone(),
                workers: pool.workers(),
                active,
                pending,
            }
        });
        let containers: Vec<_> = containers.collect();
        let processor = ProcessorSnapshot {
            name: PROCESSOR.to_owned(),
            kind: "runtime processes".to_owned(),
            cores: containers.iter().map(|container| container.workers).sum(),
            speed: 0.0,
            memory_bytes: 0,
            memory_used_bytes: 0,
            running: containers.iter().map(|container| container.active).sum(),
            utilization: self.sampler.of_processor(PROCESSOR).load1,
        };
        Snapshot {
            name: PROCESSOR.to_owned(),
            processors: vec![processor],
            containers,
            backends: Vec::new(),
        }
    }

    fn utilization(&self) -> broadcast::Receiver<Arc<Utilization>> {
        self.sampler.subscribe()
    }

    async fn close(&self) {
        self.site.closing.cancel();
        for pool in self.all() {
            pool.close();
        }
        self.site.places.close();
        let supervisors = &self.site.workshop.supervisors;
        supervisors.close();
        if tokio::time::timeout(GONE_WITHIN, supervisors.wait())
            .await
            .is_err()
        {
            tracing::error!("runtime processes do not end");
        }
    }
}
