//! Optimizers: weights that follow latencies.

use crate::{Bench, L, seconds};
use edge_balance::{InvalidOptimizer, Optimizer, OptimizerConfig, PolicyConfig, Report, Statistic};

fn bench() -> Bench {
    Bench::with(PolicyConfig::Random, &[("a", 1.0), ("b", 1.0), ("c", 1.0)])
}

fn weight(bench: &Bench, destination: &str) -> f32 {
    let entries = bench.table.page(0, usize::MAX);
    entries
        .iter()
        .find(|entry| entry.destination == destination)
        .unwrap()
        .weight
}

fn record(optimizer: &Optimizer, bench: &mut Bench, destination: &str, samples: &[f64]) {
    for sample in samples {
        let pick = bench.pick_of(destination);
        optimizer.record(&pick, *sample, bench.now);
    }
}

#[test]
fn none_leaves_weights_as_announced() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::None);
    record(&optimizer, &mut bench, "a", &[0.5]);
    optimizer.tick(&bench.table, seconds(100.0));
    assert_eq!(weight(&bench, "a"), 1.0);
    assert_eq!(optimizer.next_tick(bench.now), None);
}

#[test]
fn trivial_sets_the_statistic_of_each_period() {
    let cases = [
        (Statistic::Mean, 0.25),
        (Statistic::Min, 0.125),
        (Statistic::Max, 0.5),
    ];
    for (statistic, expected) in cases {
        let mut bench = bench();
        let optimizer = Optimizer::new(OptimizerConfig::trivial(10.0, statistic).unwrap());
        assert_eq!(
            optimizer.next_tick(bench.now),
            Some(bench.now + seconds(10.0))
        );
        record(&optimizer, &mut bench, "a", &[0.125, 0.125, 0.5]);
        bench.pass(9.9);
        optimizer.tick(&bench.table, bench.now);
        assert_eq!(weight(&bench, "a"), 1.0, "not before the period is over");
        bench.pass(0.2);
        optimizer.tick(&bench.table, bench.now);
        assert_eq!(weight(&bench, "a"), expected);
        assert_eq!(weight(&bench, "b"), 1.0, "no samples, no change");
        assert_eq!(
            optimizer.next_tick(bench.now),
            Some(bench.now + seconds(10.0))
        );

        record(&optimizer, &mut bench, "a", &[2.0]);
        bench.pass(10.0);
        optimizer.tick(&bench.table, bench.now);
        assert_eq!(weight(&bench, "a"), 2.0, "each period has its own samples");
    }
}

#[test]
fn trivial_survives_destinations_and_lambdas_that_vanish() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::trivial(10.0, Statistic::Mean).unwrap());
    for i in 0..50 {
        let gone = format!("gone{i}");
        bench.add(&gone, 1.0);
        record(&optimizer, &mut bench, &gone, &[0.5]);
        let pick = bench.pick_of(&gone);
        bench.table.remove(L, &gone, bench.now);
        optimizer.record(&pick, 0.5, bench.now);
    }
    for destination in ["a", "b", "c"] {
        record(&optimizer, &mut bench, destination, &[0.5]);
    }
    bench.pass(10.0);
    optimizer.tick(&bench.table, bench.now);
    for destination in ["a", "b", "c"] {
        assert_eq!(weight(&bench, destination), 0.5);
    }
    assert_eq!(bench.table.len(), 3);
}

#[test]
fn async_alpha_weighs_the_old_value() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::moving_average(0.75).unwrap());
    record(&optimizer, &mut bench, "a", &[0.5]);
    assert_eq!(weight(&bench, "a"), 0.5, "the first sample as it is");
    record(&optimizer, &mut bench, "a", &[0.1]);
    assert!((weight(&bench, "a") - 0.4).abs() < 1e-6);
}

#[test]
fn async_starts_over_after_five_seconds_without_samples() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::moving_average(0.75).unwrap());
    record(&optimizer, &mut bench, "a", &[0.5]);
    bench.pass(4.9);
    record(&optimizer, &mut bench, "a", &[0.1]);
    assert!((weight(&bench, "a") - 0.4).abs() < 1e-6);
    bench.pass(5.1);
    record(&optimizer, &mut bench, "a", &[0.1]);
    assert_eq!(weight(&bench, "a"), 0.1);
}

#[test]
fn async_memory_ends_with_the_route() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::moving_average(0.75).unwrap());
    record(&optimizer, &mut bench, "a", &[0.5]);
    let pick = bench.pick_of("a");
    bench.table.remove(L, "a", bench.now);
    optimizer.record(&pick, 0.3, bench.now);
    bench.add("a", 1.0);
    optimizer.record(&pick, 0.3, bench.now);
    assert_eq!(weight(&bench, "a"), 1.0);
    record(&optimizer, &mut bench, "a", &[0.1]);
    assert_eq!(weight(&bench, "a"), 0.1);
}

#[test]
fn async_pf_takes_each_sample_as_it_is() {
    let mut bench = bench();
    let optimizer = Optimizer::new(OptimizerConfig::AsyncPf);
    record(&optimizer, &mut bench, "a", &[0.5, 0.1]);
    assert_eq!(weight(&bench, "a"), 0.1);
}

#[test]
fn absurd_samples_are_ignored_and_zero_is_a_nanosecond() {
    for config in [
        OptimizerConfig::AsyncPf,
        OptimizerConfig::Async { alpha: 0.5 },
    ] {
        let mut bench = bench();
        let optimizer = Optimizer::new(config);
        record(
            &optimizer,
            &mut bench,
            "a",
            &[f64::NAN, f64::INFINITY, -1.0],
        );
        assert_eq!(weight(&bench, "a"), 1.0);
        record(&optimizer, &mut bench, "a", &[0.0]);
        assert_eq!(weight(&bench, "a"), 1e-9);
    }
}

#[test]
fn optimizers_are_built_by_name_with_the_keys_they_need() {
    let build = OptimizerConfig::from_name;
    for name in OptimizerConfig::NAMES {
        assert!(
            build(name, Some(5.0), Some("min"), Some(0.95)).is_ok(),
            "{name}"
        );
    }
    let text = |built: Result<_, InvalidOptimizer>| built.unwrap_err().to_string();
    assert_eq!(
        text(build("best", None, None, None)),
        "Invalid local optimizer type: best"
    );
    assert_eq!(
        text(build("trivial", Some(1.0), Some("p99"), None)),
        "Invalid stat: p99"
    );
    assert_eq!(
        text(build("trivial", None, None, None)),
        "No value found for key: period"
    );
    assert_eq!(
        text(build("trivial", Some(1.0), None, None)),
        "No value found for key: stat"
    );
    assert_eq!(
        text(build("async", None, None, None)),
        "No value found for key: alpha"
    );
    for period in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            build("trivial", Some(period), Some("mean"), None).is_err(),
            "{period}"
        );
    }
    for alpha in [-0.1, 1.1, f64::NAN] {
        assert!(build("async", None, None, Some(alpha)).is_err(), "{alpha}");
    }
    for name in Statistic::NAMES {
        assert!(Statistic::from_name(name).is_ok(), "{name}");
    }
}

#[test]
fn least_cost_learns_by_itself_and_optimizers_only_change_what_is_announced() {
    let mut bench = Bench::with(PolicyConfig::LeastCost, &[("a", 1.0)]);
    let optimizer = Optimizer::new(OptimizerConfig::AsyncPf);
    record(&optimizer, &mut bench, "a", &[0.5]);
    assert_eq!(weight(&bench, "a"), 0.5);
    bench
        .pick()
        .succeeded(seconds(0.25), &Report::default(), bench.now);
    record(&optimizer, &mut bench, "a", &[0.75]);
    assert_eq!(weight(&bench, "a"), 0.25);
}
