//! The admin endpoint: metrics, health and version of a process over HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | the metrics in the OpenMetrics text format, which Prometheus reads |
//! | `/healthz` | 200 as long as the process runs |
//! | `/readyz` | 200 when it serves, else 503 with the reason |
//! | `/version` | name and version as JSON |
//!
//! Programs add metrics to [`Admin::metrics`] and pages with [`Admin::json`] and
//! [`Admin::route`]. Anything else is a 404 that lists what there is.

mod counts;
mod endpoint;
mod readiness;
mod routes;
mod server;

use std::{io, net::SocketAddr};

use axum::{Router, routing::MethodRouter};
use prometheus_client::{metrics::info::Info, registry::Registry};
use serde::{Deserialize, Serialize};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use endpoint::{AdminEndpoint, InvalidAdminEndpoint};
pub use readiness::Readiness;
pub use routes::{json_page, json_response};

/// The section `admin` of every configuration. Each program has its own default, see
/// [`AdminConfig::on_port`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdminConfig {
    /// Where to listen; off by default.
    pub endpoint: AdminEndpoint,
}

impl AdminConfig {
    /// Listening on a port of the loopback address.
    pub fn on_port(port: u16) -> Self {
        Self {
            endpoint: AdminEndpoint::loopback(port),
        }
    }
}

/// The admin endpoint does not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint} for the admin endpoint")]
pub struct AdminError {
    /// The address as it was configured.
    pub endpoint: AdminEndpoint,
    /// Why.
    pub source: io::Error,
}

/// An admin endpoint before it starts: what it will show.
#[derive(Debug)]
pub struct Admin {
    metrics: Registry,
    readiness: Readiness,
    router: Router,
    paths: Vec<String>,
}

impl Admin {
    /// The endpoint of the program of this name and version, not ready yet.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        let mut metrics = Registry::default();
        let info = Info::new([("program", name), ("version", version)]);
        metrics.register("edge_build", "The program that answers", info);
        let readiness = Readiness::default();
        let mut admin = Self {
            metrics,
            readiness: readiness.clone(),
            router: Router::new(),
            paths: vec!["/metrics".to_owned()],
        };
        admin.route("/healthz", routes::healthz());
        admin.route("/readyz", routes::readyz(readiness));
        admin.json("/version", move || routes::Version { name, version });
        admin
    }

    /// The registry, to which the program adds its metrics and collectors.
    pub fn metrics(&mut self) -> &mut Registry {
        &mut self.metrics
    }

    /// Adds counters that somebody else counts: `read` tells their names, without the suffix
    /// `_total`, what each is about, and how many so far; always the same ones.
    pub fn counters<C>(&mut self, read: impl Fn() -> C + Send + Sync + 'static)
    where
        C: IntoIterator<Item = (&'static str, &'static str, u64)> + 'static,
    {
        let counts = counts::Counts(move || read().into_iter().collect::<Vec<_>>());
        self.metrics.register_collector(Box::new(counts));
    }

    /// The handle that says whether the process is ready.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Adds a page that shows a snapshot as JSON, made as [`json_page`] makes it.
    ///
    /// # Panics
    /// There is a page at `path` already, or it does not begin with `/`.
    pub fn json<T: Serialize>(
        &mut self,
        path: &str,
        snapshot: impl Fn() -> T + Clone + Send + Sync + 'static,
    ) {
        self.route(path, axum::routing::get(move || json_page(snapshot)));
    }

    /// Adds a page of any kind. Requests with a body are refused before they get there.
    ///
    /// # Panics
    /// There is a page at `path` already, or it does not begin with `/`.
    pub fn route(&mut self, path: &str, page: MethodRouter) {
        self.paths.push(path.to_owned());
        self.router = std::mem::take(&mut self.router).route(path, page);
    }

    /// As [`Self::start`], but goes without if the address is the program's own default,
    /// on `default_port`, and taken: so that a second process of a kind runs beside the
    /// first without further ado. An address that somebody chose must be had.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start_or_go_without(
        self,
        config: &AdminConfig,
        default_port: u16,
    ) -> Result<Option<RunningAdmin>, AdminError> {
        match self.start(config).await {
            Err(AdminError { endpoint, source })
                if source.kind() == io::ErrorKind::AddrInUse
                    && *config == AdminConfig::on_port(default_port) =>
            {
                tracing::warn!(
                    %endpoint,
                    "no admin endpoint: its default address is taken; choose another with --admin-endpoint"
                );
                Ok(None)
            }
            started => started,
        }
    }

    /// Listens and serves on the current tokio runtime; `None` if the endpoint is off.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(self, config: &AdminConfig) -> Result<Option<RunningAdmin>, AdminError> {
        let failed = |source| AdminError {
            endpoint: config.endpoint.clone(),
            source,
        };
        let Some(listener) = config.endpoint.listen().await else {
            return Ok(None);
        };
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = self.router.route("/metrics", routes::metrics(self.metrics));
        let router = routes::with_limits(routes::with_fallbacks(router, &self.paths));
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let serving = server::serve(listener, router, stop.clone(), tasks.clone());
        tasks.spawn(serving);
        tasks.close();
        tracing::info!(%address, "admin endpoint listens");
        Ok(Some(RunningAdmin {
            address,
            tasks,
            stop: stop.drop_guard(),
        }))
    }
}

/// An admin endpoint that serves until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningAdmin {
    address: SocketAddr,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl RunningAdmin {
    /// The address it listens on, with the port that was chosen if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and waits for the answers under way.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}
