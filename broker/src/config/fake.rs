//! The section `[fake]`: a table that is filled at the start.

use serde::{Deserialize, Serialize};

/// Made-up entries of the overall table: lambdas `lambda0`, `lambda1`, …, each
/// with destinations `127.0.0.1:0`, `127.0.0.1:1`, …
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FakeConfig {
    /// Number of lambdas; with the other number, no more entries than the tables may have.
    pub num_lambdas: usize,
    /// Number of destinations of each, 65536 at the most.
    pub num_destinations: usize,
}

impl FakeConfig {
    /// What makes no sense where tables hold so many entries, if anything: key and problem.
    pub(crate) fn check(&self, max_entries: usize) -> Result<(), (&'static str, String)> {
        const PORTS: usize = 1 << 16;
        let (lambdas, destinations) = (self.num_lambdas, self.num_destinations);
        if destinations > PORTS {
            let problem = format!("{destinations} is more than there are ports, {PORTS}");
            return Err(("fake.num-destinations", problem));
        }
        match (lambdas, destinations) {
            (0, 1..) => {
                let problem =
                    format!("0, so that there is none for the {destinations} destinations");
                Err(("fake.num-lambdas", problem))
            }
            (1.., 0) => {
                let problem = format!("0, so that there is none for the {lambdas} lambdas");
                Err(("fake.num-destinations", problem))
            }
            _ if lambdas > max_entries / destinations.max(1) => {
                let problem = format!(
                    "{lambdas} lambdas with {destinations} destinations each are more entries than \
                     tables.max-entries allows, {max_entries}"
                );
                Err(("fake.num-lambdas", problem))
            }
            _ => Ok(()),
        }
    }
}
