//! Weighted round robin by reported utilisation.

use crate::{Bench, Shares, seconds};
use edge_balance::{PolicyConfig, Report};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn bench() -> Bench {
    let policy = PolicyConfig::WeightedRoundRobin { penalty: 1.0 };
    Bench::with(policy, &NAMES.map(|name| (name, 1.0)))
}

/// A steady stream of a hundred requests per second for so long; the utilisation that each
/// destination reports is its rate over what `capacity` says, none if that is 0.
fn run(bench: &mut Bench, span: u32, capacity: impl Fn(&str) -> f32) -> Shares {
    let mut last_second = NAMES.map(|_| 33.0_f32);
    let mut all = Vec::new();
    for _ in 0..span {
        let mut this_second = NAMES.map(|_| 0.0);
        for _ in 0..100 {
            bench.pass(0.01);
            let pick = bench.pick();
            let name = pick.destination().name().to_owned();
            let at = NAMES.iter().position(|n| *n == name).unwrap();
            this_second[at] += 1.0;
            let capacity = capacity(&name);
            let report = Report {
                utilization: (capacity > 0.0).then(|| last_second[at] / capacity),
                ..Report::default()
            };
            pick.succeeded(seconds(0.005), &report, bench.now);
            all.push(name);
        }
        last_second = this_second;
    }
    let mut all = all.into_iter();
    bench.shares(all.len(), |_| all.next().unwrap())
}

fn share(shares: &Shares, name: &str, n: usize) -> f64 {
    shares.of(name) as f64 / n as f64
}

#[test]
fn before_weights_count_everyone_has_the_same_turns() {
    let mut bench = bench();
    let shares = run(
        &mut bench,
        9,
        |name| if name == "a" { 1000.0 } else { 100.0 },
    );
    for name in NAMES {
        assert!(shares.of(name).abs_diff(300) <= 2, "{shares:?}");
    }
}

#[test]
fn shares_follow_capacities() {
    let mut bench = bench();
    let capacity = |name: &str| match name {
        "a" => 400.0,
        "b" => 200.0,
        _ => 100.0,
    };
    run(&mut bench, 15, capacity);
    let shares = run(&mut bench, 20, capacity);
    for (name, expected) in [("a", 4.0 / 7.0), ("b", 2.0 / 7.0), ("c", 1.0 / 7.0)] {
        let share = share(&shares, name, 2000);
        assert!((share - expected).abs() < 0.03, "{name}: {share}");
    }
}

#[test]
fn a_destination_that_reports_nothing_has_the_mean() {
    let mut bench = bench();
    let capacity = |name: &str| match name {
        "a" => 300.0,
        "b" => 100.0,
        _ => 0.0,
    };
    run(&mut bench, 15, capacity);
    let shares = run(&mut bench, 20, capacity);
    let share = share(&shares, "c", 2000);
    assert!((share - 1.0 / 3.0).abs() < 0.02, "{share}");
}

#[test]
fn turns_are_spread_not_bunched() {
    let mut bench = bench();
    let capacity = |name: &str| if name == "a" { 400.0 } else { 200.0 };
    run(&mut bench, 20, capacity);
    let picks: Vec<_> = (0..40).map(|_| bench.choose()).collect();
    for window in picks.windows(4) {
        let a = window.iter().filter(|name| *name == "a").count();
        assert!((1..=3).contains(&a), "{picks:?}");
    }
}

#[test]
fn weights_end_three_minutes_after_the_last_report() {
    let mut bench = bench();
    let capacity = |name: &str| if name == "a" { 800.0 } else { 100.0 };
    run(&mut bench, 20, capacity);
    let silent = run(&mut bench, 100, |_| 0.0);
    assert!(share(&silent, "a", 10_000) > 0.7, "kept: {silent:?}");
    run(&mut bench, 81, |_| 0.0);
    let equal = run(&mut bench, 10, |_| 0.0);
    assert!(
        (share(&equal, "a", 1000) - 1.0 / 3.0).abs() < 0.02,
        "{equal:?}"
    );
}

#[test]
fn one_that_was_set_aside_does_not_get_its_turns_afterwards() {
    let mut bench = bench();
    run(&mut bench, 5, |_| 100.0);
    let pick = bench.pick();
    let out = pick.destination().name().to_owned();
    pick.failed(bench.now);
    for _ in 0..150 {
        bench.pass(0.01);
        assert_ne!(bench.choose(), out);
    }
    bench.pass(1.0);
    bench.serve(|_| 0.001);
    let shares = bench.shares(30, Bench::choose);
    assert!(shares.of(&out) <= 11, "{shares:?}");
}
