//! `edgerouter` as a process of its own: found or built, started with one core, filled with routes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, TableId};
use edge_transport::{Endpoint, control};
use tonic::transport::Channel;

use super::process::Process;

/// How long the router may take for one operation on its table.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where this program was built from.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program, and how it got there.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// For people: what is measured.
    pub(crate) origin: String,
}

/// The program that was named, else `edgerouter` beside this program, built first if it is
/// missing or older than the sources of the tree from which this program was built.
pub(crate) fn program(named: Option<&Path>) -> anyhow::Result<Program> {
    if let Some(path) = named {
        anyhow::ensure!(path.is_file(), "--router: no file {}", path.display());
        let origin = format!("{}, as named", path.display());
        return Ok(Program {
            path: path.to_owned(),
            origin,
        });
    }
    let own = std::env::current_exe().context("cannot find this program")?;
    // Tests run from a folder below the one of the programs.
    let path = own.with_file_name("edgerouter");
    let sources = newest_source();
    let built = modified(&path);
    let stale = built.is_none() || sources.is_some_and(|sources| built < Some(sources));
    if stale {
        let why = built.map_or("missing", |_| "older than its sources");
        eprintln!("{} is {why}: building it", path.display());
        build()?;
    }
    anyhow::ensure!(
        path.is_file(),
        "{} is missing: build it first, with cargo build --release",
        path.display()
    );
    let state = match (stale, sources) {
        (true, _) => "just built",
        (false, Some(_)) => "newer than all sources of its tree",
        (false, None) => "its sources are not here",
    };
    let profile = if cfg!(debug_assertions) {
        "debug: figures mean nothing"
    } else {
        "release"
    };
    let origin = format!("{} ({profile}; {state})", path.display());
    Ok(Program { path, origin })
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// When a source of the router was changed last.
fn newest_source() -> Option<SystemTime> {
    let folders = ["balance", "broker", "daemon", "proto", "transport"];
    let mut newest = None;
    let mut open: Vec<PathBuf> = folders
        .iter()
        .map(|folder| Path::new(TREE).join(folder).join("src"))
        .collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                newest = newest.max(modified(&path));
            }
        }
    }
    newest
}

/// Builds into the folder that this program came from.
fn build() -> anyhow::Result<()> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo);
    command.current_dir(TREE);
    command.args(["build", "--quiet", "--locked", "--bin", "edgerouter"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "cargo could not build edgerouter");
    Ok(())
}

/// A router that serves.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) process: Process,
    /// Where it takes requests.
    pub(crate) lambda: Endpoint,
    /// Where it takes changes of its tables.
    pub(crate) tables: Tables,
}

impl Router {
    /// Starts `program` with default options but one core, free ports, and what `more` says; with
    /// `certificates`, the folder of these, on an encrypted data path.
    pub(crate) fn start(
        program: &Path,
        more: &[String],
        certificates: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args([
            "--server-endpoint=127.0.0.1:0",
            "--configuration-endpoint=127.0.0.1:0",
            "--admin-endpoint=0",
            "--num-threads=1",
        ]);
        command.args(more);
        if let Some(folder) = certificates {
            command.arg("--secure").env("CERT_DIR", folder);
        }
        let process = Process::start_command(command, "edgerouter serves", true)?;
        let field = |name: &str| -> anyhow::Result<Endpoint> {
            let mark = format!("{name}=");
            let (_, rest) = process.greeting.split_once(&mark).context("no address")?;
            let address = rest.split_whitespace().next().context("no address")?;
            Ok(address.parse()?)
        };
        let (lambda, tables) = (field("lambda")?, field("tables")?);
        Ok(Self {
            process,
            lambda,
            tables: Tables {
                client: EdgeRouterClient::new(control::channel(&tables, None, PATIENCE)),
            },
        })
    }
}

/// The tables of a router, as its administrator sees them.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    client: EdgeRouterClient<Channel>,
}

impl Tables {
    /// Adds a destination of a lambda, or changes its weight.
    pub(crate) async fn route(
        &mut self,
        lambda: &str,
        destination: &str,
        weight: f32,
    ) -> anyhow::Result<()> {
        self.configure(Action::Change, lambda, destination, weight)
            .await
    }

    /// Removes a destination of a lambda.
    pub(crate) async fn remove(&mut self, lambda: &str, destination: &str) -> anyhow::Result<()> {
        self.configure(Action::Remove, lambda, destination, 1.0)
            .await
    }

    async fn configure(
        &mut self,
        action: Action,
        lambda: &str,
        destination: &str,
        weight: f32,
    ) -> anyhow::Result<()> {
        let operation = EdgeRouterConf {
            action: action as i32,
            lambda: lambda.to_owned(),
            destination: destination.to_owned(),
            weight,
            r#final: true,
        };
        let done = self.client.configure(operation).await?.into_inner();
        anyhow::ensure!(done.msg == "OK", "{destination} was refused: {}", done.msg);
        Ok(())
    }

    /// Reads the whole table of clients page by page; the number of its entries.
    pub(crate) async fn dump(&mut self) -> anyhow::Result<u64> {
        const PAGE: u32 = 10_000;
        let mut read = 0;
        loop {
            let page = TableId {
                value: 0,
                offset: read,
                limit: PAGE,
            };
            let page = self.client.get_table(page).await?.into_inner();
            if page.entries.is_empty() {
                anyhow::ensure!(page.total == read, "{read} of {} entries", page.total);
                return Ok(read);
            }
            read += page.entries.len() as u64;
        }
    }
}
