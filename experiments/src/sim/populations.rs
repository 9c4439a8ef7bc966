//! Worlds that the design of the matrix leaves out: what they ask of the default policy.

use edge_balance::PolicyConfig;

use super::scenario::{Antagonist, Disturbance, Network, Scenario};
use super::{Contender, run};

/// Geometric means over some seeds of the p99 of the default policy, and of least cost, each to
/// that of the omniscient one.
fn ratios(scenario: &Scenario) -> (f64, f64) {
    const SEEDS: u64 = 4;
    let mut logarithms = (0.0, 0.0);
    for seed in 1..=SEEDS {
        let p99 = |contender| run(scenario, &contender, seed).p99.ln();
        let oracle = p99(Contender::Oracle);
        logarithms.0 += p99(Contender::policy(PolicyConfig::default())) - oracle;
        logarithms.1 += p99(Contender::policy(PolicyConfig::LeastCost)) - oracle;
    }
    let mean = |sum: f64| (sum / SEEDS as f64).exp();
    (mean(logarithms.0), mean(logarithms.1))
}

fn unequal() -> Scenario {
    Scenario {
        routers: 4,
        speeds: [1.0, 4.0].repeat(4),
        network: Network::LogUniform {
            min: 0.0005,
            max: 0.01,
        },
        requests: 30_000,
        ..Scenario::default()
    }
}

#[test]
fn executors_that_report_nothing_share_a_table_with_those_that_do() {
    for every in [3, 2, 1] {
        let scenario = Scenario {
            silent_every: Some(every),
            ..unequal()
        };
        let (ours, least_cost) = ratios(&scenario);
        assert!(ours < 1.25, "{every}: {ours}");
        assert!(ours < least_cost, "{every}: {ours} {least_cost}");
    }
}

#[test]
fn several_that_slow_down_or_stop_together_are_left_together() {
    for kind in [Disturbance::SlowDown(8.0), Disturbance::Pause] {
        let antagonist = |executor| Antagonist {
            executor,
            from: 0.3,
            to: 0.4,
            kind,
        };
        let scenario = Scenario {
            load: 0.4,
            speeds: vec![1.0; 8],
            antagonists: (0..3).map(antagonist).collect(),
            ..unequal()
        };
        let (ours, _) = ratios(&scenario);
        assert!(ours < 1.3, "{kind:?}: {ours}");
    }
}
