//! The processes of one scenario: computers, some of them behind proxies, routers, a controller.

mod computer;
mod router;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_transport::Endpoint;
use rustix::process::Signal;
use tempfile::TempDir;

pub(super) use self::computer::Computer;
pub(super) use self::router::{Router, Totals};
use super::journal::Account;
use crate::bench::ports;
use crate::bench::process::Process;

/// Longest time that starting or ending anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) computers: usize,
    pub(super) routers: usize,
    /// So many computers, the first ones, are behind proxies.
    pub(super) proxied: usize,
    /// A controller fills the tables, rather than we do.
    pub(super) controlled: bool,
    /// Requests that a computer executes at the same time.
    pub(super) workers: u32,
    /// How long it takes for one.
    pub(super) service: Duration,
}

/// Everything that runs.
#[derive(Debug)]
pub(super) struct World {
    pub(super) computers: Vec<Computer>,
    pub(super) routers: Vec<Router>,
    pub(super) controller: Option<Controller>,
    /// Holds the journals.
    _folder: TempDir,
}

impl World {
    /// Starts everything, and waits until the routers know all computers.
    pub(super) async fn start(shape: &Shape) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut controller = None;
        if shape.controlled {
            controller = Some(Controller::start().await?);
        }
        let at = controller.as_ref().map(|c: &Controller| c.endpoint.clone());
        let mut computers = Vec::new();
        for number in 0..shape.computers {
            let journal = folder.path().join(format!("journal{number}"));
            let proxied = number < shape.proxied;
            computers.push(Computer::start(shape, &journal, proxied, at.as_ref()).await?);
        }
        let known: Vec<_> = computers.iter().map(|c| c.route().clone()).collect();
        let mut routers = Vec::new();
        for _ in 0..shape.routers {
            routers.push(Router::start(&known, at.as_ref()).await?);
        }
        Ok(Self {
            computers,
            routers,
            controller,
            _folder: folder,
        })
    }

    /// What all journals say.
    pub(super) fn account(&self) -> anyhow::Result<Account> {
        let mut account = Account::default();
        for computer in &self.computers {
            account.add(computer.journal())?;
        }
        Ok(account)
    }

    /// What all routers have counted, since each was started last.
    pub(super) async fn totals(&self) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        for router in &self.routers {
            totals += router.totals().await?;
        }
        Ok(totals)
    }
}

/// The controller.
#[derive(Debug)]
pub(super) struct Controller {
    endpoint: Endpoint,
    process: Process,
}

impl Controller {
    async fn start() -> anyhow::Result<Self> {
        let endpoint = ports::reserve()?;
        let process = Self::launch(&endpoint).await?;
        Ok(Self { endpoint, process })
    }

    async fn launch(endpoint: &Endpoint) -> anyhow::Result<Process> {
        let arguments = vec![
            "chaos-controller".to_owned(),
            format!("--endpoint={endpoint}"),
        ];
        launch(arguments).await.context("controller")
    }

    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = Self::launch(&self.endpoint).await?;
        Ok(())
    }
}

/// Starts this program with other arguments, and waits until it is ready.
async fn launch(arguments: Vec<String>) -> anyhow::Result<Process> {
    let own: PathBuf = std::env::current_exe().context("cannot find this program")?;
    let starting = tokio::task::spawn_blocking(move || Process::start(&own, &arguments, "", false));
    starting.await?
}

/// Asks `process` to end, and waits until it has.
async fn end(process: &mut Process) -> anyhow::Result<()> {
    process.signal(Signal::TERM)?;
    let deadline = Instant::now() + PATIENCE;
    while !process.has_ended()? {
        anyhow::ensure!(Instant::now() < deadline, "it does not end");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// As an argument.
fn option(name: &str, value: Option<&Endpoint>) -> Option<String> {
    value.map(|value| format!("--{name}={value}"))
}

/// As an argument.
fn path(name: &str, value: &Path) -> String {
    format!("--{name}={}", value.display())
}
