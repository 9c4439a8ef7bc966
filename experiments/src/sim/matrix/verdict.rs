//! The verdict on the default policy, as one JSON object for programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, Defeat};
use super::lineup::{ORACLE, PROPORTIONAL_WEIGHTING, default_policy};
use super::statistics::geometric_mean;

/// Ratios are of the p99 to that of oracleE, per scenario the geometric mean over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// The default policy, which is judged.
    pub(crate) policy: String,
    pub(crate) median_ratio: f64,
    pub(crate) worst_ratio: f64,
    /// p99 of proportional weighting (the 1/latency weighting of the C++ reference: policy `random`
    /// with the async optimizer) over that of the judged policy, geometric mean over the scenarios
    /// with antagonist. `None` if it or they did not take part.
    pub(crate) vs_proportional_antagonist: Option<f64>,
    /// The same of the omniscient one: as much as there is to gain.
    pub(crate) oracle_vs_proportional_antagonist: Option<f64>,
    pub(crate) scenarios: usize,
    /// Index and name of the scenario of the worst ratio.
    pub(crate) worst_scenario: String,
    /// Geometric mean of the ratio, and its 95 % interval over the seeds; `None` for an end that one
    /// seed leaves open.
    pub(crate) geometric_mean_ratio: f64,
    pub(crate) geometric_mean_interval: [Option<f64>; 2],
    /// Per request.
    pub(crate) attempts: f64,
    pub(crate) errors: f64,
    pub(crate) probes: f64,
    /// In how many scenarios another one, oracles excluded, has a lower p99 beyond the 95 % interval.
    pub(crate) not_best: usize,
    pub(crate) not_best_share: f64,
    /// In how many each of them has.
    pub(crate) beaten_by: BTreeMap<String, usize>,
    pub(crate) seeds: usize,
    /// Simulated, per second of CPU time.
    pub(crate) requests_per_second_and_core: f64,
    /// The same for each contender.
    pub(crate) simulated: BTreeMap<String, f64>,
}

impl Verdict {
    /// # Errors
    /// The default policy did not take part.
    pub(crate) fn of(comparison: &Comparison, defeats: &[Defeat]) -> anyhow::Result<Self> {
        let policy = default_policy();
        let judged = comparison
            .entry(policy)
            .ok_or_else(|| anyhow::anyhow!("{policy} must take part"))?;
        let summary = comparison.summary(judged);
        let scenarios = comparison.scenarios.len();
        let worst = &comparison.scenarios[summary.worst_scenario];
        let finite = |value: f64| value.is_finite().then_some(value);
        Ok(Verdict {
            policy: policy.to_owned(),
            median_ratio: summary.median,
            worst_ratio: summary.worst,
            vs_proportional_antagonist: versus_proportional(comparison, judged),
            oracle_vs_proportional_antagonist: comparison
                .entry(ORACLE)
                .and_then(|oracle| versus_proportional(comparison, oracle)),
            scenarios,
            worst_scenario: format!("{} {}", worst.index, worst.levels.name()),
            geometric_mean_ratio: summary.geometric.mean,
            geometric_mean_interval: [
                finite(summary.geometric.low),
                finite(summary.geometric.high),
            ],
            attempts: summary.attempts,
            errors: summary.errors,
            probes: summary.probes,
            not_best: defeats.len(),
            not_best_share: defeats.len() as f64 / scenarios as f64,
            beaten_by: comparison
                .victors(judged)
                .into_iter()
                .map(|(name, wins)| (name.to_owned(), wins))
                .collect(),
            seeds: comparison.seeds,
            requests_per_second_and_core: comparison.cost().requests_per_second_and_core(),
            simulated: simulated(comparison),
        })
    }
}

/// Requests per second of CPU time, by contender.
fn simulated(comparison: &Comparison) -> BTreeMap<String, f64> {
    let entries = comparison.entries.iter().enumerate();
    entries
        .map(|(number, entry)| {
            let cost = comparison.summary(number).cost;
            (entry.name.to_owned(), cost.requests_per_second_and_core())
        })
        .collect()
}

fn versus_proportional(comparison: &Comparison, judged: usize) -> Option<f64> {
    let proportional = comparison.entry(PROPORTIONAL_WEIGHTING)?;
    let disturbed = (0..comparison.scenarios.len())
        .filter(|&scenario| comparison.scenarios[scenario].levels.antagonist);
    geometric_mean(disturbed.map(|scenario| comparison.versus(scenario, proportional, judged).mean))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// The default is at 1.5 and 3, proportional weighting at 6.
    fn verdict(scenarios: &[usize]) -> Verdict {
        let comparison = sample::comparison(scenarios, 3, |scenario, name, seed| {
            let oracle = 0.02 + 0.001 * seed as f64;
            match name {
                ORACLE => oracle,
                PROPORTIONAL_WEIGHTING => oracle * 6.0,
                _ if scenario < 81 => oracle * 1.5,
                _ => oracle * 3.0,
            }
        });
        let defeats = comparison.defeats(comparison.entry(default_policy()).unwrap());
        Verdict::of(&comparison, &defeats).unwrap()
    }

    #[test]
    fn the_line_is_one_json_object_with_the_figures_of_the_default_policy() {
        let line = serde_json::to_string(&verdict(&[0, 82])).unwrap();
        assert!(!line.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        let number = |key: &str| read[key].as_f64().unwrap();
        let close =
            |key: &str, expected: f64| assert!((number(key) - expected).abs() < 1e-9, "{key}");
        assert_eq!(read["policy"], default_policy());
        close("median_ratio", 2.25);
        close("worst_ratio", 3.0);
        // Only the second scenario has an antagonist.
        close("vs_proportional_antagonist", 2.0);
        close("scenarios", 2.0);
        close("attempts", 1.2);
        close("oracle_vs_proportional_antagonist", 6.0);
        close("not_best", 0.0);
        assert_eq!(read["beaten_by"].as_object().unwrap().len(), 0);
        close("requests_per_second_and_core", 200.0);
        assert_eq!(read["simulated"][ORACLE], 200.0);
        assert!(
            read["worst_scenario"]
                .as_str()
                .unwrap()
                .starts_with("82 load0.3 E2 ")
        );
    }

    #[test]
    fn without_antagonists_there_is_nothing_to_say_about_them() {
        assert_eq!(verdict(&[0, 1]).vs_proportional_antagonist, None);
    }
}
