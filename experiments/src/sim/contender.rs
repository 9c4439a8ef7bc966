//! Who chooses the executors of a run.

use edge_balance::{InvalidPolicy, OptimizerConfig, PolicyConfig, PolicyKeys};

/// A way to choose executors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contender {
    /// Each router has a forwarding table with this policy: the code that brokers run.
    Policy {
        /// How it chooses.
        config: PolicyConfig,
        /// What learns the weights, for policies that look at nothing else.
        optimizer: OptimizerConfig,
    },
    /// Knows every queue, messages under way included, current speeds, mean services and round
    /// trips, and takes the least expected completion. Greedy, so it can be beaten.
    Oracle,
    /// Knows the work of every request, too.
    OracleWork,
    /// Any of the executors.
    Uniform,
}

impl Contender {
    /// A policy that learns by itself what it wants to know.
    pub(crate) fn policy(config: PolicyConfig) -> Self {
        Contender::Policy {
            config,
            optimizer: OptimizerConfig::None,
        }
    }

    /// The policy of that name with parameters as by default; proportional fairness, which has no
    /// default, weighs speed and fairness alike.
    pub(crate) fn policy_named(name: &str) -> Result<PolicyConfig, InvalidPolicy> {
        let keys = PolicyKeys {
            alpha: Some(1.0),
            beta: Some(1.0),
            ..PolicyKeys::default()
        };
        PolicyConfig::from_name(name, &keys)
    }

    /// For tables and the command line.
    pub(crate) fn name(&self) -> String {
        match self {
            Contender::Policy { config, .. } => config.to_string(),
            Contender::Oracle => "oracle".to_owned(),
            Contender::OracleWork => "oracle-work".to_owned(),
            Contender::Uniform => "uniform".to_owned(),
        }
    }
}
