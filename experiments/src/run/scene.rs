//! Programs on the nodes of a topology, and what their clients saw.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_transport::Endpoint;
use futures_util::future::try_join_all;
use tempfile::TempDir;

use super::client::{self, Seen};
use super::ground::{Carried, Ground};
use super::mode::Mode;
use crate::bench::certificates;
use crate::bench::process::Process;
use crate::bench::router::Tables;
use crate::fabric::doctor::Backend;
use crate::fabric::topology::{Node, Topology};
use crate::fabric::{Host, hosted};

/// The lambda of the published experiments.
pub(super) const LAMBDA: &str = "clambda0";

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) topology: Topology,
    pub(super) mode: Mode,
    /// Where computers are.
    pub(super) computers: Vec<Node>,
    /// Operations per second of a core of theirs; a byte of input takes 10,000.
    pub(super) speed: f64,
    /// Where routers are, each of which knows all computers.
    pub(super) routers: Vec<Node>,
    pub(super) clients: Vec<Client>,
    pub(super) load: Load,
    /// Decides what is lost.
    pub(super) seed: u64,
}

/// A program that asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) node: Node,
    /// The router or computer that it asks.
    pub(super) asks: Node,
    pub(super) seed: u64,
}

/// What each client does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Requests that it has in flight at the same time.
    pub(super) in_flight: usize,
    /// From one request to the next.
    pub(super) every: Duration,
    /// Bytes of input.
    pub(super) bytes: usize,
    /// What comes before is left out.
    pub(super) warm_up: Duration,
    /// How long requests are sent after that.
    pub(super) length: Duration,
}

/// Our programs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) computer: PathBuf,
    pub(super) router: PathBuf,
    pub(super) client: PathBuf,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Outcome {
    /// By client.
    pub(super) seen: Vec<Seen>,
    /// After the warm-up.
    pub(super) carried: Carried,
    /// How long that was.
    pub(super) window: Duration,
}

impl Scene {
    /// Starts the programs, lets the clients ask, and ends them all.
    pub(super) async fn play(
        &self,
        backend: Backend,
        programs: &Programs,
    ) -> anyhow::Result<Outcome> {
        let mut stage = self.set(backend, programs).await?;
        let mut asking = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            asking.push((number, *client, stage.way(*client, self.mode).await?));
        }
        let ground = &stage.ground;
        let folder = stage.folder.path();
        let clients = try_join_all(asking.iter().map(async |(number, client, place)| {
            let command = client::command(self, programs, *client, place, folder, *number)?;
            let output = ground.run(client.node, command).await?;
            client::seen(&output, &client::lines(folder, *number), self.load.warm_up)
        }));
        let looking = async {
            tokio::time::sleep(self.load.warm_up).await;
            (ground.carried(), Instant::now())
        };
        let (seen, (before, since)) = tokio::join!(clients, looking);
        let carried = ground.carried().since(&before);
        Ok(Outcome {
            seen: seen?,
            carried,
            window: since.elapsed(),
        })
    }

    /// Starts the programs but for the clients.
    pub(super) async fn set(&self, backend: Backend, programs: &Programs) -> anyhow::Result<Stage> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut inhabited = self.computers.clone();
        inhabited.extend(&self.routers);
        inhabited.extend(self.clients.iter().map(|client| client.node));
        inhabited.sort_unstable();
        inhabited.dedup();
        let ground = Ground::prepare(backend, self.topology.clone(), self.seed, &inhabited)?;
        if self.mode.is_secure() {
            certificates::write_for(folder.path(), ground.names(&inhabited)?)?;
        }
        let platform = folder.path().join("platform.json");
        write_platform(&platform, self.speed)?;
        let mut stage = Stage {
            processes: Vec::new(),
            ground,
            places: HashMap::new(),
            folder,
        };
        let mut computers = Vec::new();
        for node in &self.computers {
            let place = stage.computer(*node, self.mode, programs, &platform).await;
            computers.push((*node, place.context("edgecomputer")?));
        }
        stage.places.extend(computers.iter().cloned());
        for node in &self.routers {
            let started = stage.router(*node, self.mode, programs, &computers).await;
            // A router stands before the computer of its host.
            let place = started.context("edgerouter")?;
            stage.places.insert(*node, place);
        }
        Ok(stage)
    }
}

/// What runs while clients ask. Fields are dropped in this order: programs before their hosts.
#[derive(Debug)]
pub(super) struct Stage {
    processes: Vec<Process>,
    ground: Ground,
    /// Who can be asked where.
    places: HashMap<Node, Endpoint>,
    folder: TempDir,
}

impl Stage {
    /// Where a client has to send what is for whom it asks.
    pub(super) async fn way(&mut self, client: Client, mode: Mode) -> anyhow::Result<Endpoint> {
        let place = self.places.get(&client.asks).context("nobody to ask")?;
        let place = place.clone();
        self.ground
            .path(client.node, client.asks, &place, mode)
            .await
    }

    /// The host at that node.
    pub(super) fn host(&self, node: Node) -> anyhow::Result<&Host> {
        self.ground.host(node)
    }

    /// With the certificates.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn computer(
        &mut self,
        node: Node,
        mode: Mode,
        programs: &Programs,
        platform: &Path,
    ) -> anyhow::Result<Endpoint> {
        let place = self.ground.place(node, 10_000)?;
        let mut command = self.daemon(&programs.computer, mode)?;
        command.arg(format!("--conf=type=file,path={}", platform.display()));
        command.arg(format!("--server-endpoint={place}"));
        command.args(["--utilization-endpoint=", "--controller-endpoint="]);
        let started = self.ground.start(node, command, "edgecomputer listens");
        let started = started.await?;
        self.processes.push(started);
        Ok(place)
    }

    async fn router(
        &mut self,
        node: Node,
        mode: Mode,
        programs: &Programs,
        computers: &[(Node, Endpoint)],
    ) -> anyhow::Result<Endpoint> {
        let place = self.ground.place(node, 6473)?;
        let tables = self.ground.place(node, 6474)?;
        let mut command = self.daemon(&programs.router, mode)?;
        command.arg(format!("--server-endpoint={place}"));
        command.arg(format!("--configuration-endpoint={tables}"));
        let started = self.ground.start(node, command, "edgerouter serves");
        let started = started.await?;
        self.processes.push(started);
        let mut destinations = Vec::new();
        for (at, computer) in computers {
            let path = self.ground.path(node, *at, computer, mode).await?;
            destinations.push(mode.destination(path.as_str()));
        }
        let host = self.ground.host(node)?;
        host.run_beside(move || fill(&tables, &destinations))
            .await??;
        Ok(place)
    }

    /// What computers and routers have in common.
    fn daemon(&self, program: &Path, mode: Mode) -> anyhow::Result<Command> {
        let mut command = hosted::command(program)?;
        command.args(["--num-threads=1", "--admin-endpoint=0"]);
        command.arg(format!("--server-conf={}", mode.server_conf()));
        secure(&mut command, mode, self.folder.path());
        Ok(command)
    }
}

/// With the certificates in `folder`, where the mode needs them.
pub(super) fn secure(command: &mut Command, mode: Mode, folder: &Path) {
    if mode.is_secure() {
        command.arg("--secure").env("CERT_DIR", folder);
    }
}

/// Tells a router of its destinations, from the host that it lives on.
fn fill(tables: &Endpoint, destinations: &[String]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut tables = Tables::at(tables);
        for destination in destinations {
            tables.route(LAMBDA, destination, 1.0).await?;
        }
        Ok(())
    })
}

/// The computer of the published experiments.
fn write_platform(path: &Path, speed: f64) -> anyhow::Result<()> {
    let platform = serde_json::json!({
        "version": "1.0",
        "processors": [{
            "name": "arm", "type": "GenericCpu", "memory": 512_000_000, "speed": speed, "cores": 2,
        }],
        "containers": [{
            "name": "container",
            "processor": "arm",
            "num-workers": 2,
            "lambda": {
                "name": LAMBDA,
                "requirements": "proportional",
                "op-coeff": 1e4, "op-offset": 0, "mem-coeff": 1, "mem-offset": 0,
                "output-type": "copy-input",
            },
        }],
    });
    std::fs::write(path, platform.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}
