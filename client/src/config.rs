//! What a run of the load generator is to do.

mod effects;
mod message;
mod workflow;

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use edge_daemon::conf_string::{ConfSchema, Key, Kind};
use edge_daemon::log::LogConfig;
use edge_transport::quic::{Congestion, Prefer};
use edge_transport::{Endpoint, Scheme};
use mec_mx2::ApiRoot;
use serde::{Deserialize, Serialize};

pub use self::workflow::WorkflowConfig;
pub(crate) use self::workflow::{CHAIN_CONF, DAG_CONF};
use crate::arrivals::{Arrivals, InterRequestType};

/// The highest rate of an open loop, in requests per second: more than any machine reaches. Every
/// core walks through the instants of all requests, also of those that it has no time to send.
pub const HIGHEST_RATE: f64 = 1e6;

/// The configuration of a run; its keys are those of the TOML file.
///
/// With a `rate` the run is an open loop, without one a closed loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whom to call; with more than one, uncoordinated access (see
    /// [`MultiClient`](crate::MultiClient)).
    pub server_endpoints: Vec<Endpoint>,
    /// The lambda to call; without meaning where a `chain` or `dag` names the
    /// functions.
    pub lambda: String,
    /// Sizes of the inputs in bytes; each request draws one. A size that is
    /// listed twice is drawn twice as often.
    pub sizes: Vec<usize>,
    /// The input of all requests, instead of one of a given size.
    pub content: Option<String>,
    /// Ask for estimates; execute nothing.
    pub dry: bool,
    /// Tell brokers that requests may be repeated.
    pub idempotent: bool,
    /// Longest wait for the answer to one request.
    #[serde(with = "edge_daemon::duration")]
    pub timeout: Duration,
    /// Where results of asynchronous requests are received; absent:
    /// synchronous requests.
    pub callback_endpoint: Option<Endpoint>,
    /// Where the states of a chain or graph are kept; absent: they travel by
    /// value. Only for a closed loop of one client.
    pub state_endpoint: Option<Endpoint>,
    /// Whether the state server there is started by this process; else it has
    /// to be there already.
    pub state_server: bool,
    /// Mutual TLS, with the files that the environment names.
    pub secure: bool,
    /// Fixes sizes, gaps and the choices of uncoordinated access.
    pub seed: u64,
    /// How long requests are sent; zero: without end. What an open loop could not send by
    /// then fails as an overrun.
    #[serde(with = "edge_daemon::duration")]
    pub duration: Duration,
    /// Requests to be sent: in all by an open loop, by each client of a closed
    /// one; absent: without end.
    pub max_requests: Option<NonZeroU64>,
    /// Wait before the first connection is made.
    #[serde(with = "edge_daemon::duration")]
    pub initial_delay: Duration,
    /// Connections to each end-point; at least one per core.
    pub connections: NonZeroUsize,
    /// Cores that send; each is a thread of its own.
    pub cores: NonZeroUsize,
    /// Open loop: requests per second, [`HIGHEST_RATE`] at the most.
    pub rate: Option<f64>,
    /// Open loop: how requests spread over time.
    pub arrivals: Arrivals,
    /// Open loop: requests that may wait for their answers at the same time;
    /// what is due beyond that fails as an overrun.
    pub max_outstanding: NonZeroUsize,
    /// Closed loop: independent clients, each with one request at a time.
    pub num_threads: NonZeroUsize,
    /// Closed loop: mean time between the requests of one client.
    #[serde(with = "edge_daemon::duration")]
    pub inter_request_time: Duration,
    /// Closed loop: how that time is distributed.
    pub inter_request_type: InterRequestType,
    /// Where the line of each answer goes; `-` or `/dev/stdout` is standard
    /// output. Absent: nowhere; but the program `edgeclient` then takes
    /// standard output for a closed loop that reports as text.
    pub output_file: Option<PathBuf>,
    /// Add to the output file instead of replacing its content.
    pub append: bool,
    /// How the summary is written.
    pub output: Output,
    /// The chain of functions to execute, instead of the lambda.
    pub chain: Option<WorkflowConfig>,
    /// The graph of functions to execute, instead of the lambda.
    pub dag: Option<WorkflowConfig>,
    /// Who says where the lambda is, instead of the end-points.
    pub etsi: EtsiConfig,
    /// How end-points are called.
    pub client: ClientConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// How the summary is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object on standard output, and nothing else there.
    Json,
}

/// How end-points are called: the section `client`, or `--client-conf`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientConfig {
    /// What end-points without a scheme are called over: `grpc`, `quic`, `h3`, or `both`, which takes
    /// what works.
    pub r#type: Prefer,
    /// Whether requests that may be repeated leave with the first packet of a QUIC connection to a
    /// server that is known (0-RTT).
    pub attempt_early_data: bool,
    /// How fast QUIC sends: `tolerant`, `cubic` or `bbr`.
    pub congestion: Congestion,
    /// With several end-points: the probability of a copy to each that is not
    /// the primary.
    pub persistence: f64,
}

/// An ETSI MEC server that says where the lambda is: the section `etsi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EtsiConfig {
    /// Where the server is; absent: the end-points are called.
    pub api_root: Option<ApiRoot>,
    /// Where it tells us of moves. Port 0 picks a free one.
    pub notification_uri: ApiRoot,
    /// File with the token that the server wants to see; absent: none.
    pub token_file: Option<PathBuf>,
    /// Authorities for an `https` server, as PEM; absent: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificates, as PEM, for a server that asks for one.
    pub certificate: Option<PathBuf>,
    /// The key of the first of them.
    pub key: Option<PathBuf>,
}

const QUIC: &[Key] = &[Key::boolean("attempt-early-data"), Key::text("congestion")];

/// What `--client-conf` takes.
pub(crate) static CLIENT_CONF: ConfSchema = ConfSchema {
    option: "--client-conf",
    section: "client",
    kinds: &[
        Kind {
            name: "grpc",
            keys: &[],
        },
        Kind {
            name: "quic",
            keys: QUIC,
        },
        Kind {
            name: "h3",
            keys: QUIC,
        },
        Kind {
            name: "both",
            keys: QUIC,
        },
    ],
    common: &[Key::float("persistence")],
};

/// A configuration that makes no sense: which key, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct ConfigProblem {
    /// The dotted key.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server_endpoints: vec![Endpoint::new("localhost", 6473)],
            lambda: "clambda0".to_owned(),
            sizes: vec![100],
            content: None,
            dry: false,
            idempotent: false,
            timeout: edge_transport::DEFAULT_DEADLINE,
            callback_endpoint: None,
            state_endpoint: None,
            state_server: true,
            secure: false,
            seed: 0,
            duration: Duration::ZERO,
            max_requests: None,
            initial_delay: Duration::ZERO,
            connections: NonZeroUsize::MIN,
            cores: NonZeroUsize::MIN,
            rate: None,
            arrivals: Arrivals::default(),
            max_outstanding: const { NonZeroUsize::new(10_000).expect("it is not zero") },
            num_threads: NonZeroUsize::MIN,
            inter_request_time: Duration::ZERO,
            inter_request_type: InterRequestType::default(),
            output_file: None,
            append: false,
            output: Output::default(),
            chain: None,
            dag: None,
            etsi: EtsiConfig::default(),
            client: ClientConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for EtsiConfig {
    fn default() -> Self {
        Self {
            api_root: None,
            notification_uri: ApiRoot::plain(Endpoint::new("localhost", 6600)),
            token_file: None,
            ca_file: None,
            certificate: None,
            key: None,
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            r#type: Prefer::default(),
            attempt_early_data: false,
            congestion: Congestion::default(),
            persistence: 0.05,
        }
    }
}

impl Config {
    /// Checks what types alone cannot, the file of the chain or graph included.
    ///
    /// # Errors
    /// The first key whose value makes no sense.
    pub fn validate(&self) -> Result<(), ConfigProblem> {
        self.validate_requests()?;
        self.validate_generation()?;
        self.validate_plan()?;
        self.validate_effects()?;
        let stdout = self.output_file.as_deref().is_some_and(is_stdout);
        require(
            "output-file",
            !(stdout && self.output == Output::Json),
            "standard output is for the JSON summary alone: name a file",
        )
    }

    fn validate_requests(&self) -> Result<(), ConfigProblem> {
        require(
            "server-endpoints",
            !self.server_endpoints.is_empty(),
            "give at least one end-point",
        )?;
        if let Some(endpoint) = self.server_endpoints.iter().find(|e| e.port() == 0) {
            let problem = format!("nobody listens at port 0 of {endpoint}: give its port");
            return require("server-endpoints", false, problem);
        }
        require("lambda", !self.lambda.is_empty(), "give a name")?;
        require(
            "sizes",
            self.content.is_some() || !self.sizes.is_empty(),
            "give at least one size",
        )?;
        require(
            "client.persistence",
            (0.0..=1.0).contains(&self.client.persistence),
            "a probability is from 0 to 1",
        )?;
        require(
            "etsi.api-root",
            self.etsi.api_root.is_none() || (self.chain.is_none() && self.dag.is_none()),
            "it is for a lambda, not for a chain or graph",
        )?;
        let (alone, missing) = match &self.etsi.key {
            Some(_) => ("etsi.key", "etsi.certificate"),
            None => ("etsi.certificate", "etsi.key"),
        };
        require(
            alone,
            self.etsi.certificate.is_some() == self.etsi.key.is_some(),
            format!("it goes with `{missing}`: give that, too"),
        )?;
        let listens = |endpoint: &Endpoint| endpoint.scheme() == Scheme::Unsaid;
        require(
            "callback-endpoint",
            self.callback_endpoint.as_ref().is_none_or(listens),
            "results arrive over TCP: give HOST:PORT",
        )?;
        let reachable = |endpoint: &Endpoint| !endpoint.is_unspecified();
        require(
            "callback-endpoint",
            self.callback_endpoint.as_ref().is_none_or(reachable),
            "give the address at which computers can reach this machine",
        )
    }

    fn validate_generation(&self) -> Result<(), ConfigProblem> {
        require("timeout", !self.timeout.is_zero(), "it must not be zero")?;
        require(
            "rate",
            self.rate
                .is_none_or(|rate| rate > 0.0 && rate <= HIGHEST_RATE),
            format!("it must be more than 0, and at most {HIGHEST_RATE}"),
        )?;
        for (key, value, most) in [
            ("cores", self.cores, 1024),
            ("connections", self.connections, 10_000),
            ("num-threads", self.num_threads, 100_000),
            ("max-outstanding", self.max_outstanding, 10_000_000),
        ] {
            require(key, value.get() <= most, format!("at most {most}"))?;
        }
        Ok(())
    }
}

fn require(
    key: &'static str,
    condition: bool,
    problem: impl Into<String>,
) -> Result<(), ConfigProblem> {
    if condition {
        return Ok(());
    }
    Err(ConfigProblem {
        key,
        problem: problem.into(),
    })
}

/// The output file that means standard output.
pub(crate) const STDOUT: &str = "-";

/// Whether `path` means standard output.
pub(crate) fn is_stdout(path: &std::path::Path) -> bool {
    [STDOUT, "/dev/stdout"]
        .map(std::path::Path::new)
        .contains(&path)
}
