//! Computer and hops, all started and connected before the first measurement.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use edge_transport::{Endpoint, Scheme};
use tempfile::TempDir;

use super::kind::{Kind, Program};
use super::peers;
use crate::bench::load::{Caller, message};
use crate::bench::process::{Process, own_cpu};
use crate::bench::router::Router;
use crate::bench::{certificates, ports};

/// The lambda that is asked for.
pub(super) const LAMBDA: &str = "bench";

/// How long a hop may take to answer its first request.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many lines of what a hop that does not answer has said last are shown.
const MOST_LINES: usize = 10;

/// What is measured.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) hops: Vec<Hop>,
    /// One that answers plain requests, and one that answers encrypted ones.
    computers: Vec<Process>,
    /// Holds the files of all processes as long as they run.
    _folder: TempDir,
}

/// A hop that answers.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) kind: Kind,
    /// None if there is nothing between client and computer.
    pub(super) process: Option<Process>,
    pub(super) caller: Caller,
}

impl Stage {
    /// Starts everything and waits until all hops have answered over all connections.
    pub(super) async fn set(
        programs: &[Program],
        connections: usize,
        service_ms: f64,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut setting = Setting {
            folder: folder.path().to_owned(),
            connections,
            service_ms,
            plain: None,
            encrypted: None,
            computers: Vec::new(),
        };
        let mut hops = Vec::new();
        for program in programs {
            let hop = setting.hop(program).await;
            hops.push(hop.with_context(|| program.kind.name())?);
        }
        for hop in &mut hops {
            let name = hop.kind.name();
            hop.answers(folder.path()).await.context(name)?;
        }
        Ok(Self {
            hops,
            computers: setting.computers,
            _folder: folder,
        })
    }

    /// CPU time so far of all that takes part: this program, the computers, the hops.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let hops = self.hops.iter().filter_map(|hop| hop.process.as_ref());
        let others: Duration = hops
            .chain(&self.computers)
            .map(Process::cpu)
            .sum::<anyhow::Result<_>>()?;
        Ok(others + own_cpu()?)
    }
}

/// What is there already while the stage is set.
struct Setting {
    folder: PathBuf,
    connections: usize,
    service_ms: f64,
    plain: Option<Endpoint>,
    encrypted: Option<Endpoint>,
    computers: Vec<Process>,
}

impl Setting {
    async fn hop(&mut self, program: &Program) -> anyhow::Result<Hop> {
        let kind = program.kind;
        let scheme = match kind {
            Kind::RouterQuic => Scheme::Quic,
            Kind::RouterH3 => Scheme::H3,
            _ => Scheme::Unsaid,
        };
        let encrypted = kind.is_encrypted();
        let computer = self.computer(encrypted)?;
        let folder = encrypted.then_some(self.folder.as_path());
        let (process, endpoint) = match kind {
            Kind::Direct => (None, computer),
            Kind::Router | Kind::RouterTls | Kind::RouterQuic | Kind::RouterH3 => {
                let more = match scheme {
                    Scheme::Unsaid => Vec::new(),
                    Scheme::Quic | Scheme::H3 => vec!["--server-conf=type=quic".to_owned()],
                };
                let mut router = Router::start(&program.path, &more, folder)?;
                let computer = computer.with_scheme(scheme).to_string();
                router.tables.route(LAMBDA, &computer, 1.0).await?;
                (Some(router.process), router.lambda.with_scheme(scheme))
            }
            Kind::Floor | Kind::FloorTls => {
                let mut arguments = vec!["hop-floor".to_owned(), format!("--computer={computer}")];
                arguments.extend(folder.map(|f| format!("--certificates={}", f.display())));
                let process = Process::start(&program.path, &arguments, "", false)?;
                let endpoint = process.greeting.parse()?;
                (Some(process), endpoint)
            }
            Kind::Envoy
            | Kind::Haproxy
            | Kind::Nginx
            | Kind::EnvoyTls
            | Kind::HaproxyTls
            | Kind::NginxTls => {
                let listen = ports::reserve()?;
                let process = peers::start(kind, &program.path, &listen, &computer, &self.folder)?;
                (Some(process), listen)
            }
        };
        let tls = folder
            .map(|folder| certificates::files(folder)?.client_config())
            .transpose()?;
        Ok(Hop {
            kind,
            process,
            caller: Caller::new(endpoint, self.connections, tls),
        })
    }

    /// The computer, started for the first that needs it.
    fn computer(&mut self, encrypted: bool) -> anyhow::Result<Endpoint> {
        let known = if encrypted {
            &mut self.encrypted
        } else {
            &mut self.plain
        };
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let mut arguments = vec![
            "echo".to_owned(),
            "--endpoint=127.0.0.1:0".to_owned(),
            format!("--service-ms={}", self.service_ms),
        ];
        if encrypted {
            certificates::write(&self.folder)?;
            arguments.push(format!("--certificates={}", self.folder.display()));
        }
        let own = std::env::current_exe().context("cannot find this program")?;
        let computer = Process::start(&own, &arguments, "", false)?;
        let endpoint: Endpoint = computer.greeting.parse()?;
        *known = Some(endpoint.clone());
        self.computers.push(computer);
        Ok(endpoint)
    }
}

impl Hop {
    async fn answers(&mut self, folder: &Path) -> anyhow::Result<()> {
        const PAUSE: Duration = Duration::from_millis(20);
        let request: Bytes = message(LAMBDA, 100);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = self.caller.open_all(&request).await else {
                return Ok(());
            };
            let ended = match &mut self.process {
                Some(process) => process.has_ended()?,
                None => false,
            };
            if ended || Instant::now() >= deadline {
                let log = folder.join(format!("{}.log", self.kind.name()));
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<_> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(MOST_LINES)..].join("\n");
                anyhow::bail!("no answer: {error}\n{last}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
