//! Who chooses the executors of a run, and the names of all who can.

use edge_balance::{
    EstimatorConfig, InvalidPolicy, Nanos, OptimizerConfig, PolicyConfig, PolicyKeys,
};

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

/// How the old value weighs in the optimizer of the policies that only look at weights, as in the
/// published experiments of the C++ reference.
const ALPHA: f64 = 0.95;

/// Samples that the estimators of a dispatcher fit to, as by default.
const WINDOW: usize = 50;
/// After which network times no longer count, as by default.
const STALE_AFTER: Nanos = Nanos::from_secs(10);
/// The same of processing times.
const PROCESSING_STALE_AFTER: Nanos = Nanos::from_secs(60);

impl Contender {
    /// The name of [`Contender::Oracle`].
    pub(crate) const ORACLE: &str = "oracleE";
    /// The references, the omniscient last.
    pub(crate) const REFERENCES: [&str; 3] = ["uniform", Contender::ORACLE, "oracleW"];
    /// The dispatcher's estimators that can be simulated: no request waits for probes before it is
    /// sent. Requests have no input whose size an estimator could learn from.
    pub(crate) const ESTIMATORS: [&str; 3] = ["rtt", "util", "delay"];

    /// A policy that learns by itself what it wants to know.
    #[cfg(test)]
    pub(crate) fn policy(config: PolicyConfig) -> Self {
        Contender::Policy {
            config,
            optimizer: OptimizerConfig::None,
        }
    }

    /// The names of all: the policies in the order of [`PolicyConfig::NAMES`], the references, the estimators.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        PolicyConfig::NAMES
            .into_iter()
            .chain(Contender::REFERENCES)
            .chain(Contender::ESTIMATORS)
    }

    /// The one of that name: a reference, an estimator, or a policy, with parameters as by default;
    /// proportional fairness, which has no default, weighs speed and fairness alike. Policies of the
    /// C++ reference see only weights and need an optimizer to learn them; ours learn by themselves.
    ///
    /// # Errors
    /// None is called so.
    pub(crate) fn named(name: &str) -> Result<Self, InvalidPolicy> {
        let config = match name {
            "uniform" => return Ok(Contender::Uniform),
            Contender::ORACLE => return Ok(Contender::Oracle),
            "oracleW" => return Ok(Contender::OracleWork),
            "rtt" => PolicyConfig::Estimator(EstimatorConfig::Rtt {
                window_size: WINDOW,
                stale_period: STALE_AFTER,
            }),
            "util" => PolicyConfig::Estimator(EstimatorConfig::Util {
                rtt_window_size: WINDOW,
                rtt_stale_period: STALE_AFTER,
                util_window_size: WINDOW,
                util_stale_period: PROCESSING_STALE_AFTER,
                util_load_timeout: STALE_AFTER,
            }),
            "delay" => PolicyConfig::Estimator(EstimatorConfig::Delay {
                util_window_size: WINDOW,
                util_stale_period: PROCESSING_STALE_AFTER,
                util_load_timeout: STALE_AFTER,
            }),
            _ => policy_named(name)?,
        };
        let optimizer = match config {
            PolicyConfig::Random
            | PolicyConfig::LeastImpedance
            | PolicyConfig::RoundRobin
            | PolicyConfig::ProportionalFairness { .. } => OptimizerConfig::Async { alpha: ALPHA },
            _ => OptimizerConfig::None,
        };
        Ok(Contender::Policy { config, optimizer })
    }

    /// Whether it makes anything of the share of its processors that an executor reports as busy.
    pub(super) fn looks_at_utilisation(&self) -> bool {
        let config = match self {
            Contender::Policy { config, .. } => config,
            Contender::Oracle | Contender::OracleWork | Contender::Uniform => return false,
        };
        matches!(
            config,
            PolicyConfig::WeightedRoundRobin { .. } | PolicyConfig::Estimator(_)
        )
    }

    /// For tables and the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Contender::Policy { config, .. } => config.name(),
            Contender::Oracle => Contender::ORACLE,
            Contender::OracleWork => "oracleW",
            Contender::Uniform => "uniform",
        }
    }
}

fn policy_named(name: &str) -> Result<PolicyConfig, InvalidPolicy> {
    let keys = PolicyKeys {
        alpha: Some(1.0),
        beta: Some(1.0),
        ..PolicyKeys::default()
    };
    PolicyConfig::from_name(name, &keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_found_by_name() {
        for name in Contender::names() {
            assert_eq!(Contender::named(name).unwrap().name(), name);
        }
        assert!(Contender::named("oracle").is_err());
    }

    #[test]
    fn policies_of_the_reference_and_only_they_get_an_optimizer() {
        let of_reference = [
            "random",
            "least-impedance",
            "round-robin",
            "proportional-fairness",
        ];
        for name in Contender::names() {
            if let Contender::Policy { optimizer, .. } = Contender::named(name).unwrap() {
                let learns = optimizer != OptimizerConfig::None;
                assert_eq!(learns, of_reference.contains(&name), "{name}");
            }
        }
    }
}
