//! The configuration of a controller, all keys with defaults.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edge_daemon::admin::AdminConfig;
use edge_daemon::duration;
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_transport::Endpoint;
use edge_transport::tls::{self, TlsError, TlsFiles};
use ipnet::IpNet;
use mec_mx2::ApiRoot;
use serde::{Deserialize, Serialize};

use crate::announcement::MAX_LEASE;
use crate::names::MAX_NAME_BYTES;

/// The admin port unless configured otherwise.
pub(crate) const ADMIN_PORT: u16 = 9475;

/// Configuration of a controller; see `examples/controller.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where computers and routers announce themselves.
    pub server: ServerConfig,
    /// Which controller it is.
    pub controller: ControllerConfig,
    /// What is told to device applications, by the ETSI MEC types.
    pub etsi: EtsiConfig,
    /// When computers are taken for dead.
    pub liveness: LivenessConfig,
    /// How routers' tables are filled and kept right.
    pub push: PushConfig,
    /// What is encrypted.
    pub tls: TlsConfig,
    /// How the process ends.
    pub drain: DrainConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Metrics, health and state over HTTP.
    pub admin: AdminConfig,
}

/// Section `server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Where the gRPC services listen. Port 0 picks a free one.
    pub endpoint: Endpoint,
}

/// Section `controller`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ControllerConfig {
    /// Whom its entries in routers' tables belong to: the same after a restart, and another one for
    /// a controller that has other computers.
    pub owner: String,
    /// What is told about lambdas beside the routers.
    pub r#type: ControllerType,
    /// Which entries which router gets.
    pub installer: InstallerType,
}

/// What is told about lambdas beside the routers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerType {
    /// Nothing.
    #[default]
    Plain,
    /// An ETSI MEC LCM proxy in this process, with routes from a file: it lists the
    /// lambdas that are served.
    EtsiFile,
    /// An ETSI MEC LCM proxy, here or elsewhere, whose routes follow the computers and
    /// the latencies that the routers measure.
    EtsiBalanced,
}

/// Which entries which router gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InstallerType {
    /// Every router gets every computer, as final.
    #[default]
    Flat,
    /// Home routers by distance; not available in this version.
    Hier,
}

/// Section `etsi`, which counts for the types `etsi-file` and `etsi-balanced`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EtsiConfig {
    /// Where device applications ask, if the proxy is in this process.
    pub api_root: ApiRoot,
    /// Where it is managed then.
    pub management_endpoint: Endpoint,
    /// The routes of `etsi-file`: client (`*` for any), application, end-point.
    pub file: Option<PathBuf>,
    /// The proxy that `etsi-balanced` manages; absent: one in this process.
    pub balanced_endpoint: Option<Endpoint>,
    /// How often `etsi-balanced` looks at contexts and latencies.
    #[serde(with = "duration")]
    pub balanced_period: Duration,
    /// Where a proxy in this process keeps its contexts; absent: in memory only.
    pub state_folder: Option<PathBuf>,
    /// Tokens that its clients have to give; absent: none.
    pub tokens_file: Option<PathBuf>,
    /// Networks that it may notify, beside public addresses and those that contexts were
    /// created from.
    pub notify_networks: Vec<IpNet>,
}

/// Section `liveness`: computers that renew their announcements live as long
/// as they do so, others as long as they accept connections, or over QUIC answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LivenessConfig {
    /// Time from the end of one round of probes to the next.
    #[serde(with = "duration")]
    pub probe_interval: Duration,
    /// How long a computer may take to accept the connection of a probe.
    #[serde(with = "duration")]
    pub probe_timeout: Duration,
    /// Failed probes in a row after which a computer is withdrawn from the
    /// routers; an answer reinstates it. At least 1.
    pub probe_failures: u32,
    /// Silence after which computers and routers that never renew are
    /// forgotten for good.
    #[serde(with = "duration")]
    pub forget_after: Duration,
    /// How long after its start a controller leaves its entries in routers' tables alone whose
    /// computers have not announced themselves to it yet: the longest lease there is.
    #[serde(with = "duration")]
    pub grace: Duration,
}

/// Section `push`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PushConfig {
    /// Deadline of each call to a router.
    #[serde(with = "duration")]
    pub call_timeout: Duration,
    /// How often a router's table is compared with what it ought to be.
    #[serde(with = "duration")]
    pub reconcile_interval: Duration,
    /// Pause after the first failure; it doubles with each further one.
    #[serde(with = "duration")]
    pub first_retry: Duration,
    /// Longest pause between two attempts.
    #[serde(with = "duration")]
    pub last_retry: Duration,
}

/// Section `tls`. Certificates and keys are found as `CERT_DIR` and the other
/// variables of the C++ reference say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Whether announcements and calls to routers are encrypted, both sides
    /// showing certificates.
    pub control: bool,
}

/// For servers and for clients.
type TlsPair = (Arc<tls::ServerConfig>, Arc<tls::ClientConfig>);

/// A value that deserialised but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidConfig {
    /// The dotted key.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl TlsConfig {
    /// What to serve with and to call with, if encryption is asked for.
    pub(crate) fn load(&self) -> Result<Option<TlsPair>, TlsError> {
        if !self.control {
            return Ok(None);
        }
        let files = TlsFiles::from_environment()?;
        Ok(Some((files.server_config()?, files.client_config()?)))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            controller: ControllerConfig::default(),
            etsi: EtsiConfig::default(),
            liveness: LivenessConfig::default(),
            push: PushConfig::default(),
            tls: TlsConfig::default(),
            drain: DrainConfig::default(),
            log: LogConfig::default(),
            admin: AdminConfig::on_port(ADMIN_PORT),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("0.0.0.0", 6475),
        }
    }
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            owner: "edgecontroller".to_owned(),
            r#type: ControllerType::default(),
            installer: InstallerType::default(),
        }
    }
}

impl Default for EtsiConfig {
    fn default() -> Self {
        Self {
            api_root: ApiRoot::plain(Endpoint::new("127.0.0.1", 6500)),
            management_endpoint: Endpoint::new("127.0.0.1", 6477),
            file: None,
            balanced_endpoint: None,
            balanced_period: Duration::from_secs(5),
            state_folder: None,
            tokens_file: None,
            notify_networks: Vec::new(),
        }
    }
}

impl Default for LivenessConfig {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(2),
            probe_timeout: Duration::from_secs(1),
            probe_failures: 3,
            forget_after: Duration::from_secs(24 * 3600),
            grace: MAX_LEASE,
        }
    }
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(2),
            reconcile_interval: Duration::from_secs(5),
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(3),
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first key whose value makes no sense.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let invalid = |key, problem: &str| {
            let problem = problem.to_owned();
            Err(InvalidConfig { key, problem })
        };
        if self.controller.r#type == ControllerType::EtsiFile && self.etsi.file.is_none() {
            return invalid("etsi.file", "the type `etsi-file` needs a file of routes");
        }
        if self.controller.installer == InstallerType::Hier {
            return invalid(
                "controller.installer",
                "the hierarchical installer is not available in this version; use `flat`",
            );
        }
        let owner = &self.controller.owner;
        let length = 1..=MAX_NAME_BYTES;
        if !length.contains(&owner.len()) || owner.contains(|c: char| c.is_control()) {
            return invalid(
                "controller.owner",
                "must be a name of 1 to 255 bytes, without control characters",
            );
        }
        for (key, duration) in [
            ("etsi.balanced-period", self.etsi.balanced_period),
            ("liveness.probe-interval", self.liveness.probe_interval),
            ("liveness.probe-timeout", self.liveness.probe_timeout),
            ("push.call-timeout", self.push.call_timeout),
            ("push.reconcile-interval", self.push.reconcile_interval),
            ("push.first-retry", self.push.first_retry),
        ] {
            if duration.is_zero() {
                return invalid(key, "must be longer than 0");
            }
            if duration > DAY {
                return invalid(key, "must be at most a day");
            }
        }
        if self.liveness.grace > DAY {
            return invalid("liveness.grace", "must be at most a day");
        }
        if self.liveness.probe_failures == 0 {
            return invalid("liveness.probe-failures", "must be at least 1");
        }
        if self.push.last_retry < self.push.first_retry || self.push.last_retry > DAY {
            return invalid(
                "push.last-retry",
                "must be between push.first-retry and a day",
            );
        }
        Ok(())
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_survive_toml() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, key) in [
            ("controller.type = 'etsi-file'", "etsi.file"),
            ("controller.owner = ''", "controller.owner"),
            ("liveness.grace = '2days'", "liveness.grace"),
            ("etsi.balanced-period = 0", "etsi.balanced-period"),
            ("controller.installer = 'hier'", "controller.installer"),
            ("push.reconcile-interval = 0", "push.reconcile-interval"),
            ("push.call-timeout = '2days'", "push.call-timeout"),
            ("push.last-retry = '1ms'", "push.last-retry"),
            ("liveness.probe-failures = 0", "liveness.probe-failures"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            assert_eq!(config.check().unwrap_err().key, key, "{text}");
        }
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = include_str!("../../examples/controller.toml");
        let config: Config = toml::from_str(example).unwrap();
        assert_eq!(config, Config::default());
        let all = toml::Table::try_from(Config::default()).unwrap();
        let shown: toml::Table = toml::from_str(example).unwrap();
        for (section, keys) in &all {
            for key in keys.as_table().into_iter().flat_map(toml::Table::keys) {
                assert!(
                    shown.get(section).and_then(|s| s.get(key)).is_some(),
                    "{section}.{key} is not in the example"
                );
            }
        }
    }
}
