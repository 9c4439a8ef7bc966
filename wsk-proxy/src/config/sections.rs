//! The sections of the configuration, each with its defaults.

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::{Secret, duration};
use edge_transport::Endpoint;
use serde::{Deserialize, Serialize};

use crate::api_root::ApiRoot;
use crate::endpoints::Endpoints;
use crate::names::NameMode;

/// Section `server`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Where OpenWhisk's clients are served; port 0 picks a free one.
    pub api_root: ApiRoot,
    /// Cores that serve, from 1 to 512; all of the machine if absent. It does not limit how many
    /// requests are served at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_threads: Option<u32>,
}

/// Section `router`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouterConfig {
    /// Routers, best first: the next one is asked when one cannot be reached. From 1 to 16.
    pub endpoints: Endpoints,
    /// Encrypts calls, with the certificates that `CERT_DIR` and the other variables name.
    pub secure: bool,
    /// How long a router that could not be reached is passed over.
    #[serde(with = "duration")]
    pub set_aside: Duration,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            endpoints: Endpoint::new("127.0.0.1", 6473).into(),
            secure: false,
            set_aside: Duration::from_secs(1),
        }
    }
}

/// Section `table`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TableConfig {
    /// Where routers show their tables, up to 16; empty: actions can be invoked, not listed.
    pub endpoints: Endpoints,
    /// Time from one reading to the next.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Most lambdas that are listed; the rest can be invoked all the same.
    pub max_lambdas: usize,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            endpoints: Endpoint::new("127.0.0.1", 6474).into(),
            interval: Duration::from_secs(1),
            max_lambdas: 100_000,
        }
    }
}

/// Section `names`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NamesConfig {
    /// Which lambda an action stands for.
    pub mode: NameMode,
    /// The namespace of whoever needs no credentials or has the only ones, and the one whose lambdas may go by their
    /// short names.
    pub namespace: String,
}

impl Default for NamesConfig {
    fn default() -> Self {
        Self {
            mode: NameMode::Auto,
            namespace: "guest".to_owned(),
        }
    }
}

/// Section `auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthConfig {
    /// A file of credentials: lines of `namespace uuid key [scopes] [limits]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// One pair of credentials, `uuid:key` or the base64 form of it, for the namespace of `names`.
    pub key: Secret,
    /// Serves anybody, on the loopback address only.
    pub open: bool,
}

/// Section `tls`, for an API root that begins with `https`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Certificate chain in PEM format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Clients must show a certificate that one of these authorities has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Encrypts the reading of tables, with the certificates that `CERT_DIR` and the other
    /// variables name.
    pub control: bool,
}

/// Section `invoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct InvokeConfig {
    /// How long a blocking invocation waits for its end, and the most that a client may ask for.
    #[serde(with = "duration")]
    pub max_wait: Duration,
    /// How long an action may take.
    #[serde(with = "duration")]
    pub action_timeout: Duration,
    /// The member of results that binary output travels in, in base64.
    pub binary_member: String,
    /// Whether that member of parameters, if it is base64, becomes binary input.
    pub binary_input: bool,
    /// Hops beyond which a request is taken for one that goes in circles.
    pub max_hops: u32,
    /// Non-blocking invocations that are accepted and have not ended.
    pub max_queued: usize,
    /// How many of them run at the same time.
    pub workers: usize,
    /// How long one of them is tried again while no platform takes it.
    #[serde(with = "duration")]
    pub patience: Duration,
    /// Most steps of a sequence, those of sequences within it included.
    pub max_steps: usize,
    /// Most registered actions and packages of one namespace.
    pub max_registered: usize,
    /// Bytes of those, about.
    pub max_registered_bytes: usize,
}

impl Default for InvokeConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(60),
            action_timeout: Duration::from_secs(300),
            binary_member: "base64".to_owned(),
            binary_input: false,
            max_hops: 32,
            max_queued: 10_000,
            workers: 256,
            patience: Duration::from_secs(60),
            max_steps: 50,
            max_registered: 1000,
            max_registered_bytes: 16 << 20,
        }
    }
}

/// Section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// Largest answer of a lambda, in bytes.
    pub max_result_bytes: usize,
    /// Bodies of all requests that have not ended, in bytes.
    pub max_buffered_bytes: usize,
    /// Answers of more than 16 KiB, or of 1 KiB over HTTP/2, that have not been sent, in bytes.
    pub max_unsent_bytes: usize,
    /// Requests that are being answered at the same time.
    pub max_in_flight: usize,
    /// Connections.
    pub max_connections: usize,
    /// Invocations per minute of a namespace whose credentials do not say otherwise; 0: any number.
    pub invocations_per_minute: u32,
    /// Invocations of a namespace at the same time, likewise.
    pub concurrent_invocations: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_result_bytes: 8 << 20,
            max_buffered_bytes: 256 << 20,
            max_unsent_bytes: 256 << 20,
            max_in_flight: 10_000,
            max_connections: 10_000,
            invocations_per_minute: 0,
            concurrent_invocations: 0,
        }
    }
}

/// Section `store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// Activations of one namespace.
    pub max_count: usize,
    /// Bytes of those.
    pub max_bytes: usize,
    /// How long they are kept.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// Bytes of the activations of all namespaces.
    pub max_total_bytes: usize,
    /// Largest result that is kept, in bytes; of larger ones only that they were.
    pub max_result_bytes: usize,
    /// A file that lets activations, registrations and accepted invocations survive a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
    /// Bytes of the journal on the disk, about.
    pub journal_bytes: u64,
    /// Waits for the disk, so that what was accepted survives a crash of the machine, too.
    pub sync: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_count: 10_000,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(24 * 3600),
            max_total_bytes: 256 << 20,
            max_result_bytes: 1 << 20,
            journal: None,
            journal_bytes: 512 << 20,
            sync: false,
        }
    }
}

/// Section `idempotency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IdempotencyConfig {
    /// How long the answer to a request with an `Idempotency-Key` is remembered.
    #[serde(with = "duration")]
    pub window: Duration,
    /// How long a failure is, that a request with an `x-request-id` got.
    #[serde(with = "duration")]
    pub retry_window: Duration,
    /// Requests that are remembered, of all namespaces.
    pub max_keys: usize,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            retry_window: Duration::from_secs(10),
            max_keys: 10_000,
        }
    }
}
