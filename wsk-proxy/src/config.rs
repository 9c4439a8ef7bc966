//! The configuration of a proxy, all keys with defaults; see `examples/wskproxy.toml`.

mod check;
mod sections;

use edge_daemon::admin::AdminConfig;
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use serde::{Deserialize, Serialize};

pub use self::check::InvalidConfig;
pub use self::sections::{
    AuthConfig, IdempotencyConfig, InvokeConfig, LimitsConfig, NamesConfig, RouterConfig,
    ServerConfig, StoreConfig, TableConfig, TlsConfig,
};

/// The admin port unless configured otherwise.
pub(crate) const ADMIN_PORT: u16 = 9200;

/// What comes with a result in an answer, in bytes, at the most.
pub(crate) const AROUND_RESULT: usize = 1 << 20;

/// Everything that can be configured. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where OpenWhisk's clients are served.
    pub server: ServerConfig,
    /// Where calls go.
    pub router: RouterConfig,
    /// Where it is known from which lambdas there are.
    pub table: TableConfig,
    /// Which lambda an action stands for.
    pub names: NamesConfig,
    /// Who may use the proxy.
    pub auth: AuthConfig,
    /// Encryption.
    pub tls: TlsConfig,
    /// How actions are invoked.
    pub invoke: InvokeConfig,
    /// What one client and all of them may ask for.
    pub limits: LimitsConfig,
    /// Activations that are kept.
    pub store: StoreConfig,
    /// Repeated requests.
    pub idempotency: IdempotencyConfig,
    /// How the process ends.
    pub drain: DrainConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Metrics and health over HTTP.
    pub admin: AdminConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            router: RouterConfig::default(),
            table: TableConfig::default(),
            names: NamesConfig::default(),
            auth: AuthConfig::default(),
            tls: TlsConfig::default(),
            invoke: InvokeConfig::default(),
            limits: LimitsConfig::default(),
            store: StoreConfig::default(),
            idempotency: IdempotencyConfig::default(),
            drain: DrainConfig::default(),
            log: LogConfig::default(),
            admin: AdminConfig::on_port(ADMIN_PORT),
        }
    }
}
