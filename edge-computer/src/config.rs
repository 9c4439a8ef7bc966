//! The configuration of a computer: every key with its default and its limits.

mod common;
mod endpoint;
mod sections;
mod wsk;

use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use serde::{Deserialize, Serialize};

pub use self::common::Common;
pub use self::endpoint::OptionalEndpoint;
pub(crate) use self::sections::ADMIN_PORT;
pub use self::sections::{
    Admin, AsynchronousConfig, ComputerConfig, ComputerType, ControllerConfig, DryConfig,
    EstimatorConfig, LimitsConfig, ServerConfig, StateConfig, TlsConfig, TransportConfig,
    UtilizationConfig,
};
pub use self::wsk::WskConfig;
use crate::runtime::RuntimeConfig;
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
    /// What executes the lambdas.
    pub computer: ComputerConfig,
    /// What is simulated, by computers of type `sim`.
    pub platform: PlatformConfig,
    /// Which functions there are, on computers of type `runtime`.
    pub runtime: RuntimeConfig,
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
        self.common().validate()?;
        match self.computer.kind {
            ComputerType::Sim => {
                let platform = compose("", &self.platform).map(drop);
                platform.map_err(|error| InvalidConfig {
                    key: error.key(),
                    problem: with_causes(&error),
                })?;
                if !self.runtime.lambdas.is_empty() {
                    let problem = "there are functions, but this computer simulates: \
                                   computer.type must be \"runtime\" (--computer-type runtime)";
                    return Err(InvalidConfig {
                        key: "runtime.lambda",
                        problem: problem.to_owned(),
                    });
                }
            }
            ComputerType::Runtime => {
                let valid = self.runtime.validate();
                valid.map_err(|(key, problem)| InvalidConfig {
                    key,
                    problem: problem.to_owned(),
                })?;
                self.runtime.functions().map_err(|error| InvalidConfig {
                    key: "runtime.lambda",
                    problem: error.to_string(),
                })?;
            }
        }
        Ok(())
    }

    /// What it has in common with computers of other kinds.
    pub fn common(&self) -> Common {
        Common {
            server: self.server.clone(),
            controller: self.controller.clone(),
            utilization: self.utilization.clone(),
            asynchronous: self.asynchronous.clone(),
            state: self.state.clone(),
            transport: self.transport.clone(),
            tls: self.tls.clone(),
            admin: self.admin.clone(),
        }
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
