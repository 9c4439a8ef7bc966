//! A computer: everything it serves, from binding its ports to its last answer.

mod announce;
mod answer;
mod asynchronous;
#[cfg(test)]
mod books;
mod callback;
mod channels;
mod companion;
mod handle;
mod handler;
mod join;
mod metrics;
mod queue;
mod security;
mod service;
mod utilization;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use edge_daemon::admin::{Admin, AdminError, RunningAdmin};
use edge_proto::rpc::{edge_computer_server, edge_server_server, state_server_server};
use edge_transport::states::{StateService, StateStore};
use edge_transport::tls::TlsError;
use edge_transport::{
    BindError, Cores, Endpoint, Listener, Seldom, Server, ServerHandle, Typed, quic, services,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tonic::service::Routes;

use self::announce::Announcer;
use self::asynchronous::Asynchronous;
pub(crate) use self::callback::beginning;
pub(crate) use self::channels::Channels;
use self::companion::Companion;
pub use self::handle::Handle;
use self::handler::Handler;
use self::join::Joins;
use self::metrics::{Metrics, PlatformCollector};
use self::queue::Queue;
use self::security::Security;
use self::service::Service;
use self::utilization::UtilizationService;
use crate::config::{ADMIN_PORT, Common, Config, InvalidConfig, WskConfig};
use crate::executor::{Executor, Snapshot};
use crate::openwhisk::OpenWhisk;
use crate::platform::Simulated;
use crate::runtime::Runtimes;
use crate::sim::{ComposeError, compose};
use crate::states::StateHome;

/// How long a call to a callback or state server may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often branches that have waited too long are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Why a computer does not start. Nothing has been announced then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the configuration makes no sense.
    #[error("invalid configuration")]
    Config(#[from] InvalidConfig),
    /// A port is in use, or the address is not of this machine.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or key is missing or unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The simulated platform cannot be built.
    #[error(transparent)]
    Platform(#[from] ComposeError),
    /// What executes the lambdas cannot be started.
    #[error("{0}")]
    Executor(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The admin endpoint cannot be served.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system refuses a thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl StartError {
    /// Whether the configuration is to blame, or a file that it names.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Tls(_) | Self::Platform(_))
    }
}

/// An edge computer with a simulated platform.
#[derive(Debug, Clone, Copy)]
pub struct EdgeComputer;

/// The ports of a computer, bound and not yet served.
#[derive(Debug)]
struct Listeners {
    lambda: Listener,
    utilization: Option<Listener>,
    state: Option<Listener>,
}

impl Listeners {
    fn bind(config: &Common) -> Result<Self, BindError> {
        let bind = |endpoint: Option<&Endpoint>| endpoint.map(Listener::bind).transpose();
        let state = config.state.endpoint.get().filter(|_| config.state.serve);
        Ok(Self {
            lambda: Listener::bind_for(&config.server.endpoint, config.transport.r#type)?,
            utilization: bind(config.utilization.endpoint.get())?,
            state: bind(state)?,
        })
    }
}

impl EdgeComputer {
    /// Whatever type of computer is configured, simulates one: binds all ports, starts to serve,
    /// then announces. To be called within a runtime, on which
    /// the announcements and the admin endpoint stay; requests are served on threads of their own.
    ///
    /// # Errors
    /// If the configuration makes no sense, or the machine does not give what it asks for.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.validate()?;
        let door = Door::open("edgecomputer", config.common())?;
        let name = format!("computer@{}", door.endpoint());
        let mut computer = compose(&name, &config.platform)?;
        computer.set_max_pending(config.limits.max_pending);
        let max_wait = config.limits.max_wait;
        let platform = Simulated::start(computer, config.dry.estimator.into(), max_wait);
        door.serve(platform.map_err(StartError::Thread)?).await
    }
}

/// An edge computer that executes real functions in runtime processes.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeComputer;

impl RuntimeComputer {
    /// As [`EdgeComputer::start`], whatever type of computer is configured. Runtime processes are
    /// watched on the runtime that this is called within.
    ///
    /// # Errors
    /// If the configuration makes no sense, or the machine does not give what it asks for.
    pub async fn start(config: Config) -> Result<Handle<Runtimes>, StartError> {
        config.validate()?;
        let door = Door::open("edgecomputer", config.common())?;
        let limits = &config.limits;
        let runtimes = Runtimes::start(&config.runtime, limits.max_pending, limits.max_wait);
        let runtimes = runtimes.map_err(|error| StartError::Executor(Box::new(error)))?;
        door.serve(runtimes).await
    }
}

/// An edge computer that fronts OpenWhisk.
#[derive(Debug, Clone, Copy)]
pub struct WskComputer;

impl WskComputer {
    /// As [`EdgeComputer::start`]; the actions are announced as soon as the platforms have told
    /// them.
    ///
    /// # Errors
    /// If the configuration makes no sense, or the machine does not give what it asks for.
    pub async fn start(config: WskConfig) -> Result<Handle<OpenWhisk>, StartError> {
        config.validate()?;
        let door = Door::open("edgecomputerwsk", config.common())?;
        let fronted = config.fronted().into_iter().cloned().collect();
        let limits = &config.limits;
        let platforms = OpenWhisk::start(fronted, limits.max_pending, limits.max_wait);
        let platforms = platforms.map_err(|error| StartError::Executor(Box::new(error)))?;
        door.serve(platforms).await
    }
}

/// A computer whose ports are bound, and which waits for what executes its lambdas.
#[derive(Debug)]
pub(crate) struct Door {
    program: &'static str,
    config: Common,
    security: Security,
    listeners: Listeners,
    endpoint: Endpoint,
}

impl Door {
    /// Binds the ports of `program`.
    pub(crate) fn open(program: &'static str, config: Common) -> Result<Self, StartError> {
        let security = Security::of(&config)?;
        let listeners = Listeners::bind(&config)?;
        let endpoint = announced_endpoint(&config, &listeners.lambda);
        Ok(Self {
            program,
            config,
            security,
            listeners,
            endpoint,
        })
    }

    /// Under which others know the computer.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Serves what `executor` executes, and announces it.
    pub(crate) async fn serve<E: Executor>(self, executor: E) -> Result<Handle<E>, StartError> {
        let Self {
            program,
            config,
            security,
            listeners,
            endpoint,
        } = self;
        let executor = Arc::new(executor);
        let cores = Cores::start("computer", config.threads()).map_err(StartError::Thread)?;
        let cores = Arc::new(cores);

        let store = Arc::new(StateStore::new(
            config.state.max_state_bytes,
            config.state.max_total_bytes,
        ));
        let home = config.state.endpoint.get().map(|at| {
            let (at, store) = match &listeners.state {
                None => (at.clone(), None),
                Some(listener) => (reachable(at, listener, &config), Some(store.clone())),
            };
            StateHome::new(at, store, config.state.max_state_bytes)
        });
        let service = Arc::new(Service {
            executor: executor.clone(),
            endpoint: endpoint.clone(),
            channels: Channels::new(security.control_client.clone(), CALL_TIMEOUT),
            home,
            asynchronous: asynchronous(&config, &cores, &security),
            metrics: Metrics::default(),
            lost: Seldom::default(),
            draining_until: OnceLock::new(),
        });
        let quic_counters = Arc::new(quic::Counters::default());
        let mut admin = Admin::new(program, env!("CARGO_PKG_VERSION"));
        let taken = quic_counters.clone();
        admin.counters(move || taken.of_server());
        if config.asynchronous.companion.get().is_some() {
            let asked = security.quic_client.counters.clone();
            admin.counters(move || asked.of_client());
        }
        let (admin, readiness) = start_admin(admin, &config, &service, &store).await?;

        let streams = CancellationToken::new();
        let serve_control = |routes: Routes, listener: Listener| -> ServerHandle {
            Server::new(routes)
                .with_tls(security.control_server.clone())
                .serve(listener, &cores)
        };
        let (of_utilization, routes) =
            services::healthy(&[edge_computer_server::SERVICE_NAME]).await;
        let utilization = listeners.utilization.map(|listener| {
            let stream = UtilizationService::server(executor.clone(), streams.clone());
            serve_control(routes.add_service(stream), listener)
        });
        let (of_states, routes) = services::healthy(&[state_server_server::SERVICE_NAME]).await;
        let state = listeners.state.map(|listener| {
            let states = StateService::server(store.clone(), config.state.max_state_bytes);
            serve_control(routes.add_service(states), listener)
        });
        let (of_lambdas, routes) = services::healthy(&[edge_server_server::SERVICE_NAME]).await;
        let lambda = Server::new(routes)
            .with_lambda(Arc::new(Typed(Handler(service.clone()))))
            .with_tls(security.lambda_server)
            .with_quic(security.quic_server, config.transport.congestion)
            .with_quic_counters(quic_counters)
            .serve(listeners.lambda, &cores);
        tracing::info!(address = %lambda.local_addr(), %endpoint, "{program} listens");
        readiness.ready();

        let announcer = config.controller.endpoint.get().map(|controller| {
            let tls = security.control_client.clone();
            Announcer::start(controller.clone(), tls, &endpoint, executor.clone())
        });
        let sweeper = AbortOnDropHandle::new(tokio::spawn(expire_joins(service.clone())));
        Ok(Handle {
            endpoint,
            executor,
            service,
            cores,
            lambda,
            utilization,
            state,
            streams,
            admin,
            readiness,
            health: [of_lambdas, of_utilization, of_states],
            announcer,
            sweeper,
        })
    }
}

/// Under which others know the computer.
fn announced_endpoint(config: &Common, listener: &Listener) -> Endpoint {
    match config.server.advertise.get() {
        Some(advertised) => advertised.clone(),
        None => Endpoint::new(config.server.endpoint.host(), listener.local_addr().port())
            .with_scheme(config.transport.r#type.scheme()),
    }
}

/// Under which others reach what listens at `at`: an unspecified host becomes the advertised one.
fn reachable(at: &Endpoint, listener: &Listener, config: &Common) -> Endpoint {
    let host = match config.server.advertise.get() {
        Some(advertised) if at.is_unspecified() => advertised.host(),
        _ => at.host(),
    };
    Endpoint::new(host, listener.local_addr().port())
}

fn asynchronous(config: &Common, cores: &Cores, security: &Security) -> Option<Asynchronous> {
    let queue = Queue::new(
        config.asynchronous.max_queued,
        config.asynchronous.max_queued_bytes,
    );
    let companion = config.asynchronous.companion.get();
    config.takes_callbacks().then(|| Asynchronous {
        companion: companion.map(|router| Companion::new(router.clone(), cores, security)),
        queue,
        joins: Joins::new(config.asynchronous.join_deadline),
        tasks: TaskTracker::new(),
        core: cores.all()[0].clone(),
        deadline: config.asynchronous.deadline,
    })
}

async fn expire_joins<E: Executor>(service: Arc<Service<E>>) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        service.expire_joins().await;
    }
}

/// What the page `/state` shows.
#[derive(Debug, Serialize)]
struct StatePage {
    endpoint: String,
    #[serde(flatten)]
    platform: Snapshot,
    states: usize,
    state_bytes: usize,
}

async fn start_admin<E: Executor>(
    mut admin: Admin,
    config: &Common,
    service: &Arc<Service<E>>,
    store: &Arc<StateStore>,
) -> Result<(Option<RunningAdmin>, edge_daemon::admin::Readiness), AdminError> {
    service.metrics.register(admin.metrics());
    let collector = PlatformCollector(service.clone());
    admin.metrics().register_collector(Box::new(collector));
    let (shown, store) = (service.clone(), store.clone());
    admin.json("/state", move || {
        let (states, state_bytes) = store.usage();
        StatePage {
            endpoint: shown.endpoint.to_string(),
            platform: shown.executor.snapshot(),
            states,
            state_bytes,
        }
    });
    let readiness = admin.readiness();
    let running = admin
        .start_or_go_without(&config.admin.0, ADMIN_PORT)
        .await?;
    Ok((running, readiness))
}
