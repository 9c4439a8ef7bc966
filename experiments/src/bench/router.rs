//! `edgerouter` as a process of its own: started with one core, filled with routes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, TableId};
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};

use super::built::{self, Program};
use super::process::Process;
use super::programs;

/// How long the router may take for one operation on its table.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program that was named, else `edgerouter` beside this program, built first if it is
/// missing or older than the sources of the tree from which this program was built.
pub(crate) fn program(named: Option<&Path>) -> anyhow::Result<Program> {
    if let Some(path) = named {
        programs::named("--router", path)?;
        let origin = format!("{}, as named", path.display());
        return Ok(Program {
            path: path.to_owned(),
            origin,
        });
    }
    let mut programs = built::programs(&["edgerouter"])?;
    programs.pop().context("one was asked for")
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
            tables: Tables::at(&tables),
        })
    }
}

/// The tables of a router, as its administrator sees them.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    client: EdgeRouterClient<Channel>,
}

impl Tables {
    /// Those that are served there.
    pub(crate) fn at(endpoint: &Endpoint) -> Self {
        Self {
            client: EdgeRouterClient::new(control::channel(endpoint, None, PATIENCE)),
        }
    }

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
            ..EdgeRouterConf::default()
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
