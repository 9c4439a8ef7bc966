//! Which chain or graph a run executes, and where its states are.

use std::path::{Path, PathBuf};

use edge_daemon::conf_string::{ConfSchema, Key, Kind};
use edge_transport::{Endpoint, Limits, Scheme};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigProblem, require};
use crate::workflow::{Plan, PlanError};

/// Where a chain or graph comes from: the section `chain` or `dag`, or
/// `--chain-conf` and `--dag-conf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
pub enum WorkflowConfig {
    /// A JSON file, in the format of [`Plan::read_chain`] and
    /// [`Plan::read_dag`].
    File {
        /// The path.
        filename: PathBuf,
    },
    /// The program is to write an example, and end.
    MakeTemplate {},
}

/// What `--chain-conf` takes.
pub(crate) static CHAIN_CONF: ConfSchema = ConfSchema {
    option: "--chain-conf",
    section: "chain",
    kinds: KINDS,
    common: &[],
};

/// What `--dag-conf` takes.
pub(crate) static DAG_CONF: ConfSchema = ConfSchema {
    option: "--dag-conf",
    section: "dag",
    kinds: KINDS,
    common: &[],
};

const KINDS: &[Kind] = &[
    Kind {
        name: "file",
        keys: &[Key::text("filename")],
    },
    Kind {
        name: "make-template",
        keys: &[],
    },
];

impl Config {
    /// The chain or graph to execute; `None` if it is the lambda.
    ///
    /// # Errors
    /// If there is more than one, its file is unusable, or it is a template.
    pub fn plan(&self) -> Result<Option<Plan>, ConfigProblem> {
        let problem = "there is a `chain` too: give only one of them";
        require(
            "dag.type",
            self.chain.is_none() || self.dag.is_none(),
            problem,
        )?;
        let chain = read("chain.filename", self.chain.as_ref(), Plan::read_chain)?;
        let dag = read("dag.filename", self.dag.as_ref(), Plan::read_dag)?;
        Ok(chain.or(dag))
    }

    /// An example to write, and the name of its file, if that is asked for.
    pub fn template(&self) -> Option<(Plan, &'static str)> {
        const TEMPLATE: Option<WorkflowConfig> = Some(WorkflowConfig::MakeTemplate {});
        if self.chain == TEMPLATE {
            return Some((Plan::example_chain(), "chain-example.json"));
        }
        (self.dag == TEMPLATE).then(|| (Plan::example_dag(), "dag-example.json"))
    }

    /// Whether the plan and its states can be sent as this configuration says.
    pub(super) fn validate_plan(&self) -> Result<(), ConfigProblem> {
        let plan = self.plan()?;
        self.validate_message(plan.as_ref())?;
        require(
            "state-server",
            self.state_server || self.state_endpoint.is_some(),
            "without one of its own (--no-state-server), `state-endpoint` must say where one is",
        )?;
        if let Some(endpoint) = &self.state_endpoint {
            self.validate_remote(endpoint)?;
        }
        let Some(plan) = plan else {
            return Ok(());
        };
        let key = if self.dag.is_some() {
            "dag.filename"
        } else {
            "chain.filename"
        };
        let limit = Limits::default().max_message_bytes;
        let sizes = || {
            plan.needed_states()
                .filter_map(|state| plan.state_sizes().get(state))
        };
        let bytes = if self.state_endpoint.is_some() {
            plan.state_sizes().values().copied().max().unwrap_or(0)
        } else {
            sizes().fold(0, |sum: usize, &size| sum.saturating_add(size))
        };
        require(
            key,
            bytes <= limit,
            format!("messages cannot be larger than {limit} bytes, its states have {bytes}"),
        )
    }

    fn validate_remote(&self, endpoint: &Endpoint) -> Result<(), ConfigProblem> {
        let key = "state-endpoint";
        require(
            key,
            self.chain.is_some() || self.dag.is_some(),
            "only the functions of a `chain` or `dag` have states: give one",
        )?;
        require(
            key,
            self.rate.is_none() && self.num_threads.get() == 1,
            "states that move follow one client: leave `rate` and `num-threads` away",
        )?;
        require(
            key,
            !endpoint.is_unspecified(),
            "give the address at which computers can reach this machine",
        )?;
        require(
            key,
            endpoint.scheme() == Scheme::Unsaid,
            "states are kept and fetched over TCP: give HOST:PORT",
        )?;
        let problem = format!("nobody listens at port 0 of {endpoint}: give its port");
        require(key, self.state_server || endpoint.port() != 0, problem)
    }
}

fn read(
    key: &'static str,
    config: Option<&WorkflowConfig>,
    read: fn(&Path) -> Result<Plan, PlanError>,
) -> Result<Option<Plan>, ConfigProblem> {
    match config {
        Some(WorkflowConfig::File { filename }) => {
            let plan = read(filename).map(Some);
            plan.map_err(|error| ConfigProblem {
                key,
                problem: error.to_string(),
            })
        }
        Some(WorkflowConfig::MakeTemplate {}) | None => Ok(None),
    }
}
