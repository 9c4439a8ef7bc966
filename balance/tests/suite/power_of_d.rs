//! Power of d choices.

use crate::{Bench, seconds};
use edge_balance::{PolicyConfig, Report};

fn bench(choices: u32, n: usize) -> Bench {
    let bench = Bench::new(PolicyConfig::PowerOfD { choices });
    for i in 0..n {
        bench.add(&format!("d{i}"), 1.0);
    }
    bench
}

/// The longest queue after each of `n` destinations has got one request on average.
fn longest_queue(choices: u32, n: usize) -> u32 {
    let mut bench = bench(choices, n);
    let picks: Vec<_> = (0..n).map(|_| bench.pick()).collect();
    let queues = picks.iter().map(|pick| pick.destination().in_flight());
    queues.max().unwrap()
}

#[test]
fn two_choices_keep_the_longest_queue_short() {
    // One choice would lead to seven or eight, two to ln ln n / ln 2 and a constant.
    assert!(longest_queue(2, 3000) <= 4);
    assert!(longest_queue(5, 3000) <= 3);
}

#[test]
fn of_as_many_choices_as_destinations_the_idle_one_is_always_found() {
    let mut bench = bench(3, 3);
    for _ in 0..50 {
        let picks: Vec<_> = (0..3).map(|_| bench.pick()).collect();
        for pick in &picks {
            assert_eq!(pick.destination().in_flight(), 1);
        }
    }
}

#[test]
fn idle_destinations_are_used_alike_whatever_their_weights_and_latencies() {
    let mut bench = Bench::with(
        PolicyConfig::PowerOfD { choices: 2 },
        &[("a", 1.0), ("b", 100.0), ("c", 0.01)],
    );
    let latency = |name: &str| if name == "a" { 1.0 } else { 0.01 };
    let shares = bench.shares(3000, |bench| bench.serve(latency));
    for name in ["a", "b", "c"] {
        assert!(shares.of(name).abs_diff(1000) < 150, "{shares:?}");
    }
    assert!(
        bench.table.to_string().contains("[100"),
        "weights stay as announced"
    );
}

#[test]
fn a_destination_that_keeps_its_requests_gets_fewer() {
    let mut bench = bench(2, 4);
    let mut kept = Vec::new();
    for _ in 0..400 {
        let pick = bench.pick();
        if pick.destination().name() == "d0" {
            kept.push(pick);
        } else {
            pick.succeeded(seconds(0.01), &Report::default(), bench.now);
        }
    }
    assert!(kept.len() <= 2, "{}", kept.len());
}
