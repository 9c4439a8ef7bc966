//! The brokers of one peer side by side: started, filled with routes, asked how often they retried.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_client::Client;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest};
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient, control};

use super::computer::LAMBDA;
use super::peer::{Kind, Options, Peer, WORKERS_PER_BROKER};
use super::router::Greeting;
use super::{envoy, haproxy};
use crate::bench::process::Process;
use crate::bench::{page, ports};

/// How long a broker may take to answer its first request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brokers of one kind, all with routes to the same computers.
#[derive(Debug)]
pub(super) struct Brokers {
    kind: Kind,
    members: Vec<Broker>,
}

#[derive(Debug)]
struct Broker {
    process: Process,
    endpoint: Endpoint,
    admin: Endpoint,
    /// What it had to say, if it writes that to a file.
    log: Option<PathBuf>,
}

impl Brokers {
    /// Starts `count` brokers and waits until each has answered a request.
    pub(super) async fn start(
        peer: &Peer,
        count: usize,
        computers: &[Endpoint],
        folder: &Path,
        options: &Options,
    ) -> anyhow::Result<Self> {
        let mut members = Vec::new();
        for number in 0..count {
            let broker = match peer.kind {
                Kind::Ours => ours(peer, computers, options).await,
                Kind::Envoy => {
                    let text =
                        |listen: &_, admin: &_| envoy::config(listen, admin, computers, options);
                    foreign(peer, &folder.join(format!("envoy{number}.json")), text)
                }
                Kind::Haproxy => {
                    let text =
                        |listen: &_, admin: &_| haproxy::config(listen, admin, computers, options);
                    foreign(peer, &folder.join(format!("haproxy{number}.cfg")), text)
                }
            };
            members.push(broker.with_context(|| peer.kind.name())?);
        }
        for broker in &mut members {
            broker.answers().await.with_context(|| peer.kind.name())?;
        }
        Ok(Self {
            kind: peer.kind,
            members,
        })
    }

    /// Where they take requests.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.members.iter().map(|b| b.endpoint.clone()).collect()
    }

    /// Attempts beyond the first of all brokers so far; `None` if the peer does not tell.
    pub(super) async fn retries(&self) -> anyhow::Result<Option<u64>> {
        let mut sum = Some(0);
        for broker in &self.members {
            let retries = match self.kind {
                Kind::Ours => Some(our_retries(&page::read(&broker.admin, "/metrics").await?)?),
                Kind::Envoy => envoy::retries(&page::read(&broker.admin, "/stats").await?),
                Kind::Haproxy => haproxy::retries(&page::read(&broker.admin, "/;csv").await?),
            };
            sum = sum.zip(retries).map(|(sum, retries)| sum + retries);
        }
        Ok(sum)
    }

    /// CPU time of the brokers so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        self.members.iter().map(|b| b.process.cpu()).sum()
    }
}

impl Broker {
    async fn answers(&mut self) -> anyhow::Result<()> {
        const PAUSE: Duration = Duration::from_millis(20);
        const TIMEOUT: Duration = Duration::from_secs(2);
        let transport = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
        let client = Client::new(Arc::new(transport), self.endpoint.clone());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = LambdaRequest::new(LAMBDA, "A");
            let Err(error) = client.call(&request, TIMEOUT).await else {
                return Ok(());
            };
            if Instant::now() >= deadline || self.process.has_ended()? {
                let said = self.log.as_deref().map(std::fs::read_to_string);
                let said = said.transpose()?.unwrap_or_default();
                anyhow::bail!("no answer: {error}\n{said}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn ours(peer: &Peer, computers: &[Endpoint], options: &Options) -> anyhow::Result<Broker> {
    let mut arguments = vec![
        "bench-router".to_owned(),
        format!("--num-threads={WORKERS_PER_BROKER}"),
    ];
    arguments.extend(
        options
            .table_conf
            .iter()
            .map(|conf| format!("--table-conf={conf}")),
    );
    let program = peer.program.clone();
    let process =
        tokio::task::spawn_blocking(move || Process::start(&program, &arguments, "", false))
            .await??;
    let [endpoint, tables, admin] = Greeting::parse(&process.greeting)?;
    let mut tables = EdgeRouterClient::new(control::channel(&tables, None, PATIENCE));
    for computer in computers {
        let change = EdgeRouterConf {
            action: Action::Change as i32,
            lambda: LAMBDA.to_owned(),
            destination: computer.to_string(),
            weight: 1.0,
            r#final: true,
            ..EdgeRouterConf::default()
        };
        let done = tables.configure(change).await?.into_inner();
        anyhow::ensure!(done.msg == "OK", "the route was refused: {}", done.msg);
    }
    Ok(Broker {
        process,
        endpoint,
        admin,
        log: None,
    })
}

fn foreign(
    peer: &Peer,
    file: &Path,
    text: impl FnOnce(&Endpoint, &Endpoint) -> String,
) -> anyhow::Result<Broker> {
    let (endpoint, admin) = (ports::reserve()?, ports::reserve()?);
    std::fs::write(file, text(&endpoint, &admin))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let name = file.display().to_string();
    let workers = WORKERS_PER_BROKER.to_string();
    let arguments: &[&str] = match peer.kind {
        Kind::Envoy => &[
            "--config-path",
            &name,
            "--concurrency",
            &workers,
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ],
        // In the foreground: our child, not its child.
        Kind::Haproxy | Kind::Ours => &["-db", "-f", &name],
    };
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    let log = file.with_extension("log");
    Ok(Broker {
        process: Process::start_silent(&peer.program, &arguments, &log)?,
        endpoint,
        admin,
        log: Some(log),
    })
}

/// Attempts beyond the first, whether it failed, was turned down or was late.
fn our_retries(page: &str) -> anyhow::Result<u64> {
    let count = |name: &str| page::total(page, name);
    let further = ["retries", "refusals", "hedges"];
    let counts = further.map(|what| count(&format!("edge_router_{what}_total")));
    counts.into_iter().sum()
}
