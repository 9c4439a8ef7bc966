//! The sections of the configuration, each with its defaults.

use std::time::Duration;

use edge_daemon::admin::AdminConfig;
use edge_transport::quic::Congestion;
use edge_transport::tls::TlsFiles;
use edge_transport::{Endpoint, Listens};
use serde::{Deserialize, Serialize};

use super::OptionalEndpoint;
use crate::sim::Estimator;

/// Section `server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Where lambdas are served. Port 0 picks a free one.
    pub endpoint: Endpoint,
    /// How others reach it; without it, it is announced as it is, and the controller replaces an
    /// unspecified host (0.0.0.0) by the address that it sees.
    pub advertise: OptionalEndpoint,
    /// Cores that the data plane uses, from 1 to 512; all of the machine if absent. It does not
    /// limit how many requests are served at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_threads: Option<u32>,
    /// Encrypts the lambda service, and asks clients for certificates.
    pub secure: bool,
}

impl Default for ServerConfig {
    /// Port 6473 of all interfaces, on all cores.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("0.0.0.0", 6473),
            advertise: OptionalEndpoint::default(),
            num_threads: None,
            secure: false,
        }
    }
}

/// Section `transport`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TransportConfig {
    /// What lambda requests are taken over: `grpc`, `quic`, or `both` on the same port.
    pub r#type: Listens,
    /// How fast QUIC sends: `tolerant`, `cubic` or `bbr`.
    pub congestion: Congestion,
}

/// Section `controller`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ControllerConfig {
    /// Where the controller is; nothing is announced without it.
    pub endpoint: OptionalEndpoint,
}

/// Section `utilization`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct UtilizationConfig {
    /// Where utilisation is streamed; nowhere if empty.
    pub endpoint: OptionalEndpoint,
}

impl Default for UtilizationConfig {
    /// Port 6476 of all interfaces.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("0.0.0.0", 6476).into(),
        }
    }
}

/// Section `asynchronous`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AsynchronousConfig {
    /// Whether requests with a callback are taken. A companion implies it.
    pub enabled: bool,
    /// Where the next function of a chain or graph is called: an edge router. Without it, only
    /// requests for one function are taken.
    pub companion: OptionalEndpoint,
    /// Requests that may be accepted and not answered yet, those that wait for another branch of
    /// their graph included.
    pub max_queued: usize,
    /// Bytes that they may have together. One that is larger than that is taken when it is alone.
    pub max_queued_bytes: usize,
    /// How long the execution of one function may take, waiting for its turn included.
    #[serde(with = "edge_daemon::duration")]
    pub deadline: Duration,
    /// How long the branches of a graph may wait for each other.
    #[serde(with = "edge_daemon::duration")]
    pub join_deadline: Duration,
}

impl Default for AsynchronousConfig {
    /// Off; 10,000 requests of 256 MiB together, ten minutes to execute, ten minutes to meet.
    fn default() -> Self {
        Self {
            enabled: false,
            companion: OptionalEndpoint::default(),
            max_queued: 10_000,
            max_queued_bytes: 256 << 20,
            deadline: Duration::from_secs(600),
            join_deadline: Duration::from_secs(600),
        }
    }
}

/// Section `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateConfig {
    /// The state server of this computer. Without it, requests whose function depends on a remote
    /// state fail.
    pub endpoint: OptionalEndpoint,
    /// Whether the state server is started here; else it has to be there already.
    pub serve: bool,
    /// Longest content of one state, in bytes, be it kept by the state server that is started here
    /// or fetched from another one.
    pub max_state_bytes: usize,
    /// Contents of all states together, in bytes.
    pub max_total_bytes: usize,
}

impl Default for StateConfig {
    /// None; 16 MiB for a state, 256 MiB for all.
    fn default() -> Self {
        Self {
            endpoint: OptionalEndpoint::default(),
            serve: true,
            max_state_bytes: 16 << 20,
            max_total_bytes: 256 << 20,
        }
    }
}

/// Section `computer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComputerConfig {
    /// What executes the lambdas.
    #[serde(rename = "type")]
    pub kind: ComputerType,
}

/// What executes the lambdas of an `edgecomputer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputerType {
    /// A simulated platform.
    #[default]
    Sim,
    /// Runtime processes, which execute real functions.
    Runtime,
}

/// Section `dry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DryConfig {
    /// What dry requests are answered with.
    pub estimator: EstimatorConfig,
}

/// How the duration of a request is estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EstimatorConfig {
    /// What would happen if nothing else arrived, replayed for the ends of 128 tasks; what waits
    /// beyond them counts with its mean.
    #[default]
    Exact,
    /// The formula of the C++ reference, which overestimates the wait behind several workers.
    Legacy,
}

impl From<EstimatorConfig> for Estimator {
    fn from(config: EstimatorConfig) -> Self {
        match config {
            EstimatorConfig::Exact => Self::Exact,
            EstimatorConfig::Legacy => Self::Legacy,
        }
    }
}

/// Section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Requests that may wait for a worker of their lambda, for each lambda; more are turned down
    /// as an overload. 0: only what can start at once is taken.
    pub max_pending: usize,
    /// How long a request may wait for its turn. One that is expected to wait longer is turned
    /// down at once, one that has waited longer then; both as an overload. 0: nobody waits for a
    /// busy worker. Requests with a callback are bounded by `asynchronous.deadline` instead.
    #[serde(with = "edge_daemon::duration")]
    pub max_wait: Duration,
}

impl Default for LimitsConfig {
    /// 10,000 requests and ten seconds.
    fn default() -> Self {
        Self {
            max_pending: crate::sim::DEFAULT_MAX_PENDING,
            max_wait: Duration::from_secs(10),
        }
    }
}

/// Section `tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Encrypts everything but the lambda service too: utilisation, states, callbacks, and what
    /// is said to the controller.
    pub control: bool,
    /// Certificates and keys; those that the environment names if absent.
    #[serde(skip)]
    pub files: Option<TlsFiles>,
}

/// The admin port of a computer.
pub(crate) const ADMIN_PORT: u16 = 9476;

/// Section `admin`, with the port of computers as its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Admin(pub AdminConfig);

impl Default for Admin {
    fn default() -> Self {
        Self(AdminConfig::on_port(ADMIN_PORT))
    }
}
