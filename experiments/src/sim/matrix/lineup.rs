//! Who is compared: all policies of `edge_balance`, and the references that bracket them.

use edge_balance::PolicyConfig;
use edge_daemon::UsageError;

use crate::sim::Contender;

/// The name of the omniscient dispatcher that all others are divided by.
pub(crate) const ORACLE: &str = Contender::ORACLE;
/// The 1/latency weighting of the C++ reference: its `random` policy, which takes each destination
/// with a probability inverse to its weight, with weights that the async optimizer learns.
pub(crate) const PROPORTIONAL_WEIGHTING: &str = "random";

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

/// Those that take part unless told otherwise: the policies in the order of
/// [`PolicyConfig::NAMES`], then the references.
fn usual() -> impl Iterator<Item = &'static str> {
    let policies = PolicyConfig::NAMES.into_iter();
    policies.chain(Contender::REFERENCES)
}

/// The entries of these names, or the usual ones if there are no names; those that take part only
/// when they are named come last. The oracle is always among them: ratios need it. So is the default
/// policy, which is what is judged.
///
/// # Errors
/// A name that none has.
pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<Entry>> {
    let known: Vec<&str> = Contender::names().collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let known = known.join(", ");
        return Err(UsageError(format!("--policies knows no {unknown}, only {known}")).into());
    }
    let named = |name: &&str| names.iter().any(|wanted| wanted == name);
    let taken = usual()
        .filter(|name| {
            names.is_empty() || *name == ORACLE || *name == default_policy() || named(name)
        })
        .chain(Contender::ESTIMATORS.into_iter().filter(named));
    taken
        .map(|name| {
            Ok(Entry {
                name,
                contender: Contender::named(name)?,
            })
        })
        .collect()
}

/// The name of the policy that brokers have unless told otherwise.
pub(crate) fn default_policy() -> &'static str {
    PolicyConfig::default().name()
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
        for reference in Contender::REFERENCES {
            assert!(names.contains(&reference));
        }
        assert!(names.contains(&PROPORTIONAL_WEIGHTING));
    }

    #[test]
    fn a_choice_of_policies_is_completed_by_the_oracle_and_the_default() {
        let entries = chosen(&["round-robin".to_owned()]).unwrap();
        assert_eq!(names(&entries), [default_policy(), "round-robin", ORACLE]);
        assert!(chosen(&["oracle".to_owned()]).is_err());
    }

    #[test]
    fn estimators_of_the_dispatcher_take_part_when_they_are_named() {
        let usual = names(&chosen(&[]).unwrap());
        for estimator in Contender::ESTIMATORS {
            assert!(!usual.contains(&estimator));
            let entries = chosen(&[estimator.to_owned()]).unwrap();
            assert_eq!(names(&entries), [default_policy(), ORACLE, estimator]);
        }
    }
}
