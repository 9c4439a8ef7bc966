//! The configuration as loaded, which still knows where each key was written.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::error::{ConfigError, Origin};

/// A configuration, where its keys were written, and what deserves a warning.
#[derive(Debug)]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    warnings: Vec<String>,
    origins: BTreeMap<String, Origin>,
}

impl<C> Loaded<C> {
    pub(super) fn new(config: C, warnings: Vec<String>, origins: BTreeMap<String, Origin>) -> Self {
        Self {
            config,
            warnings,
            origins,
        }
    }

    /// Oddities of the configuration that did not prevent loading it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Logs the warnings; to be called once the log is set up.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Where the dotted `key` was written.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The error for a value that deserialised but makes no sense, for the program's own
    /// checks: `loaded.invalid("router.max-hops", "must be at least 1")`.
    pub fn invalid(&self, key: &str, problem: impl fmt::Display) -> ConfigError {
        ConfigError::Invalid {
            origin: self.origin(key),
            key: key.to_owned(),
            problem: problem.to_string(),
        }
    }
}

impl<C: Serialize> Loaded<C> {
    /// The configuration in force as TOML, defaults included.
    ///
    /// # Errors
    /// The configuration has a value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(&self.config).map_err(ConfigError::Unprintable)
    }
}
