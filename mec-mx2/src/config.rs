//! The configuration of an Mx2 server, all keys with defaults.

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::admin::AdminConfig;
use edge_daemon::duration;
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_transport::Endpoint;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::root::ApiRoot;

/// The admin port unless configured otherwise.
pub(crate) const ADMIN_PORT: u16 = 9500;

/// Configuration of an Mx2 server; see `examples/mx2.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What device applications talk to.
    pub api: ApiConfig,
    /// What operators and controllers talk to.
    pub server: ManagementConfig,
    /// Who may ask.
    pub auth: AuthConfig,
    /// What is there from the start.
    pub routes: RoutesConfig,
    /// How many contexts are kept, and how long.
    pub contexts: ContextsConfig,
    /// How device applications are told of changes.
    pub notifications: NotificationsConfig,
    /// What survives a restart.
    pub state: StateConfig,
    /// What is encrypted.
    pub tls: TlsConfig,
    /// How the process ends.
    pub drain: DrainConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Metrics, health and state over HTTP.
    pub admin: AdminConfig,
}

/// Section `api`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ApiConfig {
    /// Where the interfaces are served. Port 0 picks a free one.
    pub root: ApiRoot,
    /// Scheme of references that have none, on the standard interface.
    pub reference_scheme: String,
    /// Refuses what is overlooked otherwise: an identifier in a creation; in a change, none, or
    /// values that cannot change; on `/mx2/v1`, filters that make no sense.
    pub strict: bool,
    /// Wraps what the standard interface answers in the name of its type, as the newest
    /// published description does.
    pub wrapped: bool,
    /// Largest body accepted, in bytes.
    pub max_body_bytes: usize,
    /// Connections at the same time.
    pub max_connections: usize,
}

/// Section `server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ManagementConfig {
    /// Where the management listens. Port 0 picks a free one.
    pub endpoint: Endpoint,
}

/// Section `auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AuthConfig {
    /// File of subjects and tokens, one of which every client has to give; absent: nobody
    /// has to say who it is.
    pub tokens_file: Option<PathBuf>,
    /// Keys (a JSON Web Key Set) of an authorisation server: tokens that it has signed are good,
    /// too, as long as they say.
    pub jwks_file: Option<PathBuf>,
    /// Who has to have issued those tokens; absent: whoever has a key.
    pub issuer: Option<String>,
    /// For whom they have to be; absent: whomever.
    pub audience: Option<String>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Section `routes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoutesConfig {
    /// Triples of client, application and end-point; the applications are added as lambdas.
    pub file: Option<PathBuf>,
    /// A list of applications as JSON, in any shape of MEC 016.
    pub applications: Option<PathBuf>,
}

/// Section `contexts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ContextsConfig {
    /// Contexts at the same time.
    pub max: usize,
    /// Bytes of the requests of all of them together.
    pub max_bytes: usize,
    /// Contexts of one owner or, where clients do not say who they are, of one address that is not
    /// the loopback.
    pub max_per_owner: usize,
    /// How long a context is kept that no computer serves.
    #[serde(with = "duration")]
    pub unserved: Duration,
    /// How long a context is kept whose notifications do not arrive.
    #[serde(with = "duration")]
    pub unreachable: Duration,
    /// How long a context is kept without a sign of life: its creation, a change by its
    /// owner, or a notification that arrived.
    #[serde(with = "duration")]
    pub idle: Duration,
}

/// Section `notifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NotificationsConfig {
    /// Of one attempt, from the name to the answer.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Attempts for one notification, at least 1.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each further one, with jitter.
    #[serde(with = "duration")]
    pub first_retry: Duration,
    /// Longest pause.
    #[serde(with = "duration")]
    pub last_retry: Duration,
    /// Notifications that wait for one context; beyond, old addresses are left out.
    pub queue: usize,
    /// Networks that may be notified beside public addresses and the address that a
    /// context was created from.
    pub allow: Vec<IpNet>,
    /// Authorities for `https`, as PEM; absent: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificates, as PEM, for receivers that ask for one.
    pub certificate: Option<PathBuf>,
    /// The key of the first of them.
    pub key: Option<PathBuf>,
}

/// Section `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateConfig {
    /// Where contexts, applications and routes are kept; absent: in memory only.
    pub folder: Option<PathBuf>,
    /// Whether creations wait for the disk itself.
    pub sync: bool,
}

/// Section `tls`. Certificates and keys are found as `CERT_DIR` and the other variables of
/// the C++ reference say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// The interfaces of device applications.
    pub api: ApiTls,
    /// Whether the management is encrypted, both sides showing certificates.
    pub control: bool,
}

/// How the interfaces of device applications are encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiTls {
    /// Not at all.
    #[default]
    Off,
    /// The server shows a certificate.
    Server,
    /// Both sides do; the client's says who it is.
    Mutual,
}

/// A value that deserialised but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidConfig {
    /// The dotted key.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api: ApiConfig::default(),
            server: ManagementConfig::default(),
            auth: AuthConfig::default(),
            routes: RoutesConfig::default(),
            contexts: ContextsConfig::default(),
            notifications: NotificationsConfig::default(),
            state: StateConfig::default(),
            tls: TlsConfig::default(),
            drain: DrainConfig::default(),
            log: LogConfig::default(),
            admin: AdminConfig::on_port(ADMIN_PORT),
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            root: ApiRoot::plain(Endpoint::new("127.0.0.1", 6500)),
            reference_scheme: "grpc".to_owned(),
            strict: false,
            wrapped: false,
            max_body_bytes: 64 << 10,
            max_connections: 4096,
        }
    }
}

impl Default for ManagementConfig {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new("127.0.0.1", 6477),
        }
    }
}

impl Default for ContextsConfig {
    fn default() -> Self {
        Self {
            max: 100_000,
            max_bytes: 256 << 20,
            max_per_owner: 10_000,
            unserved: Duration::from_secs(30),
            unreachable: Duration::from_secs(600),
            idle: DAY * 30,
        }
    }
}

impl Default for NotificationsConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            attempts: 5,
            first_retry: Duration::from_millis(500),
            last_retry: Duration::from_secs(8),
            queue: 128,
            allow: Vec::new(),
            ca_file: None,
            certificate: None,
            key: None,
        }
    }
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            folder: None,
            sync: true,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first key whose value makes no sense.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let require = |key, condition: bool, problem: &str| {
            let problem = problem.to_owned();
            if condition {
                Ok(())
            } else {
                Err(InvalidConfig { key, problem })
            }
        };
        require(
            "tls.api",
            self.api.root.is_secure() == (self.tls.api != ApiTls::Off),
            "it has to be `off` for an api.root that begins with http://, and another for one with https://",
        )?;
        for (key, wanted) in [
            ("auth.issuer", &self.auth.issuer),
            ("auth.audience", &self.auth.audience),
        ] {
            let holds = wanted.is_none() || self.auth.jwks_file.is_some();
            require(key, holds, "goes with auth.jwks-file")?;
        }
        require(
            "notifications.key",
            self.notifications.certificate.is_some() == self.notifications.key.is_some(),
            "goes with notifications.certificate, and that with it",
        )?;
        let mut scheme = self.api.reference_scheme.chars();
        require(
            "api.reference-scheme",
            scheme.next().is_some_and(|c| c.is_ascii_alphabetic())
                && scheme.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)),
            "must be the scheme of a URI, like grpc",
        )?;
        for (key, value, from, to) in [
            ("api.max-body-bytes", self.api.max_body_bytes, 1024, 1 << 20),
            (
                "api.max-connections",
                self.api.max_connections,
                1,
                1_000_000,
            ),
            ("contexts.max", self.contexts.max, 1, 10_000_000),
            (
                "contexts.max-bytes",
                self.contexts.max_bytes,
                1 << 20,
                1 << 40,
            ),
            (
                "contexts.max-per-owner",
                self.contexts.max_per_owner,
                1,
                10_000_000,
            ),
            ("notifications.queue", self.notifications.queue, 2, 10_000),
            (
                "notifications.attempts",
                self.notifications.attempts as usize,
                1,
                20,
            ),
        ] {
            let range = (from..=to).contains(&value);
            require(key, range, &format!("must be from {from} to {to}"))?;
        }
        for (key, value, most) in [
            ("contexts.unserved", self.contexts.unserved, YEAR),
            ("contexts.unreachable", self.contexts.unreachable, YEAR),
            ("contexts.idle", self.contexts.idle, YEAR),
            (
                "notifications.timeout",
                self.notifications.timeout,
                Duration::from_secs(60),
            ),
            (
                "notifications.first-retry",
                self.notifications.first_retry,
                DAY,
            ),
        ] {
            require(key, !value.is_zero(), "must be longer than 0")?;
            require(key, value <= most, "is too long")?;
        }
        require(
            "notifications.last-retry",
            (self.notifications.first_retry..=DAY).contains(&self.notifications.last_retry),
            "must be between notifications.first-retry and a day",
        )
    }
}

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
            ("api.root = 'https://a'", "tls.api"),
            ("tls.api = 'mutual'", "tls.api"),
            ("auth.issuer = 'i'", "auth.issuer"),
            ("api.reference-scheme = ''", "api.reference-scheme"),
            ("api.max-body-bytes = 1", "api.max-body-bytes"),
            ("contexts.max = 0", "contexts.max"),
            ("contexts.idle = 0", "contexts.idle"),
            ("notifications.timeout = '2h'", "notifications.timeout"),
            (
                "notifications.last-retry = '1ms'",
                "notifications.last-retry",
            ),
            ("notifications.attempts = 0", "notifications.attempts"),
        ] {
            let config: Config = toml::from_str(text).unwrap();
            assert_eq!(config.check().unwrap_err().key, key, "{text}");
        }
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = include_str!("../../examples/mx2.toml");
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
