//! A router from start to stop.

mod chores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use edge_balance::{Nanos, RouteChange, TableError};
use edge_daemon::admin::{Admin, AdminError, RunningAdmin, json_page};
use edge_daemon::lifecycle::generation;
use edge_proto::rpc::RouterInfo;
use edge_proto::rpc::edge_router_server::{self, EdgeRouterServer};
use edge_proto::rpc::edge_server_server;
use edge_transport::tls::TlsError;
use edge_transport::{
    BindError, ClientOptions, Cores, Endpoint, Listener, Server, ServerHandle, control, quic,
    services,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::announce::{LEASE, keep_announced};
use crate::clock::Clock;
use crate::config::{
    ADMIN_PORT, Config, DISPATCHER_ADMIN_PORT, EstimatorConfig, FakeConfig, NumThreads,
};
use crate::configure::Weights;
use crate::explain::{Decision, Decisions};
use crate::forward::Forwarder;
use crate::metrics::{Counters, RouterCollector};
use crate::status::{self, DestinationStatus};
use crate::table_service::TableService;
use crate::tables::Tables;
use crate::tls::Tls;
use crate::trace;

/// How long the end waits for the disk to take the last lines of a trace.
const TRACE_ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A router.
#[derive(Debug)]
pub struct Router;

/// Why a router could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured value is out of range.
    #[error("{key}: {problem}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin port cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// TLS is asked for and cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system refuses threads or sockets.
    #[error("cannot start the cores' threads")]
    Cores(#[source] std::io::Error),
    /// The file for predictions and measurements cannot be created.
    #[error("cannot write to {}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A made-up entry is not acceptable.
    #[error("cannot fill the table with made-up entries")]
    Fake(#[from] TableError),
}

impl Config {
    /// Checks what the types of the keys do not.
    ///
    /// # Errors
    /// The first key whose value is out of range.
    pub fn check(&self) -> Result<(), StartError> {
        let sections = [
            self.server.check(),
            self.optimizer.check(),
            self.router.check(),
            self.tables.check(),
            self.controller.check(),
            self.retry.check(),
            self.admission.check(),
            self.explain.check(),
            self.limits.check(),
            self.check_places(),
            self.fake.check(self.tables.max_entries),
        ];
        for checked in sections {
            checked.map_err(|(key, problem)| StartError::Config {
                key: key.to_owned(),
                problem,
            })?;
        }
        let invalid = |(key, problem)| StartError::Config { key, problem };
        self.table.check("table").map_err(invalid)?;
        for (lambda, policy) in self.exceptions() {
            policy
                .check(&format!("lambda.{lambda}.policy"))
                .map_err(invalid)?;
        }
        Ok(())
    }

    /// Checks that the certificates and keys that are asked for are there and can be used.
    ///
    /// # Errors
    /// The first file that is missing, or of no use.
    pub fn check_certificates(&self) -> Result<(), StartError> {
        Tls::load(self)?;
        Ok(())
    }
}

impl Router {
    /// Starts a router: all ports are bound before anything is announced. Dropping the future gives
    /// the start up.
    ///
    /// # Errors
    /// If the configuration is not acceptable, or something that it needs
    /// cannot be had.
    pub async fn start(config: Config) -> Result<RouterHandle, StartError> {
        Self::start_as(config, None).await
    }

    /// Starts a router or, with an estimator, a dispatcher, to which the policy and
    /// the optimizer of `config` mean nothing.
    pub(crate) async fn start_as(
        config: Config,
        estimator: Option<&EstimatorConfig>,
    ) -> Result<RouterHandle, StartError> {
        config.check()?;
        let (program, admin_port, weights) = match estimator {
            None => ("edgerouter", ADMIN_PORT, Weights::Costs),
            Some(_) => ("edgedispatcher", DISPATCHER_ADMIN_PORT, Weights::Ignored),
        };
        let listener = Listener::bind_for(&config.server.endpoint, config.server.transport)?;
        let table_listener = Listener::bind(&config.tables.endpoint)?;
        let tls = Tls::load(&config)?;

        let clock = Clock::start();
        let tables = match estimator {
            None => {
                let exceptions: Vec<_> = config
                    .exceptions()
                    .map(|(lambda, policy)| (lambda, policy.policy()))
                    .collect();
                Tables::new(
                    &config.table.policy(),
                    &exceptions,
                    &config.optimizer.config(),
                    config.admission.limits(),
                )
            }
            Some(estimator) => Tables::single(estimator.policy(), config.admission.limits()),
        };
        let has_controller = config.controller.endpoint.is_some();
        let tables = tables
            .with_max_entries(config.tables.max_entries)
            .with_controller(has_controller);
        let tables = Arc::new(tables);
        let trace = start_trace(estimator)?;
        preload(&tables, &config.fake, clock.now()).await?;
        let count = config
            .server
            .num_threads
            .map_or_else(Cores::available, NumThreads::get);
        let cores = Arc::new(Cores::start("router", count).map_err(StartError::Cores)?);
        let counters = Arc::new(Counters::new(count.get()));
        let limits = config.limits.limits();
        let options = Arc::new(ClientOptions {
            tls: tls.client.clone(),
            quic: tls.quic_client.clone(),
            limits: limits.clone(),
            ..ClientOptions::default()
        });
        let decisions = Arc::new(Decisions::new(&config.explain));
        let mut forwarder = Forwarder::new(
            &config,
            tables.clone(),
            clock,
            &cores,
            &options,
            counters.clone(),
            decisions.clone(),
        );
        if let Some(estimator) = estimator {
            let trace = trace.as_ref().map(trace::Writer::trace);
            forwarder = forwarder.with_estimator(estimator, trace);
        }
        let forwarder = Arc::new(forwarder);

        let quic_counters = Arc::new(quic::Counters::default());
        let mut admin = Admin::new(program, env!("CARGO_PKG_VERSION"));
        let collector = RouterCollector {
            counters: counters.clone(),
            tables: tables.clone(),
            admission: forwarder.admission().clone(),
        };
        admin.metrics().register_collector(Box::new(collector));
        let (taken, asked) = (quic_counters.clone(), tls.quic_client.counters.clone());
        admin.counters(move || taken.of_server());
        admin.counters(move || asked.of_client());
        let shown = tables.clone();
        admin.json("/destinations", move || status::destinations(&shown));
        let explained = decisions.clone();
        admin.json("/explain", move || explained.latest(None));
        let explained = decisions.clone();
        let of_request = move |Path(uuid): Path<String>| {
            let explained = explained.clone();
            json_page(move || explained.latest(Some(&uuid)))
        };
        admin.route("/explain/{uuid}", axum::routing::get(of_request));
        let readiness = admin.readiness();
        let admin = admin.start_or_go_without(&config.admin, admin_port).await?;

        let service = TableService {
            tables: tables.clone(),
            clock,
            weights,
            refused: Arc::default(),
        };
        let (tables_health, table_routes) =
            services::healthy(&[edge_router_server::SERVICE_NAME]).await;
        let (lambda_health, lambda_routes) =
            services::healthy(&[edge_server_server::SERVICE_NAME]).await;
        let table_routes = table_routes.add_service(EdgeRouterServer::new(service.clone()));
        let table_server = Server::new(table_routes)
            .with_lambda(Arc::new(service))
            .with_tls(tls.control_server)
            .with_limits(limits.clone())
            .serve(table_listener, &cores);
        let lambda_server = Server::new(lambda_routes)
            .with_lambda(forwarder.clone())
            .with_tls(tls.server)
            .with_quic(tls.quic_server, config.server.congestion)
            .with_quic_counters(quic_counters)
            .with_limits(limits)
            .serve(listener, &cores);
        readiness.ready();

        let (stop, drained) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        tasks.spawn(chores::tick(tables.clone(), clock, drained.clone()));
        tasks.spawn(chores::look_after(
            forwarder.admission().clone(),
            drained.clone(),
        ));
        for core in cores.all() {
            core.spawn(chores::watch(
                forwarder.clone(),
                core.index(),
                clock,
                drained.clone(),
            ));
        }
        tasks.spawn(chores::sweep(forwarder, stop.clone()));
        tasks.spawn(chores::inspect(tables.clone(), clock, drained.clone()));
        let handle = RouterHandle {
            lambda_server,
            table_server,
            admin,
            readiness,
            health: [lambda_health, tables_health],
            tables,
            counters,
            decisions,
            cores,
            trace,
            stop,
            drained,
            tasks,
        };
        handle.announce(&config, tls.control_client);
        Ok(handle)
    }
}

fn start_trace(estimator: Option<&EstimatorConfig>) -> Result<Option<trace::Writer>, StartError> {
    let Some((estimator, path)) = estimator.and_then(|e| Some((e, e.output()?))) else {
        return Ok(None);
    };
    match trace::start(path, estimator.policy()) {
        Ok(writer) => Ok(Some(writer)),
        Err(source) => Err(StartError::Trace {
            path: path.clone(),
            source,
        }),
    }
}

/// Entries that are made up at a time, before others have their turn: a start that takes long can be
/// given up.
const MADE_UP_AT_A_TIME: usize = 10_000;

async fn preload(tables: &Tables, fake: &FakeConfig, now: Nanos) -> Result<(), TableError> {
    let destinations: Vec<_> = (0..fake.num_destinations)
        .map(|number| format!("127.0.0.1:{number}"))
        .collect();
    let routes: Vec<_> = destinations
        .iter()
        .map(|destination| RouteChange {
            destination,
            weight: 1.0,
            is_final: true,
        })
        .collect();
    let at_a_time = (MADE_UP_AT_A_TIME / fake.num_destinations.max(1)).max(1);
    for first in (0..fake.num_lambdas).step_by(at_a_time) {
        let numbers = (first..fake.num_lambdas).take(at_a_time);
        let names: Vec<_> = numbers.map(|number| format!("lambda{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        tables.preload(&names, &routes, now)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// A running router.
#[derive(Debug)]
pub struct RouterHandle {
    lambda_server: ServerHandle,
    table_server: ServerHandle,
    admin: Option<RunningAdmin>,
    readiness: edge_daemon::admin::Readiness,
    /// Of both ports.
    health: [services::Health; 2],
    tables: Arc<Tables>,
    counters: Arc<Counters>,
    decisions: Arc<Decisions>,
    cores: Arc<Cores>,
    trace: Option<trace::Writer>,
    stop: CancellationToken,
    /// Ends what requests need that are in flight, or in line.
    drained: CancellationToken,
    tasks: TaskTracker,
}

impl RouterHandle {
    /// Where lambda requests are taken.
    pub fn lambda_address(&self) -> SocketAddr {
        self.lambda_server.local_addr()
    }

    /// Where the tables are served.
    pub fn table_address(&self) -> SocketAddr {
        self.table_server.local_addr()
    }

    /// Where metrics and health are served, if they are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(RunningAdmin::address)
    }

    /// The tables.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// The routes of the overall table and the state of their destinations.
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        status::destinations(&self.tables)
    }

    /// The latest decisions about sampled requests, newest first.
    pub fn decisions(&self) -> Vec<Arc<Decision>> {
        self.decisions.latest(None).0
    }

    /// Attempts that followed a failed one, of all requests so far.
    pub fn retries(&self) -> u64 {
        self.counters.retries()
    }

    /// Attempts that a destination turned down because of its queue, so far.
    pub fn refusals(&self) -> u64 {
        self.counters.refusals()
    }

    fn announce(&self, config: &Config, tls: Option<Arc<edge_transport::tls::ClientConfig>>) {
        /// Longest time of one announcement.
        const TIMEOUT: Duration = Duration::from_secs(2);
        let Some(controller) = &config.controller.endpoint else {
            return;
        };
        let scheme = config.server.transport.scheme();
        let lambda = Endpoint::new(config.server.endpoint.host(), self.lambda_address().port());
        let lambda = lambda.with_scheme(scheme).to_string();
        let tables = Endpoint::new(config.tables.endpoint.host(), self.table_address().port());
        let mut tables = tables.to_string();
        if let (Some(advertised), true) = (
            &config.server.advertise,
            config.tables.endpoint.is_unspecified(),
        ) {
            tables = Endpoint::new(advertised.host(), self.table_address().port()).to_string();
        }
        let info = RouterInfo {
            edge_server_endpoint: config
                .server
                .advertise
                .as_ref()
                .map_or(lambda, Endpoint::to_string),
            forwarding_table_endpoint: tables,
            lease_ms: u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX),
            generation: generation(),
        };
        let channel = control::channel(controller, tls, TIMEOUT);
        self.tasks
            .spawn(keep_announced(channel, info, self.stop.clone()));
    }

    /// Stops politely: takes nothing new, finishes what is in flight within
    /// `patience`. Returns true if nothing was cut off.
    pub async fn shutdown(self, patience: Duration) -> bool {
        self.readiness.not_ready("draining");
        for health in &self.health {
            health.leave().await;
        }
        self.stop.cancel();
        let (lambda, tables) = tokio::join!(
            self.lambda_server.drain(patience),
            self.table_server.drain(patience)
        );
        self.drained.cancel();
        self.end().await;
        lambda && tables
    }

    /// Ends at once, resetting all connections: what others see of a process
    /// that dies.
    pub async fn kill(self) {
        self.stop.cancel();
        self.drained.cancel();
        tokio::join!(self.lambda_server.kill(), self.table_server.kill());
        self.end().await;
    }

    async fn end(self) {
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
        self.cores.join().await;
        if let Some(trace) = self.trace {
            finish(trace).await;
        }
    }
}

/// Lets the trace be written to its end, unless the disk hangs.
async fn finish(trace: trace::Writer) {
    let (done, finished) = oneshot::channel();
    // Not one of the runtime's threads, for which its end would wait.
    let thread = std::thread::Builder::new().name("trace-end".into());
    let ending = thread.spawn(move || {
        trace.finish();
        // Nobody listens any more if it has taken too long.
        let _late = done.send(());
    });
    let ended = match ending {
        Ok(_) => tokio::time::timeout(TRACE_ENDS_WITHIN, finished).await,
        Err(error) => {
            tracing::warn!(%error, "the end of the trace may be missing");
            return;
        }
    };
    // Where the thread has panicked it has said so itself.
    if ended.is_err() {
        tracing::warn!("the end of the trace is missing: the disk does not take it");
    }
}
