//! A running controller: bound first, then served, stopped gracefully or at once.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_daemon::admin::{Admin, AdminError, Readiness, RunningAdmin};
use edge_proto::rpc::edge_controller_server;
use edge_transport::tls::TlsError;
use edge_transport::{BindError, Cores, Limits, Listener, Seldom, Server, ServerHandle, services};

use crate::config::{ADMIN_PORT, Config, InvalidConfig};
use crate::etsi::Etsi;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::service::{Served, Service};
use crate::watch;

/// Connections accepted at the same time: peers keep theirs between renewals.
const MAX_CONNECTIONS: usize = 150_000;

/// Announcements are few; more threads only help where very many routers have
/// to be told.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// The controller; see the documentation of the crate.
#[derive(Debug)]
pub struct Controller;

/// A running controller. Dropping it does not stop it.
#[derive(Debug)]
pub struct Handle {
    fleet: Arc<Fleet>,
    server: ServerHandle,
    admin: Option<RunningAdmin>,
    readiness: Readiness,
    health: services::Health,
    etsi: Etsi,
    cores: Arc<Cores>,
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin port cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The proxy for device applications does not start.
    #[error("cannot serve device applications")]
    Etsi(#[from] Box<mec_mx2::StartError>),
    /// The system has no threads left.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
}

impl StartError {
    /// Whether the configuration is to blame, or a file that it names.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) | Self::Tls(_) => true,
            Self::Etsi(error) => error.is_configuration(),
            Self::Bind(_) | Self::Admin(_) | Self::Threads(_) => false,
        }
    }
}

impl Controller {
    /// Starts a controller, which serves when this returns. Threads are its
    /// own; only the admin endpoint runs on the current tokio runtime.
    ///
    /// # Errors
    /// If the configuration cannot be used or a port cannot be had; then
    /// nothing keeps running.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.check()?;
        let (server_tls, client_tls) = config.tls.load()?.unzip();
        let listener = Listener::bind(&config.server.endpoint)?;

        let count = Cores::available().min(MAX_THREADS);
        let cores = Cores::start("controller", count).map_err(StartError::Threads)?;
        let cores = Arc::new(cores);
        let metrics = Metrics::default();
        let mut admin = Admin::new("edgecontroller", env!("CARGO_PKG_VERSION"));
        metrics.register(admin.metrics());
        let fleet = Fleet::new(&config, client_tls.clone(), metrics, cores.clone());
        let fleet = Arc::new(fleet);
        let shown = fleet.clone();
        admin.json("/state", move || shown.state());
        let readiness = admin.readiness();
        let admin = match admin.start_or_go_without(&config.admin, ADMIN_PORT).await {
            Ok(admin) => admin,
            Err(error) => {
                cores.join().await;
                return Err(error.into());
            }
        };

        let etsi = match Etsi::start(&config, &fleet, client_tls).await {
            Ok(etsi) => etsi,
            Err(error) => {
                if let Some(admin) = admin {
                    admin.stop().await;
                }
                cores.join().await;
                return Err(Box::new(error).into());
            }
        };

        let service = Service {
            fleet: fleet.clone(),
            refused: Seldom::default(),
        };
        let service = Served(Arc::new(service));
        let (health, routes) = services::healthy(&[edge_controller_server::SERVICE_NAME]).await;
        let limits = Limits {
            max_connections: MAX_CONNECTIONS,
            ..Limits::default()
        };
        fleet.spawn(watch::leases(fleet.clone()));
        fleet.spawn(watch::probes(fleet.clone()));
        let server = Server::new(routes.add_service(service))
            .with_tls(server_tls)
            .with_limits(limits)
            .serve(listener, &cores);
        readiness.ready();
        tracing::info!(address = %server.local_addr(), "controller listens");
        Ok(Handle {
            fleet,
            server,
            admin,
            readiness,
            health,
            etsi,
            cores,
        })
    }
}

impl Handle {
    /// Where the controller listens, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where the admin endpoint listens; `None` if it is off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(RunningAdmin::address)
    }

    /// Where device applications ask, if this process serves them.
    pub fn etsi_root(&self) -> Option<&mec_mx2::ApiRoot> {
        self.etsi.root()
    }

    /// Where the proxy for device applications is managed, if it is in this process.
    pub fn etsi_management_address(&self) -> Option<SocketAddr> {
        self.etsi.management_address()
    }

    /// Stops accepting announcements, finishes those in flight and tells the
    /// routers what is left to tell, all within `patience`. Returns true if
    /// nothing was cut off; routers that do not answer do not count.
    pub async fn shutdown(self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.readiness.not_ready("shutting down");
        self.health.leave().await;
        let drained = self.server.drain(patience).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let told = self.fleet.finish(left).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let served = self.etsi.shutdown(left).await;
        end(self.admin, &self.cores).await;
        drained && told && served
    }

    /// Ends at once, resetting all connections: what the peers of a process
    /// that dies see.
    pub async fn kill(self) {
        self.server.kill().await;
        self.fleet.stop().await;
        self.etsi.kill().await;
        end(self.admin, &self.cores).await;
    }
}

async fn end(admin: Option<RunningAdmin>, cores: &Cores) {
    if let Some(admin) = admin {
        admin.stop().await;
    }
    cores.join().await;
}
