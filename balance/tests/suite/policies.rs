//! The policies of the C++ reference: its conformance rows, and its defects that must not return.

use crate::{Bench, L};
use edge_balance::{Nanos, PolicyConfig, Tried};

/// Picks `n` times; after each pick the weight of the destination becomes what `latency` says.
fn picks_with_feedback(bench: &mut Bench, n: usize, latency: impl Fn(&str) -> f32) -> Vec<String> {
    let mut picked = Vec::new();
    for _ in 0..n {
        let name = bench.choose();
        bench.add(&name, latency(&name));
        picked.push(name);
    }
    picked
}

/// Latencies of `d1`, `d2` and `d3`.
fn of_three(latencies: [f32; 3]) -> impl Fn(&str) -> f32 {
    move |name| latencies[name[1..].parse::<usize>().unwrap() - 1]
}

/// `"121"` for `["d1", "d2", "d1"]`.
fn digits(picked: &[String]) -> String {
    picked.iter().map(|name| &name[1..]).collect()
}

fn three(policy: PolicyConfig) -> Bench {
    Bench::with(policy, &[("d1", 1.0), ("d2", 1.0), ("d3", 1.0)])
}

#[test]
fn rnd1_shares_are_inverse_to_weights() {
    let routes = [("d1", 1.0), ("d2", 1.0 / 3.0), ("d3", 1.0 / 6.0)];
    let mut bench = Bench::with(PolicyConfig::Random, &routes);
    let shares = bench.shares(10_000, Bench::choose);
    let ratio = |a, b| (shares.of(a) as f64 / shares.of(b) as f64).round();
    assert_eq!(ratio("d2", "d1"), 3.0, "{shares:?}");
    assert_eq!(ratio("d3", "d2"), 2.0, "{shares:?}");
}

#[test]
fn random_shares_are_inverse_to_weights_of_more_than_a_handful_too() {
    let names: Vec<_> = (1..=21).map(|number| format!("d{number}")).collect();
    let weight = |at: usize| 1.0 + (at % 4) as f32;
    let routes: Vec<_> = (0..21).map(|at| (names[at].as_str(), weight(at))).collect();
    let mut bench = Bench::with(PolicyConfig::Random, &routes);
    // The first and the last ones, and one between them.
    let aside = ["d1", "d12", "d20", "d21"];
    for gone in [&[][..], &aside[..]] {
        for name in gone {
            bench.pick_of(name).failed(bench.now);
        }
        let left = |at: &usize| !gone.contains(&names[*at].as_str());
        let total: f32 = (0..21).filter(left).map(|at| 1.0 / weight(at)).sum();
        let shares = bench.shares(40_000, Bench::choose);
        for (at, name) in names.iter().enumerate() {
            let share = if left(&at) {
                1.0 / weight(at) / total
            } else {
                0.0
            };
            let picked = shares.of(name) as f32 / 40_000.0;
            assert!(
                (picked - share).abs() < 0.006,
                "{at}: {picked}, not {share}"
            );
        }
    }
}

#[test]
fn random_recovers_from_an_excursion_of_a_weight() {
    let mut bench = Bench::with(PolicyConfig::Random, &[("d1", 1.0), ("d2", 1.0)]);
    bench.add("d1", 1e-8);
    assert_eq!(bench.shares(1000, Bench::choose).of("d2"), 0);
    bench.add("d1", 1.0);
    let shares = bench.shares(10_000, Bench::choose);
    assert!((4700..=5300).contains(&shares.of("d1")), "{shares:?}");
}

#[test]
fn random_does_not_drift_over_two_million_updates() {
    let mut bench = Bench::with(
        PolicyConfig::Random,
        &[("d1", 1.0), ("d2", 1.0), ("d3", 1.0)],
    );
    let mut weight = 1e-4_f32;
    for i in 0..2_000_000_u32 {
        weight = if weight > 10.0 { 1e-4 } else { weight * 1.7 };
        let name = ["d1", "d2", "d3"][(i % 3) as usize];
        bench
            .table
            .update_weight(L, name, weight, bench.now)
            .unwrap();
    }
    for (name, weight) in [("d1", 1.0), ("d2", 1.0), ("d3", 4.0)] {
        bench
            .table
            .update_weight(L, name, weight, bench.now)
            .unwrap();
    }
    let shares = bench.shares(90_000, Bench::choose);
    for (name, expected) in [("d1", 40_000), ("d2", 40_000), ("d3", 10_000)] {
        assert!(shares.of(name).abs_diff(expected) < 700, "{shares:?}");
    }
}

#[test]
fn li1_the_best_then_the_next_best_when_it_is_removed() {
    let routes = [("d1", 6.0), ("d2", 3.0), ("d3", 1.0)];
    let mut bench = Bench::with(PolicyConfig::LeastImpedance, &routes);
    for best in ["d3", "d2", "d1"] {
        assert_eq!(bench.shares(10, Bench::choose).of(best), 10);
        assert!(bench.table.remove(L, best, bench.now));
    }
}

#[test]
fn least_impedance_prefers_the_earliest_inserted_among_equals() {
    let routes = [("d3", 2.0), ("d9", 1.0), ("d1", 1.0)];
    let mut bench = Bench::with(PolicyConfig::LeastImpedance, &routes);
    assert_eq!(bench.choose(), "d9");
    bench.table.multiply(L, "d1", 0.5, bench.now).unwrap();
    assert_eq!(bench.choose(), "d1");
}

#[test]
fn rr1_three_destinations_follow_latency() {
    let mut bench = three(PolicyConfig::RoundRobin);
    let picked = picks_with_feedback(&mut bench, 10, of_three([100.0, 110.0, 1000.0]));
    assert_eq!(digits(&picked), "1231212121");
}

/// A table as row RR1 leaves it.
fn after_rr1() -> Bench {
    let mut bench = three(PolicyConfig::RoundRobin);
    picks_with_feedback(&mut bench, 10, of_three([100.0, 110.0, 1000.0]));
    bench
}

#[test]
fn rr2_a_destination_that_became_slow_is_left_out() {
    let mut bench = after_rr1();
    let picked = picks_with_feedback(&mut bench, 10, of_three([400.0, 110.0, 1000.0]));
    assert_eq!(digits(&picked), "2122222222");
}

#[test]
fn rr3_removed_destinations_leave_their_turn_to_the_next_best() {
    let mut bench = after_rr1();
    let latency = of_three([400.0, 110.0, 1000.0]);
    picks_with_feedback(&mut bench, 10, &latency);
    assert!(bench.table.remove(L, "d2", bench.now));
    assert_eq!(
        digits(&picks_with_feedback(&mut bench, 5, &latency)),
        "11111"
    );
    assert!(bench.table.remove(L, "d1", bench.now));
    assert_eq!(
        digits(&picks_with_feedback(&mut bench, 5, &latency)),
        "33333"
    );
}

#[test]
fn rr4_a_destination_that_returns_takes_over_from_a_bad_one() {
    let mut bench = after_rr1();
    let latency = of_three([400.0, 110.0, 1000.0]);
    picks_with_feedback(&mut bench, 10, &latency);
    bench.table.remove(L, "d2", bench.now);
    picks_with_feedback(&mut bench, 5, &latency);
    bench.table.remove(L, "d1", bench.now);
    picks_with_feedback(&mut bench, 5, &latency);
    bench.add("d1", 400.0);
    assert_eq!(
        digits(&picks_with_feedback(&mut bench, 5, &latency)),
        "11111"
    );
}

#[test]
fn round_robin_uses_every_fresh_destination_equally() {
    for n in 1..=8 {
        let mut bench = Bench::new(PolicyConfig::RoundRobin);
        for i in 0..n {
            bench.add(&format!("d{i}"), 1.0);
        }
        let shares = bench.shares(10 * n, Bench::choose);
        for i in 0..n {
            assert_eq!(
                shares.of(&format!("d{i}")),
                10,
                "{n} destinations: {shares:?}"
            );
        }
    }
}

#[test]
fn round_robin_probes_a_bad_destination_after_rests_that_double_even_without_updates() {
    let mut bench = Bench::with(PolicyConfig::RoundRobin, &[("d1", 1.0), ("d2", 1.0)]);
    let latency = |name: &str| if name == "d1" { 0.01 } else { 1.0 };
    picks_with_feedback(&mut bench, 4, latency);
    let mut probes = Vec::new();
    let start = bench.now;
    while bench.now.since(start) < Nanos::from_secs(200) {
        bench.pass(0.05);
        // Nothing but picks: only a probe, when it comes back, updates a weight.
        if bench.choose() == "d2" {
            probes.push((bench.now.since(start).as_secs_f64() * 20.0).round() / 20.0);
            bench.add("d2", 1.0);
        }
    }
    let rests: Vec<_> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((probes[0] - 1.0).abs() < 0.11, "{probes:?}");
    let expected = [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0];
    assert!(rests.len() >= expected.len(), "{probes:?}");
    for (rest, expected) in rests.iter().zip(expected) {
        assert!((rest - expected).abs() < 0.11, "{rests:?}");
    }
}

#[test]
fn round_robin_takes_back_a_destination_whose_probe_was_good() {
    let mut bench = Bench::with(PolicyConfig::RoundRobin, &[("d1", 1.0), ("d2", 1.0)]);
    picks_with_feedback(&mut bench, 4, |name| if name == "d1" { 0.01 } else { 1.0 });
    bench.pass(1.1);
    let picked = picks_with_feedback(&mut bench, 100, |_| 0.01);
    let share = picked.iter().filter(|name| *name == "d2").count();
    assert!((45..=55).contains(&share), "{picked:?}");
}

#[test]
fn round_robin_lets_a_newcomer_take_part_at_its_real_weight() {
    let mut bench = Bench::with(PolicyConfig::RoundRobin, &[("d1", 1.0), ("d2", 1.0)]);
    picks_with_feedback(&mut bench, 20, |_| 0.01);
    bench.add("new", 1.0);
    let picked = picks_with_feedback(&mut bench, 30, |_| 0.01);
    let share = picked.iter().filter(|name| *name == "new").count();
    assert!((9..=11).contains(&share), "{picked:?}");
}

#[test]
fn round_robin_falls_back_on_bad_destinations_when_the_good_ones_were_tried() {
    let mut bench = three(PolicyConfig::RoundRobin);
    picks_with_feedback(&mut bench, 10, of_three([100.0, 1000.0, 9000.0]));
    let mut tried = Tried::new();
    for expected in ["d1", "d2", "d3"] {
        let pick = bench.pick_without(&tried);
        assert_eq!(pick.destination().name(), expected);
        tried.push(pick.destination().id());
    }
}

fn fairness(alpha: f64, beta: f64) -> PolicyConfig {
    PolicyConfig::ProportionalFairness { alpha, beta }
}

#[test]
fn pf1_served_destinations_step_back() {
    let routes = [("dest1:666", 1.0), ("dest2:666", 1.0), ("dest1:667", 1.0)];
    let mut bench = Bench::with(fairness(2.0, 1.0), &routes);
    assert_eq!(bench.choose(), "dest1:666");
    bench
        .table
        .update_weight(L, "dest1:666", 2.0, bench.now)
        .unwrap();
    assert_eq!(bench.choose(), "dest2:666");
    assert!(bench.table.remove(L, "dest2:666", bench.now));
    assert_eq!(bench.choose(), "dest1:667");
    bench
        .table
        .update_weight(L, "dest1:667", 3.0, bench.now)
        .unwrap();
    assert_eq!(
        bench.table.to_string(),
        "lambda1 [2] dest1:666 (F)\n        [3] dest1:667 (F)\n"
    );
}

#[test]
fn proportional_fairness_trades_speed_for_fairness_by_its_exponents() {
    let latency = of_three([0.01, 0.02, 0.1]);
    let shares = |alpha, beta| {
        let mut bench = three(fairness(alpha, beta));
        let shares = bench.shares(3000, |bench| {
            let name = bench.choose();
            bench.pass(f64::from(latency(&name)));
            bench
                .table
                .update_weight(L, &name, latency(&name), bench.now)
                .unwrap();
            name
        });
        ["d1", "d2", "d3"].map(|name| shares.of(name))
    };
    for share in shares(0.0, 1.0) {
        assert!(share.abs_diff(1000) <= 1, "takes turns: {share}");
    }
    assert_eq!(shares(1.0, 0.0), [3000, 0, 0], "always the fastest");
    let balanced = shares(1.0, 1.0);
    assert!((1300..1600).contains(&balanced[0]), "{balanced:?}");
    assert!(
        balanced[0] > balanced[1] && balanced[1] > balanced[2],
        "{balanced:?}"
    );
    assert!(balanced[2] > 450, "{balanced:?}");
}
