//! Peak EWMA.

use crate::{Bench, L};
use edge_balance::{PolicyConfig, Report, Tried};

fn two() -> Bench {
    Bench::with(PolicyConfig::PeakEwma, &[("a", 1.0), ("b", 1.0)])
}

fn peaks(bench: &Bench) -> Vec<f64> {
    let explanation = bench.table.explain(L, &Tried::new(), bench.now).unwrap();
    let peak = |candidate: &edge_balance::Candidate| candidate.terms[0].1;
    explanation.candidates.iter().map(peak).collect()
}

fn close(actual: f64, expected: f64) -> bool {
    (actual - expected).abs() < 1e-3 * expected
}

#[test]
fn a_sequential_client_goes_to_the_quicker_of_two() {
    let mut bench = two();
    let shares = bench.shares(1000, |bench| {
        bench.serve(|name| if name == "a" { 0.01 } else { 0.05 })
    });
    assert!(shares.of("a") > 900, "{shares:?}");
    assert!(shares.of("b") > 0, "tried again when its peak has decayed");
}

#[test]
fn one_slow_answer_is_remembered_for_the_time_constant() {
    let mut bench = two();
    bench.teach("a", 0.01, &Report::default());
    bench.teach("b", 0.01, &Report::default());
    bench.teach("a", 0.5, &Report::default());
    assert!(close(peaks(&bench)[0], 0.5), "{:?}", peaks(&bench));
    assert_eq!(bench.shares(20, Bench::choose).of("b"), 20);
    bench.pass(10.0);
    assert!(close(peaks(&bench)[0], 0.5 / 1.0_f64.exp()));
}

#[test]
fn a_failure_counts_as_five_seconds_so_that_failing_fast_does_not_pay() {
    let mut bench = two();
    bench.teach("a", 0.01, &Report::default());
    bench.teach("b", 0.02, &Report::default());
    while bench.in_flight("a") == 0 {
        let pick = bench.pick();
        if pick.destination().name() == "a" {
            pick.failed(bench.now);
            break;
        }
    }
    assert!(close(peaks(&bench)[0], 5.0), "{:?}", peaks(&bench));
    // Its trial succeeds, so that it is healthy, but it is not preferred.
    bench.pass(2.1);
    assert_eq!(bench.serve(|_| 0.001), "a");
    assert!(bench.table.destinations().intern("a").health().is_healthy());
    assert_eq!(bench.shares(20, Bench::choose).of("b"), 20);
}

#[test]
fn requests_in_flight_multiply_the_estimate() {
    let mut bench = two();
    bench.teach("a", 0.01, &Report::default());
    bench.teach("b", 0.03, &Report::default());
    let picks: Vec<_> = (0..40).map(|_| bench.pick()).collect();
    let on_a = picks
        .iter()
        .filter(|pick| pick.destination().name() == "a")
        .count();
    assert!((29..=31).contains(&on_a), "{on_a}");
}

#[test]
fn estimates_belong_to_the_pair_of_lambda_and_destination() {
    let mut bench = two();
    for name in ["a", "b"] {
        bench
            .table
            .change("other", name, 1.0, true, bench.now)
            .unwrap();
    }
    bench.teach("a", 0.5, &Report::default());
    bench.teach("b", 0.01, &Report::default());
    let other = bench.table.explain("other", &Tried::new(), bench.now);
    for candidate in other.unwrap().candidates {
        assert!(close(candidate.cost, 0.03), "not measured: {candidate:?}");
    }
}
