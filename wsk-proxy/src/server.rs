//! A running proxy: bound first, then served, stopped gracefully or at once.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edge_daemon::admin::{Admin, AdminError, Readiness, RunningAdmin};
use edge_transport::tls::{TlsError, TlsFiles};
use edge_transport::{ClientOptions, Cores, Endpoint, LambdaClient, Limits, Seldom, quic};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::activation::now_ms;
use crate::archive::Archive;
use crate::auth::{self, Credentials, CredentialsError, Doorkeeper, Identity, Pair, Scopes};
use crate::background::Places;
use crate::config::{ADMIN_PORT, AROUND_RESULT, Config, InvalidConfig};
use crate::connections::Door;
use crate::journal::{Journal, JournalError, JournalThread, Line, Read};
use crate::lane::Lane;
use crate::metrics::Metrics;
use crate::names::{Known, Naming};
use crate::quota::Quotas;
use crate::registry::Registry;
use crate::reload;
use crate::repeats::Repeats;
use crate::rest::body;
use crate::routers::Routers;
use crate::shared::Shared;
use crate::store::{Fill, Store};
use crate::table::LiveTable;
use crate::timers::Timers;
use crate::tls::{self, HttpsError};

/// How often what is too old is let go of, gauges are set, and the clock goes on.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// The proxy; see the documentation of the crate.
#[derive(Debug)]
pub struct Proxy;

/// A running proxy. Dropping it does not stop it.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: Arc<Door>,
    journal: Option<JournalThread>,
    admin: Option<RunningAdmin>,
    readiness: Readiness,
    cores: Arc<Cores>,
    chores: Vec<AbortOnDropHandle<()>>,
}

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// HTTPS cannot be offered.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// Certificates or keys for the way to routers cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port cannot be had.
    #[error("could not bind to {endpoint}")]
    Bind {
        /// Where it was to listen.
        endpoint: Endpoint,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The admin port cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system has no threads left.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
}

impl StartError {
    /// Whether the configuration is to blame, or a file of credentials or certificates that it names.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config(_) | Self::Credentials(_) | Self::Https(_) | Self::Tls(_)
        )
    }
}

/// What the admin endpoint shows.
#[derive(Debug, Serialize)]
struct State {
    in_flight: usize,
    connections: usize,
    queued: usize,
    lambdas: usize,
    store: Fill,
    journal_lines_lost: u64,
}

/// What is left of a proxy before this one.
struct Recovered {
    journal: Option<(Journal, JournalThread)>,
    store: Store,
    registry: Registry,
    read: Read,
}

impl Proxy {
    /// Starts a proxy, which serves when this returns. Threads are its own; only the admin endpoint
    /// runs on the current tokio runtime.
    ///
    /// # Errors
    /// If the configuration cannot be used, or a port or a file cannot be had; then nothing keeps
    /// running.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.check()?;
        let doorkeeper = doorkeeper(&config)?;
        let files = (config.router.secure || config.tls.control)
            .then(TlsFiles::from_environment)
            .transpose()?;
        let client_tls = files.map(|files| files.client_config()).transpose()?;
        let https = match (&config.tls.certificate, &config.tls.key) {
            (Some(certificate), Some(key)) => {
                let client_ca = config.tls.client_ca.as_deref();
                Some(tls::server_config(certificate, key, client_ca)?)
            }
            _ => None,
        };
        let (listener, address) = bind(config.server.api_root.endpoint())?;
        let recovered = recover(&config)?;
        let threads = config
            .server
            .num_threads
            .and_then(|count| usize::try_from(count).ok());
        let count = threads
            .and_then(NonZeroUsize::new)
            .unwrap_or_else(Cores::available);
        let cores = Arc::new(Cores::start("wskproxy", count).map_err(StartError::Threads)?);

        let options = Arc::new(ClientOptions {
            quic: match &client_tls {
                Some(tls) => quic::Options {
                    tls: Some(tls.clone()),
                    ..quic::Options::default()
                },
                None => quic::Options::if_possible(),
            },
            tls: client_tls.clone().filter(|_| config.router.secure),
            limits: Limits {
                max_message_bytes: config.limits.max_result_bytes + AROUND_RESULT,
                ..Limits::default()
            },
            ..ClientOptions::default()
        });
        let table_tls = client_tls.filter(|_| config.tls.control);
        let (journal, journal_thread) = recovered.journal.unzip();
        let shared = Arc::new(Shared {
            naming: Naming {
                mode: config.names.mode,
                default: config.names.namespace.as_str().into(),
            },
            doorkeeper,
            quotas: Quotas::default(),
            table: LiveTable::new(config.table.clone()),
            registry: recovered.registry,
            archive: Archive {
                store: recovered.store,
                journal,
                max_result_bytes: config.store.max_result_bytes,
            },
            routers: Routers::new(&config.router),
            repeats: Repeats::new(config.idempotency.clone()),
            places: Places::new(config.invoke.max_queued, config.invoke.workers),
            metrics: Metrics::default(),
            room: Arc::new(Semaphore::new(config.limits.max_buffered_bytes)),
            unsent: Arc::new(Semaphore::new(config.limits.max_unsent_bytes)),
            unwanted: Arc::new(Semaphore::new(body::MOST_UNWANTED)),
            in_flight: AtomicUsize::new(0),
            clock: Arc::default(),
            connections: AtomicUsize::new(0),
            stopping: CancellationToken::new(),
            ending: AtomicBool::new(false),
            background: TaskTracker::new(),
            turned_away: Seldom::default(),
            config,
        });
        let (admin, readiness) = match admin(&shared).await {
            Ok(started) => started,
            Err(error) => {
                cores.join().await;
                return Err(error.into());
            }
        };
        let lanes: Vec<_> = cores
            .all()
            .iter()
            .map(|core| {
                Arc::new(Lane {
                    shared: shared.clone(),
                    core: core.clone(),
                    client: LambdaClient::new(core.clone(), options.clone()),
                    known: Known::default(),
                    timers: Timers::default(),
                })
            })
            .collect();
        resume(&lanes, recovered.read).await;
        let door = Arc::new(Door {
            lanes,
            tls: https,
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let first = &cores.all()[0];
        let mut chores = vec![first.spawn(tidy(shared.clone()))];
        if !shared.config.table.endpoints.as_slice().is_empty() {
            let reading = shared.clone();
            let keep_reading = async move { reading.table.keep_reading(table_tls).await };
            chores.push(first.spawn(keep_reading));
        }
        if let Some(path) = shared.config.auth.file.clone() {
            let (shared, mark) = (shared.clone(), reload::mark(&path));
            let watch = async move { reload::keep_reading(&shared, &path, mark).await };
            chores.push(first.spawn(watch));
        }
        first.spawn(door.tasks.track_future(door.clone().accept(listener)));
        readiness.ready();
        tracing::info!(%address, api_root = %shared.config.server.api_root, "proxy listens");
        Ok(Handle {
            address,
            shared,
            door,
            journal: journal_thread,
            admin,
            readiness,
            cores,
            chores: chores.into_iter().map(AbortOnDropHandle::new).collect(),
        })
    }
}

impl Handle {
    /// Where clients are served, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin endpoint listens; `None` if it is off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(RunningAdmin::address)
    }

    /// Takes no more connections, finishes what is in flight, invocations in the background
    /// included, and ends, all within `patience`; cuts off what is left then, and records that.
    /// What is in the journal and was not begun stays there. True if nothing was cut off.
    pub async fn shutdown(self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.readiness.not_ready("draining");
        self.shared.stopping.cancel();
        self.door.drain.cancel();
        self.door.tasks.close();
        let answered = timeout_at(deadline, self.door.tasks.wait()).await.is_ok();
        self.shared.background.close();
        let worked_off = timeout_at(deadline, self.shared.background.wait())
            .await
            .is_ok();
        self.end().await;
        answered && worked_off
    }

    /// Ends at once, as a process that dies does, except that the journal is written to its end.
    pub async fn kill(self) {
        self.shared.stopping.cancel();
        self.door.drain.cancel();
        self.end().await;
    }

    async fn end(self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        drop(self.chores);
        // What still runs is dropped with its core, and records that it was.
        self.cores.join().await;
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
        drop(self.door);
        drop(self.shared);
        if let Some(journal) = self.journal {
            journal.end().await;
        }
    }
}

fn bind(endpoint: &Endpoint) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = || -> std::io::Result<_> {
        // Sets SO_REUSEADDR, which lets a restarted process bind at once, and no more.
        let listener = TcpListener::bind(&endpoint.to_socket_addrs()?[..])?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|source| StartError::Bind {
        endpoint: endpoint.clone(),
        source,
    })
}

fn doorkeeper(config: &Config) -> Result<Doorkeeper, CredentialsError> {
    let usual = config.usual_allowance();
    let somebody = Identity {
        namespace: config.names.namespace.as_str().into(),
        scopes: Scopes::ALL,
        allowance: usual,
        anywhere: config.auth.open,
    };
    let credentials = match (&config.auth.file, Pair::parse(&config.auth.key)) {
        (Some(path), _) => auth::read(path, usual)?,
        (None, Some(pair)) => Credentials::only(&pair, somebody),
        (None, None) => return Ok(Doorkeeper::Open(somebody)),
    };
    Ok(Doorkeeper::Credentials(arc_swap::ArcSwap::from_pointee(
        credentials,
    )))
}

/// Reads the journal, if there is one.
fn recover(config: &Config) -> Result<Recovered, JournalError> {
    let store = Store::new(config.store.clone());
    let registry = Registry::default();
    let mut read = Read::default();
    let journal = match &config.store.journal {
        None => None,
        Some(path) => {
            let now = now_ms();
            let path: PathBuf = path.clone();
            let opened = Journal::open(path, &config.store, |line| match read.hear(line) {
                Some(Line::Ended(activation)) => store.insert(&activation, now),
                Some(line) => registry.restore(line),
                None => {}
            })?;
            Some(opened)
        }
    };
    Ok(Recovered {
        journal,
        store,
        registry,
        read,
    })
}

/// Goes on with what a proxy before this one had promised.
async fn resume(lanes: &[Arc<Lane>], read: Read) {
    let (waiting, begun) = read.finish();
    if !waiting.is_empty() || !begun.is_empty() {
        tracing::info!(
            resumed = waiting.len(),
            interrupted = begun.len(),
            "invocations of the process before this one"
        );
    }
    if let Some(lane) = lanes.first() {
        for accepted in begun {
            lane.shared.record_interrupted(accepted).await;
        }
    }
    for (accepted, lane) in waiting.into_iter().zip(lanes.iter().cycle()) {
        lane.resume(accepted);
    }
}

async fn admin(shared: &Arc<Shared>) -> Result<(Option<RunningAdmin>, Readiness), AdminError> {
    let mut admin = Admin::new("wskproxy", env!("CARGO_PKG_VERSION"));
    shared.metrics.register(admin.metrics());
    let shown = Arc::downgrade(shared);
    admin.json("/state", move || {
        shown.upgrade().map(|shared| shared.state())
    });
    let readiness = admin.readiness();
    let config = &shared.config.admin;
    let running = admin.start_or_go_without(config, ADMIN_PORT).await?;
    Ok((running, readiness))
}

/// Lets go of what is too old, and says how much there is.
async fn tidy(shared: Arc<Shared>) {
    loop {
        shared.clock.fetch_add(1, Ordering::Relaxed);
        shared.archive.store.expire(now_ms());
        shared.set_gauges();
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

impl Shared {
    fn state(&self) -> State {
        State {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            queued: self.places.taken(),
            lambdas: self.table.now().lambdas.len(),
            store: self.archive.store.fill(),
            journal_lines_lost: self.archive.journal.as_ref().map_or(0, Journal::lost),
        }
    }

    fn set_gauges(&self) {
        let state = self.state();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let metrics = &self.metrics;
        metrics.in_flight.set(number(state.in_flight));
        metrics.connections.set(number(state.connections));
        metrics.queued.set(number(state.queued));
        metrics.activations.set(number(state.store.activations));
        metrics.activation_bytes.set(number(state.store.bytes));
        metrics.lambdas.set(number(state.lambdas));
        let lost = i64::try_from(state.journal_lines_lost).unwrap_or(i64::MAX);
        metrics.lost_lines.set(lost);
    }
}
