//! Who is compared: all policies of `edge_balance`, and the references that bracket them.

use edge_balance::{OptimizerConfig, PolicyConfig};
use edge_daemon::UsageError;

use crate::sim::Contender;

/// The name of the omniscient dispatcher that all others are divided by.
pub(crate) const ORACLE: &str = "oracleE";
/// The name of the one that knows the remaining work of each request as well.
const ORACLE_OF_WORK: &str = "oracleW";
/// The name of the choice at random.
const UNIFORM: &str = "uniform";
/// The 1/latency weighting of the C++ reference: its `random` policy, which takes each destination
/// with a probability inverse to its weight, with weights that the async optimizer learns.
pub(crate) const PROPORTIONAL_WEIGHTING: &str = "random";

/// How the old value weighs in the optimizer of the policies that only look at weights, as in the
/// published experiments of the C++ reference.
const ALPHA: f64 = 0.95;

/// One that takes part, under the name it has in tables and in `--policies`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) contender: Contender,
}

impl Entry {
    /// Whether it knows what no broker can know.
    pub(crate) fn is_oracle(&self) -> bool {
        matches!(self.contender, Contender::Oracle | Contender::OracleWork)
    }
}

/// All there are: the policies in the order of [`PolicyConfig::NAMES`], then the references.
///
/// # Errors
/// A policy that needs more than `alpha` and `beta`.
pub(crate) fn all() -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in PolicyConfig::NAMES {
        let config = Contender::policy_named(name)?;
        let contender = Contender::Policy {
            config,
            optimizer: optimizer(&config),
        };
        entries.push(Entry { name, contender });
    }
    for (name, contender) in [
        (UNIFORM, Contender::Uniform),
        (ORACLE, Contender::Oracle),
        (ORACLE_OF_WORK, Contender::OracleWork),
    ] {
        entries.push(Entry { name, contender });
    }
    Ok(entries)
}

/// The entries of these names, or all if there are no names, in the order of [`all`]. The oracle is
/// always among them: ratios need it. So is the default policy, which is what is judged.
///
/// # Errors
/// A name that none has.
pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<Entry>> {
    let all = all()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|entry| entry.name != name.as_str()))
    {
        let known: Vec<&str> = all.iter().map(|entry| entry.name).collect();
        let known = known.join(", ");
        return Err(UsageError(format!("--policies knows no {unknown}, only {known}")).into());
    }
    let wanted = |entry: &Entry| {
        names.is_empty()
            || entry.name == ORACLE
            || entry.name == default_policy()
            || names.iter().any(|name| name == entry.name)
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// The name of the policy that brokers have unless told otherwise.
pub(crate) fn default_policy() -> &'static str {
    PolicyConfig::default().name()
}

/// Those of the reference see only weights and need somebody to learn them; ours learn by themselves.
fn optimizer(config: &PolicyConfig) -> OptimizerConfig {
    match config {
        PolicyConfig::Random
        | PolicyConfig::LeastImpedance
        | PolicyConfig::RoundRobin
        | PolicyConfig::ProportionalFairness { .. } => OptimizerConfig::Async { alpha: ALPHA },
        _ => OptimizerConfig::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[Entry]) -> Vec<&'static str> {
        entries.iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn every_policy_of_the_brokers_takes_part_and_the_default_comes_first() {
        let names = names(&chosen(&[]).unwrap());
        assert_eq!(names[0], default_policy());
        for policy in PolicyConfig::NAMES {
            assert!(names.contains(&policy));
        }
        for reference in [ORACLE, ORACLE_OF_WORK, UNIFORM, PROPORTIONAL_WEIGHTING] {
            assert!(names.contains(&reference));
        }
    }

    #[test]
    fn a_choice_of_policies_is_completed_by_the_oracle_and_the_default() {
        let entries = chosen(&["round-robin".to_owned()]).unwrap();
        assert_eq!(names(&entries), [default_policy(), "round-robin", ORACLE]);
        assert!(chosen(&["oracle".to_owned()]).is_err());
    }

    #[test]
    fn those_of_the_reference_and_only_they_get_an_optimizer() {
        let of_reference = [
            "random",
            "least-impedance",
            "round-robin",
            "proportional-fairness",
        ];
        for entry in all().unwrap() {
            if let Contender::Policy { optimizer, .. } = entry.contender {
                let learns = optimizer != OptimizerConfig::None;
                assert_eq!(learns, of_reference.contains(&entry.name), "{}", entry.name);
            }
        }
    }
}
