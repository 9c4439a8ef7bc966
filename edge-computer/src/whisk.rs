//! An OpenWhisk in one process: its REST API in front of runtime processes, in memory.
//!
//! For tests and demonstrations, where a real cluster is too much: it executes real code and is
//! strict, so that what works here works there. Namespaces with credentials, actions with code,
//! sequences, packages, all ways to invoke, activations with logs. No triggers, rules, web actions
//! or bindings: their collections are empty.

mod activations;
mod api;
mod body;
mod entities;
mod invoke;
mod listen;
mod reply;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::activations::Activations;
use self::entities::Entities;
use crate::executor::Executor as _;
use crate::runtime::{RuntimeConfig, RuntimeError, Runtimes};

/// How long one execution may wait for a worker.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Executions of one action that wait for a worker.
const MAX_PENDING: usize = 1000;
/// How long the end of executions is waited for.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// What the platform is like.
#[derive(Debug, Clone)]
pub struct WhiskConfig {
    /// Where it listens. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Encrypts.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Whom it serves.
    pub users: Vec<User>,
    /// How long a blocking call waits at the most.
    pub max_blocking: Duration,
    /// Calls of one namespace in a minute.
    pub invocations_per_minute: usize,
    /// Calls of one namespace at the same time.
    pub concurrent_invocations: usize,
    /// Records that are kept of one namespace; the oldest goes first.
    pub max_activations: usize,
    /// Bytes of those, about.
    pub max_activation_bytes: usize,
    /// What executes the actions.
    pub runtime: RuntimeConfig,
}

impl Default for WhiskConfig {
    /// A free port of the loopback interface, the namespace `guest`, the limits of an OpenWhisk as
    /// it is delivered.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            users: vec![User::guest()],
            max_blocking: Duration::from_secs(60),
            invocations_per_minute: 60,
            concurrent_invocations: 30,
            max_activations: 10_000,
            max_activation_bytes: 64 << 20,
            runtime: RuntimeConfig::default(),
        }
    }
}

/// A namespace and who may use it.
#[derive(Debug, Clone)]
pub struct User {
    /// The namespace.
    pub namespace: String,
    /// The first half of the credentials.
    pub uuid: String,
    /// The second half.
    pub key: String,
}

impl User {
    /// The namespace `guest`, with the credentials that the whole world knows.
    pub fn guest() -> Self {
        Self {
            namespace: "guest".to_owned(),
            uuid: "23bc46b1-71f6-4ed5-8c54-816aa4f8c502".to_owned(),
            key: "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP".to_owned(),
        }
    }

    /// `uuid:key`.
    pub fn auth(&self) -> String {
        format!("{}:{}", self.uuid, self.key)
    }
}

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum WhiskError {
    /// The port is in use, or the address is not of this machine.
    #[error("cannot listen at {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Runtimes cannot be had.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// What all requests share.
#[derive(Debug)]
struct Platform {
    config: WhiskConfig,
    api_host: String,
    runtimes: Runtimes,
    namespaces: Mutex<BTreeMap<String, Namespace>>,
    /// Executions under way.
    executions: TaskTracker,
}

/// What belongs to one namespace.
#[derive(Debug, Default)]
struct Namespace {
    entities: Entities,
    activations: Activations,
    in_flight: usize,
}

impl Platform {
    /// The namespaces, locked. Only those of users exist.
    fn namespaces(&self) -> MutexGuard<'_, BTreeMap<String, Namespace>> {
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a namespace, which is there because it has a user.
    fn with<T>(&self, namespace: &str, act: impl FnOnce(&mut Namespace) -> T) -> T {
        act(self.namespaces().entry(namespace.to_owned()).or_default())
    }
}

/// The platform.
#[derive(Debug, Clone, Copy)]
pub struct Whisk;

impl Whisk {
    /// Listens and serves. To be called within a runtime, on which everything stays.
    ///
    /// # Errors
    /// If the port or the runtimes cannot be had.
    pub async fn start(config: WhiskConfig) -> Result<WhiskHandle, WhiskError> {
        let address = config.listen;
        let bind = |source| WhiskError::Bind { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let scheme = if config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let runtimes = Runtimes::start(&config.runtime, MAX_PENDING, MAX_WAIT)?;
        let tls = config.tls.clone();
        let platform = Arc::new(Platform {
            api_host: format!("{scheme}://{address}"),
            runtimes,
            namespaces: Mutex::default(),
            executions: TaskTracker::new(),
            config,
        });
        let stop = CancellationToken::new();
        let serving = listen::serve(listener, tls, platform.clone(), stop.clone());
        Ok(WhiskHandle {
            address,
            platform,
            stop,
            serving: AbortOnDropHandle::new(tokio::spawn(serving)),
        })
    }
}

/// A running platform. Dropped, it ends, and its connections are reset.
#[derive(Debug)]
pub struct WhiskHandle {
    address: SocketAddr,
    platform: Arc<Platform>,
    stop: CancellationToken,
    serving: AbortOnDropHandle<()>,
}

impl WhiskHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of its API: `http://host:port`.
    pub fn url(&self) -> &str {
        &self.platform.api_host
    }

    /// How often the action `name` of `namespace` was executed, as far as it is remembered.
    pub fn executions(&self, namespace: &str, name: &str) -> usize {
        let count = |space: &mut Namespace| space.activations.of_action(name).count();
        self.platform.with(namespace, count)
    }

    /// Ends: connections are reset, processes killed.
    pub async fn stop(self) {
        self.stop.cancel();
        // An error means that it has ended already.
        let _ended = self.serving.await;
        self.platform.executions.close();
        let executions = self.platform.executions.wait();
        let _drained = tokio::time::timeout(DRAINED_WITHIN, executions).await;
        self.platform.runtimes.close().await;
    }
}
