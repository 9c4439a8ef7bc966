//! The default policy lets destinations turn requests down: on which condition, how often, and what
//! becomes of those that do it too much.

use crate::predicted_completion::{bench, report, two, warm};
use crate::{Bench, seconds};
use edge_balance::{CompletionConfig, PolicyConfig, Reason, Standing, Tried};
use std::sync::Arc;

#[test]
fn a_request_says_what_wait_the_second_best_would_beat() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let max_wait = pick.max_wait().unwrap();
    // 1.3 times some 11 ms, less the service time of 10 ms.
    assert!(
        (0.002..0.010).contains(&max_wait.as_secs_f64()),
        "{max_wait:?}"
    );
    let predicted = pick.predicted().unwrap().as_secs_f64();
    assert!((0.010..0.014).contains(&predicted), "{predicted}");
    let waiting = pick.predicted_wait().unwrap().as_secs_f64();
    assert!((0.0005..0.002).contains(&waiting), "{waiting}");
    assert_eq!(pick.reason(), Reason::Best);
}

#[test]
fn without_an_alternative_a_request_is_unconditional() {
    let mut alone = bench(&[("a", 1.0)]);
    warm(&mut alone, |_| 0.01);
    assert_eq!(alone.pick().max_wait(), None);

    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let first = bench.pick();
    let mut tried = Tried::new();
    tried.push(first.destination().id());
    tried.refused();
    first.refused(&report(3, 0.0, 0.0), bench.now);
    assert_eq!(bench.pick_without(&tried).max_wait(), None);
}

#[test]
fn a_request_is_turned_down_twice_at_the_most() {
    let mut bench = bench(&[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]);
    warm(&mut bench, |_| 0.01);
    let mut tried = Tried::new();
    for _ in 0..2 {
        let pick = bench.pick_without(&tried);
        assert!(pick.max_wait().is_some());
        tried.push(pick.destination().id());
        tried.refused();
        pick.refused(&report(3, 0.0, 0.0), bench.now);
    }
    assert_eq!(bench.pick_without(&tried).max_wait(), None);
}

#[test]
fn refusals_are_a_share_of_requests_however_many_destinations_want_to_refuse() {
    let mut bench = bench(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
    warm(&mut bench, |_| 0.01);
    let mut refusals = 0;
    for _ in 0..2000 {
        let mut tried = Tried::new();
        loop {
            let pick = bench.pick_without(&tried);
            bench.pass(0.001);
            if pick.max_wait().is_none() {
                pick.succeeded(seconds(0.011), &report(3, 0.01, 0.01), bench.now);
                break;
            }
            refusals += 1;
            tried.push(pick.destination().id());
            tried.refused();
            pick.refused(&report(3, 0.0, 0.0), bench.now);
        }
    }
    assert!((380..=420).contains(&refusals), "{refusals}");
}

#[test]
fn a_refusal_is_no_failure_and_tells_of_the_queue() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let destination = Arc::clone(pick.destination());
    pick.refused(&report(10, 0.0, 0.0), bench.now);
    assert_eq!(destination.health().standing(), Standing::Healthy);
    let next = bench.shares(10, Bench::choose);
    assert_eq!(next.of(destination.name()), 0, "{next:?}");
}

#[test]
fn a_destination_that_refuses_everything_although_idle_is_set_aside() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let mut turned_down = 0;
    while bench.table.destinations().set_aside() == 0 {
        assert!(turned_down < 100, "{turned_down}");
        let pick = bench.pick();
        if pick.destination().name() == "a" {
            turned_down += 1;
            pick.refused(&report(0, 0.0, 0.0), bench.now);
        } else {
            pick.succeeded(seconds(0.011), &report(9, 0.01, 0.01), bench.now);
        }
        bench.pass(0.02);
    }
    assert!(turned_down <= 4, "{turned_down}");
}

#[test]
fn a_trial_is_unconditional() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    pick.failed(bench.now);
    bench.pass(2.1);
    let trial = bench.pick();
    assert_eq!(trial.destination().name(), name);
    assert_eq!((trial.reason(), trial.max_wait()), (Reason::Trial, None));
}

#[test]
fn a_trial_that_is_turned_down_has_failed() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    pick.failed(bench.now);
    bench.pass(2.1);
    let trial = bench.pick();
    assert_eq!(trial.reason(), Reason::Trial);
    trial.refused(&report(0, 0.0, 0.0), bench.now);
    bench.pass(2.1);
    assert_ne!(bench.choose(), name, "the second pause is longer");
}

#[test]
fn with_refusals_turned_off_nothing_is_conditional() {
    let policy = PolicyConfig::PredictedCompletion(CompletionConfig {
        refusal_share: 0.0,
        ..CompletionConfig::default()
    });
    let mut bench = Bench::with(policy, &[("a", 1.0), ("b", 1.0)]);
    warm(&mut bench, |_| 0.01);
    assert_eq!(bench.pick().max_wait(), None);
}
