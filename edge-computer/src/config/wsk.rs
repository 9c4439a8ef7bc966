//! The configuration of `edgecomputerwsk`: every key with its default and its limits.

use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use serde::{Deserialize, Serialize};

use super::{
    Admin, AsynchronousConfig, Common, ControllerConfig, InvalidConfig, LimitsConfig, ServerConfig,
    StateConfig, TlsConfig, TransportConfig, UtilizationConfig, with_causes,
};
use crate::openwhisk::{BackendConfig, BackendError};

/// The configuration of one computer that fronts OpenWhisk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WskConfig {
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
    /// The platform that is fronted, if it is one.
    pub wsk: BackendConfig,
    /// The platforms that are fronted, or further ones.
    #[serde(rename = "backend")]
    pub backends: Vec<BackendConfig>,
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

impl WskConfig {
    /// Checks what the types of the values do not say, files of credentials and certificates
    /// included.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.common().validate()?;
        let invalid = |key, problem: String| InvalidConfig { key, problem };
        let fronted = self.fronted();
        if fronted.is_empty() {
            let problem = "there is no platform to front: say where one is (--wsk-api-root), or \
                           name several as [[backend]]";
            return Err(invalid("wsk.api-root", problem.to_owned()));
        }
        for (index, backend) in fronted.iter().enumerate() {
            let name = backend.display_name();
            if fronted[..index]
                .iter()
                .any(|other| other.display_name() == name)
            {
                let problem = format!("two are called {name}; give them a name each");
                return Err(invalid("backend", problem));
            }
            let valid = backend.validate();
            valid.map_err(|error| {
                let problem = with_causes(&error);
                if std::ptr::eq(*backend, &self.wsk) {
                    invalid(key_of(&error, backend), problem)
                } else {
                    invalid("backend", format!("{name}: {problem}"))
                }
            })?;
        }
        Ok(())
    }

    /// All platforms that are fronted.
    pub fn fronted(&self) -> Vec<&BackendConfig> {
        let one = Some(&self.wsk).filter(|wsk| !wsk.api_root.is_empty());
        one.into_iter().chain(&self.backends).collect()
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

/// The key of the only platform that has the problem.
fn key_of(error: &BackendError, backend: &BackendConfig) -> &'static str {
    match error {
        BackendError::Root { .. } => "wsk.api-root",
        BackendError::Certificates { .. } => "wsk.ca-file",
        BackendError::Credentials(_) if backend.auth_file.is_some() => "wsk.auth-file",
        BackendError::Credentials(_) => "wsk.auth",
        BackendError::Value(_) | BackendError::Client(_) => "wsk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let config: WskConfig = toml::from_str(text).unwrap();
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn platforms_are_needed_and_told_apart() {
        assert!(problem("").contains("--wsk-api-root"));
        let two = "[[backend]]\napi-root = 'https://a'\n[[backend]]\napi-root = 'https://a'";
        assert!(problem(two).contains("two are called a:443"));
        assert!(problem("[wsk]\napi-root = 'a'").starts_with("wsk.api-root: "));
        assert!(problem("[wsk]\napi-root = 'https://a'\nauth = 'x'").starts_with("wsk.auth: "));
        let both = "[wsk]\napi-root = 'http://a'\n[[backend]]\napi-root = 'https://b'";
        let config: WskConfig = toml::from_str(both).unwrap();
        config.validate().unwrap();
        assert_eq!(config.fronted().len(), 2);
    }

    #[test]
    fn the_defaults_survive_toml() {
        let text = toml::to_string(&WskConfig::default()).unwrap();
        assert_eq!(
            toml::from_str::<WskConfig>(&text).unwrap(),
            WskConfig::default()
        );
    }
}
