//! The default policy asks destinations that get no requests how they do.

use crate::predicted_completion::{report, shares, two, warm};
use crate::{Bench, L, Shares, seconds};
use edge_balance::{CompletionConfig, Nanos, PolicyConfig, Request};

/// The probes that the table wants in some requests, about whom.
fn probed(bench: &mut Bench, n: usize) -> Shares {
    bench.shares(n, |bench| {
        let request = Request::from(L);
        let wanted = bench.table.probes(request, bench.now, &mut bench.rng);
        let names = wanted.iter().map(|probe| probe.destination().name());
        names.collect::<Vec<_>>().join(",")
    })
}

#[test]
fn one_without_requests_is_probed_and_nobody_else() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.01 } else { 0.2 };
    warm(&mut bench, service);
    let probes = probed(&mut bench, 160);
    assert!((2..40).contains(&probes.of("b")), "{probes:?}");
    assert_eq!(probes.of("a"), 0);
}

#[test]
fn brokers_are_not_probed_and_nobody_is_if_the_configuration_says_so() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.01 } else { 0.2 };
    bench.table.change(L, "b", 1.0, false, bench.now).unwrap();
    warm(&mut bench, service);
    assert_eq!(probed(&mut bench, 160).of("b"), 0);

    let policy = PolicyConfig::PredictedCompletion(CompletionConfig {
        probes: 0.0,
        ..CompletionConfig::default()
    });
    let mut bench = Bench::with(policy, &[("a", 1.0), ("b", 1.0)]);
    warm(&mut bench, service);
    assert_eq!(probed(&mut bench, 160).of("b"), 0);
}

#[test]
fn an_estimate_brings_one_back_that_was_slow_once() {
    let mut bench = two();
    let before = |name: &str| if name == "a" { 0.02 } else { 0.3 };
    warm(&mut bench, before);
    for _ in 0..200 {
        let request = Request::from(L);
        for probe in bench.table.probes(request, bench.now, &mut bench.rng) {
            let of_b = probe.destination().name() == "b";
            let estimate = Some(seconds(if of_b { 0.002 } else { 0.02 }));
            probe.answered(seconds(0.001), estimate, &report(0, 0.0, 0.0), bench.now);
        }
        bench.pass(0.02);
    }
    let after = |name: &str| if name == "a" { 0.02 } else { 0.002 };
    let shares = shares(&mut bench, 100, after);
    assert!(shares.of("b") > 90, "{shares:?}");
}

#[test]
fn an_estimate_of_nothing_is_none() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.02 } else { 0.3 };
    warm(&mut bench, service);
    for _ in 0..200 {
        let request = Request::from(L);
        for probe in bench.table.probes(request, bench.now, &mut bench.rng) {
            let nothing = Some(Nanos::ZERO);
            probe.answered(seconds(0.001), nothing, &report(0, 0.0, 0.0), bench.now);
        }
        bench.pass(0.002);
    }
    let shares = shares(&mut bench, 20, service);
    assert_eq!(shares.of("b"), 0, "{shares:?}");
}

#[test]
fn one_that_is_set_aside_is_left_alone_until_a_trial_has_brought_it_back() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.01 } else { 0.2 };
    warm(&mut bench, service);
    assert!(probed(&mut bench, 160).of("b") > 0);

    bench.pick_of("b").failed(bench.now);
    bench.pass(1.5);
    assert_eq!(probed(&mut bench, 160).of("b"), 0);

    bench.pass(1.0);
    let trial = bench.pick();
    assert!(trial.is_trial());
    trial.succeeded(seconds(0.2), &report(0, 0.2, 0.2), bench.now);
    warm(&mut bench, service);
    let probes = probed(&mut bench, 160);
    assert!(probes.of("b") > 0, "{probes:?}");
}
