//! What is fronted: one or several OpenWhisks, each with its credentials and bounds.

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::Secret;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::credentials::{self, CredentialsError};
use crate::params::Mapping;

/// Where the API is below the root.
const API: &str = "/api/v1";

/// An entry `[[backend]]`, or the section `wsk` where there is one only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackendConfig {
    /// What it is called where it is shown; without it, its host and port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is: `https://host[:port]`.
    pub api_root: String,
    /// Credentials: `uuid:key`, or the base64 form of it.
    pub auth: Secret,
    /// A file that contains them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_file: Option<PathBuf>,
    /// Namespaces whose actions are announced; `_` is that of the credentials.
    pub namespaces: Vec<String>,
    /// Under which names actions are announced.
    pub names: NamesConfig,
    /// Certificates (PEM) of the authorities that are trusted, instead of those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate: whoever is in between reads and changes everything.
    pub insecure: bool,
    /// Requests at the same time, from 1 to 10,000; more wait for their turn.
    pub max_in_flight: u32,
    /// How often its actions are listed, give or take a tenth.
    #[serde(with = "edge_daemon::duration")]
    pub interval: Duration,
    /// Listings, or calls, that fail in a row after which its actions are announced no longer,
    /// until a listing succeeds; after calls, one that comes a while later.
    pub max_failures: u32,
    /// Most actions; with more of them nothing is announced.
    pub max_actions: usize,
    /// What its times are multiplied with before it is compared with others that have the same
    /// action.
    pub weight: f64,
    /// How long one call waits for its action before the record is asked for again and again;
    /// without it as long as the platform lets it.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// How inputs become parameters, and results outputs.
    pub mapping: Mapping,
}

impl Default for BackendConfig {
    /// The namespace of the credentials, listed every five seconds; verified certificates; 30
    /// requests at the same time, which is what an OpenWhisk takes as it is delivered.
    fn default() -> Self {
        Self {
            name: String::new(),
            api_root: String::new(),
            auth: Secret::default(),
            auth_file: None,
            namespaces: vec!["_".to_owned()],
            names: NamesConfig::default(),
            ca_file: None,
            insecure: false,
            max_in_flight: 30,
            interval: Duration::from_secs(5),
            max_failures: 3,
            max_actions: 4000,
            weight: 1.0,
            wait: None,
            mapping: Mapping::default(),
        }
    }
}

/// Under which names actions are announced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamesConfig {
    /// `/namespace[/package]/name`, and without the namespace those of the first namespace.
    #[default]
    Auto,
    /// `/namespace[/package]/name`.
    Fqn,
    /// `[package/]name`.
    Short,
}

/// Why a platform cannot be fronted.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The root of its API is no URL of the web.
    #[error("api-root '{root}': {problem}")]
    Root {
        /// As it is configured.
        root: String,
        /// What is wrong.
        problem: String,
    },
    /// A value makes no sense.
    #[error("{0}")]
    Value(&'static str),
    /// The credentials are of no use.
    #[error("credentials: {0}")]
    Credentials(#[from] CredentialsError),
    /// The certificates cannot be read.
    #[error("ca-file {path}: {problem}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no HTTP client.
    #[error("cannot prepare the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl BackendConfig {
    /// Checks what the types of the values do not say, files included.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn validate(&self) -> Result<(), BackendError> {
        let check = |holds: bool, problem| holds.then_some(()).ok_or(BackendError::Value(problem));
        self.base()?;
        self.authorization()?;
        self.certificates()?;
        let one_source = self.auth.is_empty() || self.auth_file.is_none();
        check(one_source, "there are both auth and auth-file")?;
        check(!self.namespaces.is_empty(), "namespaces: there is none")?;
        let named = self
            .namespaces
            .iter()
            .all(|name| super::name::is_valid(name));
        check(
            named,
            "namespaces: one of them has a name that OpenWhisk does not take",
        )?;
        check(
            (1..=10_000).contains(&self.max_in_flight),
            "max-in-flight must be from 1 to 10000",
        )?;
        check(
            self.interval >= Duration::from_millis(10),
            "interval must be at least 10ms",
        )?;
        check(self.max_failures >= 1, "max-failures must be at least 1")?;
        check(
            self.weight.is_finite() && self.weight > 0.0,
            "weight must be positive",
        )?;
        check(
            self.wait
                .is_none_or(|wait| wait >= Duration::from_millis(1)),
            "wait must be at least 1ms",
        )
    }

    /// The URL that all paths are appended to.
    pub(super) fn base(&self) -> Result<String, BackendError> {
        let wrong = |problem: String| BackendError::Root {
            root: self.api_root.clone(),
            problem,
        };
        let of_the_web = |url: &reqwest::Url| {
            matches!(url.scheme(), "http" | "https") && url.host_str().is_some()
        };
        let url = reqwest::Url::parse(&self.api_root).ok().filter(of_the_web);
        let Some(url) = url else {
            return Err(wrong("expected something like https://HOST".to_owned()));
        };
        if !url.username().is_empty() || url.password().is_some() {
            let problem = "credentials belong in auth or auth-file";
            return Err(BackendError::Value(problem));
        }
        let root = self.api_root.trim_end_matches('/');
        let root = root.strip_suffix(API).unwrap_or(root);
        Ok(format!("{root}{API}/"))
    }

    /// What it is called.
    pub(crate) fn display_name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let url = reqwest::Url::parse(&self.api_root).ok();
        let port = url.as_ref().and_then(reqwest::Url::port_or_known_default);
        let host = url
            .as_ref()
            .and_then(reqwest::Url::host_str)
            .unwrap_or("wsk");
        format!("{host}:{}", port.unwrap_or(0))
    }

    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, BackendError> {
        let secret = match &self.auth_file {
            Some(path) => credentials::read(path)?,
            None => self.auth.clone(),
        };
        Ok(credentials::authorization(&secret)?)
    }

    pub(super) fn certificates(&self) -> Result<Option<Vec<reqwest::Certificate>>, BackendError> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let wrong = |problem: String| BackendError::Certificates {
            path: path.display().to_string(),
            problem,
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let all = reqwest::Certificate::from_pem_bundle(&pem);
        let all = all.map_err(|error| wrong(crate::runtime::explain(&error)))?;
        if all.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        Ok(Some(all))
    }
}

/// A duration as text, or none.
mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Spelled(#[serde(with = "edge_daemon::duration")] Duration);

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => edge_daemon::duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Some(Spelled::deserialize(deserializer)?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_taken_with_and_without_the_path_of_the_api() {
        let base = |root: &str| {
            let api_root = root.to_owned();
            let config = BackendConfig {
                api_root,
                ..BackendConfig::default()
            };
            config.base().ok()
        };
        for root in [
            "https://host:1234",
            "https://host:1234/",
            "https://host:1234/api/v1/",
        ] {
            assert_eq!(base(root).unwrap(), "https://host:1234/api/v1/");
        }
        for wrong in ["", "host", "ftp://host", "https://user:key@host"] {
            assert_eq!(base(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_configured_survives_toml_but_for_secrets() {
        let text = "api-root = 'https://host'\nauth = 'u:k'\nwait = '30s'\nnames = 'short'";
        let config: BackendConfig = toml::from_str(text).unwrap();
        config.validate().unwrap();
        assert_eq!(config.wait, Some(Duration::from_secs(30)));
        let shown = toml::to_string(&config).unwrap();
        assert!(
            !shown.contains("u:k") && shown.contains("wait = \"30s\""),
            "{shown}"
        );
        assert_eq!(config.display_name(), "host:443");
    }
}
