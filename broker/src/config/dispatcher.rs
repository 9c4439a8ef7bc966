//! The configuration of `edgedispatcher`, as it stands in its TOML file.

use std::collections::BTreeMap;

use edge_daemon::admin::AdminConfig;
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use serde::{Deserialize, Serialize};

use super::{
    AdmissionConfig, Config, ControllerConfig, EstimatorConfig, ExplainConfig, FakeConfig,
    LambdaConfig, LimitsConfig, RetryConfig, RouterConfig, ServerConfig, TablesConfig, TlsConfig,
};
use crate::StartError;

/// Admin port of a dispatcher.
pub const DISPATCHER_ADMIN_PORT: u16 = 9474;

/// Everything that can be configured: that of a router, with an estimator in
/// place of policy and optimizer. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DispatcherConfig {
    /// The lambda server.
    pub server: ServerConfig,
    /// The table server.
    pub tables: TablesConfig,
    /// The controller that fills the table.
    pub controller: ControllerConfig,
    /// By which prediction a destination is picked.
    pub estimator: EstimatorConfig,
    /// Limits and artificial delays of forwarding.
    pub router: RouterConfig,
    /// Made-up table entries.
    pub fake: FakeConfig,
    /// When a failed request may be sent elsewhere.
    pub retry: RetryConfig,
    /// How many requests may be where, and who waits.
    pub admission: AdmissionConfig,
    /// Decisions that are kept, so that people can ask for the reasons.
    pub explain: ExplainConfig,
    /// Lambdas about which something is known, by name.
    pub lambda: BTreeMap<String, LambdaConfig>,
    /// Encryption beyond the data path.
    pub tls: TlsConfig,
    /// What one peer may ask of us.
    pub limits: LimitsConfig,
    /// How long a stopping dispatcher waits for requests in flight.
    pub drain: DrainConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Metrics and health over HTTP.
    pub admin: AdminConfig,
}

impl Default for DispatcherConfig {
    fn default() -> Self {
        let Config {
            server,
            tables,
            controller,
            router,
            fake,
            retry,
            admission,
            explain,
            lambda,
            tls,
            limits,
            drain,
            log,
            ..
        } = Config::default();
        Self {
            server,
            tables,
            controller,
            estimator: EstimatorConfig::default(),
            router,
            fake,
            retry,
            admission,
            explain,
            lambda,
            tls,
            limits,
            drain,
            log,
            admin: AdminConfig::on_port(DISPATCHER_ADMIN_PORT),
        }
    }
}

impl DispatcherConfig {
    /// Checks what the types of the keys do not.
    ///
    /// # Errors
    /// The first key whose value is out of range.
    pub fn check(&self) -> Result<(), StartError> {
        self.clone().split().0.check()
    }

    /// Checks that the certificates and keys that are asked for are there and can be used.
    ///
    /// # Errors
    /// The first file that is missing, or of no use.
    pub fn check_certificates(&self) -> Result<(), StartError> {
        self.clone().split().0.check_certificates()
    }

    /// What it has in common with a router, and what it has not.
    pub(crate) fn split(self) -> (Config, EstimatorConfig) {
        let common = Config {
            server: self.server,
            tables: self.tables,
            controller: self.controller,
            router: self.router,
            fake: self.fake,
            retry: self.retry,
            admission: self.admission,
            explain: self.explain,
            lambda: self.lambda,
            tls: self.tls,
            limits: self.limits,
            drain: self.drain,
            log: self.log,
            admin: self.admin,
            ..Config::default()
        };
        (common, self.estimator)
    }
}
