//! Who chooses the executors of a run.

use edge_balance::PolicyConfig;

/// A way to choose executors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Contender {
    /// Each router has a forwarding table with this policy: the code that brokers run.
    Policy(PolicyConfig),
    /// Knows every queue, messages under way included, current speeds, mean services and round
    /// trips, and takes the least expected completion. Greedy, so it can be beaten.
    Oracle,
    /// Knows the work of every request, too.
    OracleWork,
    /// Any of the executors.
    Uniform,
}

impl Contender {
    /// For tables and the command line.
    pub(crate) fn name(&self) -> String {
        match self {
            Contender::Policy(policy) => policy.to_string(),
            Contender::Oracle => "oracle".to_owned(),
            Contender::OracleWork => "oracle-work".to_owned(),
            Contender::Uniform => "uniform".to_owned(),
        }
    }
}
