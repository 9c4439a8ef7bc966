//! A running Mx2 server: bound first, then served, stopped gracefully or at once.

mod start_error;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_daemon::admin::{Admin, Readiness, RunningAdmin};
use edge_proto::etsimec::ue_app_lcm_proxy_server::{self, UeAppLcmProxyServer};
use edge_proto::mx2::mx2_server::{self, Mx2Server};
use edge_transport::tls::TlsFiles;
use edge_transport::{Cores, Endpoint, Listener, ServerHandle, services};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::start_error::StartError;
use crate::api::serve::Serving;
use crate::api::{self, Api, Identity};
use crate::auth::{Door, Keys, Tokens};
use crate::book::{Ages, Bounds};
use crate::config::{ADMIN_PORT, Config};
use crate::grpc::Management;
use crate::metrics::Metrics;
use crate::model::{AppInfo, Problem};
use crate::notify::{Notifier, Settings, Targets};
use crate::root::ApiRoot;
use crate::routes_file::read_routes;
use crate::state::Mx2;

/// Threads for connections and deliveries.
const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
/// How often contexts are looked at that may be kept no longer.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Contexts that `/state` shows.
const SHOWN: usize = 1000;

/// The server; see the documentation of the crate.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping it does not stop it.
#[derive(Debug)]
pub struct Handle {
    state: Mx2,
    root: ApiRoot,
    serving: Serving,
    management: ServerHandle,
    admin: Option<RunningAdmin>,
    readiness: Readiness,
    health: services::Health,
    sweeping: CancellationToken,
    cores: Arc<Cores>,
}

impl Server {
    /// Starts a server, which serves when this returns. Threads are its own; only the admin
    /// endpoint runs on the current tokio runtime.
    ///
    /// # Errors
    /// If the configuration or a file cannot be used, or a port cannot be had; then nothing
    /// keeps running.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.check()?;
        let api_tls = api::server_tls(config.tls.api)?;
        let control_tls = if config.tls.control {
            Some(TlsFiles::from_environment()?.server_config()?)
        } else {
            None
        };
        let notifications = &config.notifications;
        let identity = notifications
            .certificate
            .clone()
            .zip(notifications.key.clone());
        let identity = identity.map(|(certificate, key)| Identity { certificate, key });
        let callback_tls = api::client_tls(notifications.ca_file.as_deref(), identity.as_ref())?;
        let tokens = config
            .auth
            .tokens_file
            .as_deref()
            .map(Tokens::read)
            .transpose()?;
        let (issuer, audience) = (&config.auth.issuer, &config.auth.audience);
        let read_keys = |path| Keys::read(path, issuer.as_deref(), audience.as_deref());
        let keys = config
            .auth
            .jwks_file
            .as_deref()
            .map(read_keys)
            .transpose()?;
        let door = Door {
            tokens,
            keys,
            trusted_proxies: config.auth.trusted_proxies.clone(),
        };
        let contents = Contents::read(&config)?;
        let listener = Listener::bind(&config.server.endpoint)?;
        let socket = listen(config.api.root.endpoint())?;
        let address = socket.local_addr().map_err(|source| StartError::Api {
            endpoint: config.api.root.endpoint().clone(),
            source,
        })?;
        if !door.asks_for_tokens() && api_tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "whoever reaches the interface may use it: neither tokens nor certificates are asked for");
        }
        if control_tls.is_none() && !listener.local_addr().ip().is_loopback() {
            tracing::warn!(address = %listener.local_addr(), "whoever reaches the management may use it: tls.control is off");
        }

        let count = Cores::available().min(MAX_THREADS);
        let cores = Arc::new(Cores::start("mx2", count).map_err(StartError::Threads)?);
        let metrics = Metrics::default();
        let notifier = Notifier::new(settings(&config, address, callback_tls), cores.clone());
        let opened = Mx2::open(
            bounds(&config),
            config.state.folder.as_deref(),
            config.state.sync,
            config.api.reference_scheme.clone(),
            notifier,
            metrics.clone(),
        );
        let state = match opened {
            Ok(state) => state,
            Err(error) => {
                cores.join().await;
                return Err(error.into());
            }
        };
        let mut admin = Admin::new("ueapplcmproxy", env!("CARGO_PKG_VERSION"));
        metrics.register(admin.metrics());
        let shown = state.clone();
        admin.json("/state", move || State::of(&shown));
        let readiness = admin.readiness();
        let started = contents.add_to(&state);
        let admin = match started {
            Ok(()) => admin
                .start_or_go_without(&config.admin, ADMIN_PORT)
                .await
                .map_err(StartError::from),
            Err(error) => Err(error),
        };
        let admin = match admin {
            Ok(admin) => admin,
            Err(error) => {
                state.close();
                cores.join().await;
                return Err(error);
            }
        };
        state.revalidate();

        let root = config.api.root.with_port(address.port());
        let base = if root.endpoint().is_unspecified() {
            String::new()
        } else {
            let text = root.to_string();
            text.strip_suffix(root.path()).unwrap_or(&text).to_owned()
        };
        let api = Arc::new(Api {
            state: state.clone(),
            door,
            max_body_bytes: config.api.max_body_bytes,
            strict: config.api.strict,
            wrapped: config.api.wrapped,
            base,
            prefix: root.path().to_owned(),
        });
        let max_connections = config.api.max_connections;
        let serving = Serving::start(socket, api::router(api), api_tls, max_connections, &cores);
        let (health, routes) = services::healthy(&[
            ue_app_lcm_proxy_server::SERVICE_NAME,
            mx2_server::SERVICE_NAME,
        ])
        .await;
        let routes = routes
            .add_service(UeAppLcmProxyServer::new(Management(state.clone())))
            .add_service(Mx2Server::new(Management(state.clone())));
        let management = edge_transport::Server::new(routes)
            .with_tls(control_tls)
            .serve(listener, &cores);
        let sweeping = CancellationToken::new();
        let sweeps = sweep(state.clone(), ages(&config));
        let sweeps = sweeping.clone().run_until_cancelled_owned(sweeps);
        cores.all()[0].spawn(async move {
            sweeps.await;
        });
        readiness.ready();
        tracing::info!(%root, management = %management.local_addr(), contexts = state.num_contexts(), "Mx2 listens");
        Ok(Handle {
            state,
            root,
            serving,
            management,
            admin,
            readiness,
            health,
            sweeping,
            cores,
        })
    }
}

impl Handle {
    /// The state, to manage it from within the process.
    pub fn state(&self) -> &Mx2 {
        &self.state
    }

    /// Where device applications ask, with the port that was picked.
    pub fn root(&self) -> &ApiRoot {
        &self.root
    }

    /// Where the management listens, with the port that was picked.
    pub fn management_address(&self) -> SocketAddr {
        self.management.local_addr()
    }

    /// Where the admin endpoint listens; `None` if it is off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(RunningAdmin::address)
    }

    /// Stops accepting requests, finishes those in flight and delivers what device
    /// applications have yet to be told, all within `patience`. Returns true if nothing was
    /// cut off; notifications that nobody takes do not count.
    pub async fn shutdown(self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.readiness.not_ready("shutting down");
        self.health.leave().await;
        let (served, managed) = tokio::join!(
            self.serving.drain(patience),
            self.management.drain(patience)
        );
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.state.notifier().finish(left).await {
            tracing::warn!("not all notifications were taken in time");
        }
        self.end().await;
        served && managed
    }

    /// Ends at once, resetting all connections: what the peers of a process that dies see.
    pub async fn kill(self) {
        tokio::join!(self.serving.kill(), self.management.kill());
        self.state.notifier().finish(Duration::ZERO).await;
        self.end().await;
    }

    async fn end(self) {
        self.sweeping.cancel();
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
        self.state.close();
        self.cores.join().await;
    }
}

/// What is there from the start.
struct Contents {
    apps: Vec<(String, AppInfo)>,
    routes: Vec<crate::book::Route>,
}

impl Contents {
    fn read(config: &Config) -> Result<Self, StartError> {
        let mut apps = Vec::new();
        if let Some(path) = &config.routes.applications {
            let what = path.display().to_string();
            let text = std::fs::read(path).map_err(|source| StartError::Unreadable {
                what: what.clone(),
                source,
            })?;
            let read = AppInfo::read_list(&text).map_err(|source| StartError::Catalogue {
                what: what.clone(),
                source,
            })?;
            apps.extend(read.into_iter().map(|app| (what.clone(), app)));
        }
        let mut routes = Vec::new();
        if let Some(path) = &config.routes.file {
            let what = path.display().to_string();
            routes = read_routes(path)?;
            for route in &routes {
                // An application of the list may be reached there.
                if apps.iter().any(|(_, app)| app.name == route.app) {
                    continue;
                }
                let app = AppInfo::lambda(&route.app).ok_or_else(|| StartError::Catalogue {
                    what: what.clone(),
                    source: Problem::malformed(format!(
                        "`{}` is too long for the name of an application",
                        route.app
                    )),
                })?;
                apps.push((what.clone(), app));
            }
        }
        Ok(Self { apps, routes })
    }

    fn add_to(self, state: &Mx2) -> Result<(), StartError> {
        for (what, app) in self.apps {
            state
                .add_app(app)
                .map_err(|source| StartError::Catalogue { what, source })?;
        }
        for route in self.routes {
            let associated = state.associate(&route.client, &route.app, route.reference.as_str());
            associated.map_err(|error| StartError::Catalogue {
                what: "routes".to_owned(),
                source: Problem::malformed(error.to_string()),
            })?;
        }
        Ok(())
    }
}

fn bounds(config: &Config) -> Bounds {
    Bounds {
        contexts: config.contexts.max,
        bytes: config.contexts.max_bytes,
        contexts_per_owner: config.contexts.max_per_owner,
        queue: config.notifications.queue,
    }
}

fn ages(config: &Config) -> Ages {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ages {
        unserved_ms: ms(config.contexts.unserved),
        unreachable_ms: ms(config.contexts.unreachable),
        idle_ms: ms(config.contexts.idle),
    }
}

fn settings(config: &Config, address: SocketAddr, tls: Arc<rustls::ClientConfig>) -> Settings {
    let notifications = &config.notifications;
    Settings {
        timeout: notifications.timeout,
        attempts: notifications.attempts,
        first_retry: notifications.first_retry,
        last_retry: notifications.last_retry,
        targets: Targets {
            loopback: address.ip().is_loopback(),
            allow: notifications.allow.clone(),
        },
        tls,
    }
}

/// Binds exclusively.
fn listen(endpoint: &Endpoint) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Api {
        endpoint: endpoint.clone(),
        source,
    };
    let addresses = endpoint.to_socket_addrs().map_err(failed)?;
    let socket = TcpListener::bind(addresses.as_slice()).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    Ok(socket)
}

async fn sweep(state: Mx2, ages: Ages) {
    loop {
        state.sweep(ages);
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// What `/state` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct State {
    applications: Vec<ApplicationState>,
    routes: usize,
    contexts: usize,
    /// The first of them.
    shown: Vec<ContextState>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ApplicationState {
    name: String,
    provider: String,
    version: String,
    latency_ms: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ContextState {
    id: String,
    device_app: String,
    address: String,
    application: String,
    endpoint: String,
    state: &'static str,
    last_error: String,
}

impl State {
    fn of(state: &Mx2) -> Self {
        let contexts = state.contexts();
        let apps = state
            .apps()
            .into_iter()
            .map(|(app, latency_ms)| ApplicationState {
                name: app.name,
                provider: app.provider,
                version: app.soft_version,
                latency_ms,
            });
        let shown = contexts.iter().take(SHOWN).map(|context| ContextState {
            id: context.id.to_string(),
            device_app: context.device_app.to_string(),
            address: context.address.to_string(),
            application: context.app.to_string(),
            endpoint: context.endpoint.to_string(),
            state: context.state,
            last_error: context.last_error.to_string(),
        });
        Self {
            applications: apps.collect(),
            routes: state.routes().len(),
            contexts: contexts.len(),
            shown: shown.collect(),
        }
    }
}
