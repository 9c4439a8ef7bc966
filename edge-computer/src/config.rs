//! The configuration of a computer: every key with its default and its limits.

mod endpoint;
mod sections;

use std::num::NonZeroUsize;

use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_transport::Cores;
use serde::{Deserialize, Serialize};

pub use self::endpoint::OptionalEndpoint;
pub(crate) use self::sections::ADMIN_PORT;
pub use self::sections::{
    Admin, AsynchronousConfig, ControllerConfig, DryConfig, EstimatorConfig, LimitsConfig,
    ServerConfig, StateConfig, TlsConfig, TransportConfig, UtilizationConfig,
};
use crate::sim::{PlatformConfig, compose};

/// Most cores that the data plane may use.
pub const MAX_THREADS: u32 = 512;

/// The configuration of one computer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The lambda service.
    pub server: ServerConfig,
    /// How lambdas travel.
    pub transport: TransportConfig,
    /// Whom to tell what is served here.
    pub controller: ControllerConfig,
    /// The stream of utilisation.
    pub utilization: UtilizationConfig,
    /// Requests with a callback, chains and graphs.
    pub asynchronous: AsynchronousConfig,
    /// The state server.
    pub state: StateConfig,
    /// What is simulated.
    pub platform: PlatformConfig,
    /// Dry requests.
    pub dry: DryConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// Encryption.
    pub tls: TlsConfig,
    /// The end of the process.
    pub drain: DrainConfig,
    /// The log.
    pub log: LogConfig,
    /// Metrics and health.
    pub admin: Admin,
}

/// A value that makes no sense, and its key.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidConfig {
    /// The key, dotted.
    pub key: &'static str,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

impl Config {
    /// Checks what the types of the values do not say, the platform's file included.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let check = |holds: bool, key, problem: &str| {
            let problem = problem.to_owned();
            let error = InvalidConfig { key, problem };
            holds.then_some(()).ok_or(error)
        };
        let threads = self.server.num_threads;
        check(
            threads.is_none_or(|count| (1..=MAX_THREADS).contains(&count)),
            "server.num-threads",
            &format!("must be from 1 to {MAX_THREADS}"),
        )?;
        check(
            self.server.advertise.get().is_none_or(|at| at.port() != 0),
            "server.advertise",
            "port 0 cannot be reached; name the port that others connect to",
        )?;
        check(
            self.state.serve || self.state.endpoint.get().is_some(),
            "state.serve",
            "without a state server of its own (--no-state-server), state.endpoint \
             (--state-endpoint) must say where there is one",
        )?;
        check(
            self.state.serve || self.state.endpoint.get().is_none_or(|at| at.port() != 0),
            "state.endpoint",
            "port 0 cannot be reached",
        )?;
        check(
            self.asynchronous.max_queued > 0,
            "asynchronous.max-queued",
            "must be at least 1",
        )?;
        compose("", &self.platform).map_err(|error| InvalidConfig {
            key: "platform",
            problem: with_causes(&error),
        })?;
        Ok(())
    }

    /// Whether requests with a callback are taken.
    pub fn takes_callbacks(&self) -> bool {
        self.asynchronous.enabled || self.asynchronous.companion.get().is_some()
    }

    /// Cores of the data plane.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let asked = self
            .server
            .num_threads
            .and_then(|count| usize::try_from(count).ok());
        asked
            .and_then(NonZeroUsize::new)
            .unwrap_or_else(Cores::available)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
