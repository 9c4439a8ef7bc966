//! C3.

use crate::{Bench, L, seconds};
use edge_balance::{PolicyConfig, Report, Tried};

fn bench(clients: u32) -> Bench {
    Bench::with(PolicyConfig::C3 { clients }, &[("a", 1.0), ("b", 1.0)])
}

fn report(service: f64, in_flight: u32) -> Report {
    Report {
        service: Some(seconds(service)),
        in_flight: Some(in_flight),
        workers: Some(1),
        ..Report::default()
    }
}

fn scores(bench: &Bench) -> Vec<f64> {
    let explanation = bench.table.explain(L, &Tried::new(), bench.now).unwrap();
    explanation.candidates.iter().map(|c| c.cost).collect()
}

fn close(actual: f64, expected: f64) -> bool {
    (actual - expected).abs() < 1e-3 * expected
}

#[test]
fn the_score_is_that_of_the_paper() {
    let mut bench = bench(4);
    for _ in 0..200 {
        bench.teach("a", 0.03, &report(0.01, 2));
        bench.teach("b", 0.02, &report(0.02, 0));
    }
    // R - T + (1 + own n + Q)^3 T, with nothing in flight and with one request at each.
    let idle = scores(&bench);
    assert!(close(idle[0], 0.02 + 27.0 * 0.01), "{idle:?}");
    assert!(close(idle[1], 0.02), "{idle:?}");
    let first = bench.pick();
    assert_eq!(first.destination().name(), "b");
    let busy = scores(&bench);
    assert!(close(busy[1], 125.0 * 0.02), "{busy:?}");
}

#[test]
fn the_cube_spreads_requests_before_the_slower_one_would_be_as_quick() {
    let mut bench = bench(1);
    for _ in 0..100 {
        bench.teach("a", 0.01, &report(0.01, 0));
        bench.teach("b", 0.08, &report(0.08, 0));
    }
    let picks: Vec<_> = (0..30).map(|_| bench.pick()).collect();
    let on_b = picks.iter().filter(|p| p.destination().name() == "b");
    // Eight times slower, yet a third: (1 + own)^3 x 0.01 against (1 + own)^3 x 0.08.
    assert!((9..=11).contains(&on_b.count()));
}

#[test]
fn destinations_that_report_nothing_are_told_apart_by_latency() {
    let mut bench = bench(1);
    let latency = |name: &str| if name == "a" { 0.01 } else { 0.05 };
    let shares = bench.shares(1000, |bench| bench.serve(latency));
    assert!(shares.of("a") > 950, "{shares:?}");
    assert!(shares.of("b") > 0, "explored now and then: {shares:?}");
}

#[test]
fn a_long_queue_of_others_keeps_requests_away() {
    let mut bench = bench(1);
    for _ in 0..100 {
        bench.teach("a", 0.02, &report(0.01, 9));
        bench.teach("b", 0.03, &report(0.02, 0));
    }
    assert_eq!(bench.choose(), "b");
}
