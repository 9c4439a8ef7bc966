//! The processes of a cell: computers, and a router with routes to all of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use edge_proto::rpc::EdgeRouterConf;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_transport::{Endpoint, control};
use tempfile::TempDir;

use super::platform::{self, Capacity};
use crate::bench::page;
use crate::bench::process::Process;

/// How long the router may take to learn a route.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that runs; it ends with this.
#[derive(Debug)]
pub(super) struct Site {
    router: Process,
    /// Where requests are taken.
    pub(super) endpoint: Endpoint,
    admin: Endpoint,
    computers: Vec<Process>,
    /// Holds the files of all processes as long as they run.
    _folder: TempDir,
}

/// What the router has counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Books {
    /// Requests that it took, those that are in flight included.
    pub(super) requests: u64,
    /// Requests that it has taken and not answered.
    pub(super) in_flight: u64,
    /// Those of them that are at computers.
    pub(super) at_computers: u64,
    /// Attempts beyond the first of a request, whether it failed or was turned down.
    pub(super) repeats: u64,
    /// CPU time of the router.
    pub(super) cpu: Duration,
    /// CPU time of the computers.
    pub(super) computers_cpu: Duration,
}

impl Site {
    /// Starts them all, and tells the router of the computers.
    pub(super) async fn start(
        capacity: &Capacity,
        lambdas: &[&str],
        configuration: &serde_json::Value,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let own = std::env::current_exe().context("cannot find this program")?;
        let platform = folder.path().join("platform.json");
        platform::write(&platform, capacity, lambdas)?;
        let mut computers = Vec::new();
        for _ in 0..capacity.computers {
            computers.push(start_computer(&own, &platform).await.context("computer")?);
        }
        let conf = folder.path().join("router.json");
        std::fs::write(&conf, configuration.to_string())
            .with_context(|| format!("cannot write {}", conf.display()))?;
        let arguments = ["overload-router".to_owned(), flag("conf", conf.display())];
        let router = start(&own, arguments.into()).await.context("router")?;
        let [endpoint, tables, admin] = addresses(&router.greeting)?;
        for computer in &computers {
            announce(&tables, lambdas, &computer.greeting).await?;
        }
        Ok(Self {
            router,
            endpoint,
            admin,
            computers,
            _folder: folder,
        })
    }

    /// Resident memory of the router, in kilobytes.
    pub(super) fn rss_kb(&self) -> anyhow::Result<u64> {
        self.router.rss_kb()
    }

    /// What the router has counted so far.
    pub(super) async fn books(&self) -> anyhow::Result<Books> {
        let text = page::read(&self.admin, "/metrics").await?;
        let count = |name| page::total(&text, name);
        let in_flight = count("edge_router_in_flight")?;
        Ok(Books {
            requests: count("edge_router_requests_total")? + in_flight,
            in_flight,
            at_computers: count("edge_destination_in_flight")?,
            repeats: count("edge_router_retries_total")? + count("edge_router_refusals_total")?,
            cpu: self.router.cpu()?,
            computers_cpu: self
                .computers
                .iter()
                .map(Process::cpu)
                .sum::<Result<_, _>>()?,
        })
    }
}

async fn start_computer(own: &Path, platform: &Path) -> anyhow::Result<Process> {
    let arguments = [
        "bench-computer".to_owned(),
        flag("endpoint", "127.0.0.1:0"),
        flag("platform", platform.display()),
    ];
    start(own, arguments.into()).await
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

async fn start(own: &Path, arguments: Vec<String>) -> anyhow::Result<Process> {
    let own: PathBuf = own.to_owned();
    tokio::task::spawn_blocking(move || Process::start(&own, &arguments, "", false)).await?
}

/// Where the router says that it is: lambda, table and admin address.
fn addresses(greeting: &str) -> anyhow::Result<[Endpoint; 3]> {
    let found: Result<Vec<Endpoint>, _> = greeting.split_whitespace().map(str::parse).collect();
    <[Endpoint; 3]>::try_from(found?)
        .map_err(|_| anyhow::anyhow!("'{greeting}' is not lambda, table and admin address"))
}

async fn announce(tables: &Endpoint, lambdas: &[&str], computer: &str) -> anyhow::Result<()> {
    let mut client = EdgeRouterClient::new(control::channel(tables, None, PATIENCE));
    for lambda in lambdas {
        let change = EdgeRouterConf {
            action: Action::Change as i32,
            lambda: (*lambda).to_owned(),
            destination: computer.to_owned(),
            weight: 1.0,
            r#final: true,
            ..EdgeRouterConf::default()
        };
        let done = client.configure(change).await?.into_inner();
        anyhow::ensure!(done.msg == "OK", "the route was refused: {}", done.msg);
    }
    Ok(())
}
