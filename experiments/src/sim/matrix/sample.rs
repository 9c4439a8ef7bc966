//! Made-up outcomes, so that what is computed from them can be checked by hand.

use std::sync::atomic::AtomicBool;

use super::comparison::Comparison;
use super::lineup;
use super::runs::{Plan, Runs};
use crate::sim::Outcome;

/// Runs of these scenarios with the default policy, proportional weighting and the oracle, whose
/// p99, in seconds, is a function of scenario, name and seed.
pub(crate) fn runs(scenarios: &[usize], seeds: u64, p99: impl Fn(usize, &str, u64) -> f64) -> Runs {
    let names = [lineup::PROPORTIONAL_WEIGHTING.to_owned()];
    let plan = Plan {
        scenarios: scenarios.to_vec(),
        entries: lineup::chosen(&names).unwrap(),
        seeds: 1..=seeds,
    };
    let mut outcomes = Vec::new();
    for &scenario in scenarios {
        for entry in &plan.entries {
            for seed in 1..=seeds {
                outcomes.push(outcome(p99(scenario, entry.name, seed)));
            }
        }
    }
    Runs::new(plan, outcomes)
}

/// The comparison of the same.
pub(crate) fn comparison(
    scenarios: &[usize],
    seeds: u64,
    p99: impl Fn(usize, &str, u64) -> f64,
) -> Comparison {
    Comparison::of(&runs(scenarios, seeds, p99)).unwrap()
}

/// Really simulated: one small scenario with each level of the antagonist.
pub(crate) fn simulated(jobs: usize) -> Runs {
    let plan = Plan {
        scenarios: vec![2, 88],
        entries: lineup::chosen(&[lineup::PROPORTIONAL_WEIGHTING.to_owned()]).unwrap(),
        seeds: 5..=6,
    };
    let stop = AtomicBool::new(false);
    plan.run(jobs, &stop, || ()).unwrap().unwrap()
}

fn outcome(p99: f64) -> Outcome {
    Outcome {
        requests: 1_000,
        errors: 1,
        attempts: 1_200,
        refusals: 150,
        probes: 40,
        mean: p99 / 4.0,
        p50: p99 / 5.0,
        p99,
        p999: p99 * 2.0,
        share: vec![0.25, 0.75],
        simulated_seconds: 10.0,
    }
}
