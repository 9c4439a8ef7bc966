//! The section `[fake]`: a table that is filled at the start.

use serde::{Deserialize, Serialize};

/// Made-up entries of the overall table: lambdas `lambda0`, `lambda1`, …, each
/// with destinations `127.0.0.1:0`, `127.0.0.1:1`, …
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FakeConfig {
    /// Number of lambdas.
    pub num_lambdas: usize,
    /// Number of destinations of each.
    pub num_destinations: usize,
}
