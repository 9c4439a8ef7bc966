//! Ejection, trial and recovery, on virtual time.

use crate::{Bench, L, all_policies, seconds};
use edge_balance::{FIRST_EJECTION, LONGEST_EJECTION, Nanos, NoDestination, PolicyConfig, Report};
use edge_balance::{Pick, Standing, Tried};

fn two() -> Bench {
    Bench::with(PolicyConfig::LeastImpedance, &[("bad", 1.0), ("good", 2.0)])
}

fn standing(bench: &Bench, destination: &str) -> Standing {
    bench
        .table
        .destinations()
        .intern(destination)
        .health()
        .standing()
}

/// Picks, which must be `bad`, and fails it.
fn fail_bad(bench: &mut Bench) {
    let pick = bench.pick();
    assert_eq!(pick.destination().name(), "bad");
    pick.failed(bench.now);
}

fn name(pick: &Pick) -> &str {
    pick.destination().name()
}

#[test]
fn one_failure_ejects_for_two_seconds() {
    let mut bench = two();
    fail_bad(&mut bench);
    assert_eq!(
        standing(&bench, "bad"),
        Standing::Ejected {
            until: bench.now + FIRST_EJECTION
        }
    );
    assert_eq!(bench.table.destinations().ejected(), 1);
    bench.pass(1.99);
    assert_eq!(bench.shares(10, Bench::choose).of("good"), 10);
}

#[test]
fn every_policy_passes_over_ejected_and_tried_destinations() {
    for policy in all_policies() {
        let mut bench = Bench::with(policy, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        let ejected = bench.pick();
        let out = name(&ejected).to_owned();
        ejected.failed(bench.now);
        let mut tried = Tried::new();
        for _ in 0..2 {
            let pick = bench.pick_without(&tried);
            assert_ne!(name(&pick), out, "{policy}");
            assert!(!tried.contains(pick.destination().id()), "{policy}");
            tried.push(pick.destination().id());
        }
        let last = bench.pick_without(&tried);
        assert_eq!(name(&last), out, "{policy}: none else is left");
        assert!(!last.is_trial(), "{policy}");
        tried.push(last.destination().id());
        let refused = bench
            .table
            .pick(L, &tried, bench.now, &mut bench.rng)
            .unwrap_err();
        assert_eq!(refused, NoDestination::AllTried, "{policy}");
    }
}

#[test]
fn exactly_one_trial_follows_an_ejection_and_its_success_ends_it() {
    let mut bench = two();
    fail_bad(&mut bench);
    bench.pass(2.01);
    let trial = bench.pick();
    assert!(trial.is_trial());
    assert_eq!(
        (name(&trial), standing(&bench, "bad")),
        ("bad", Standing::OnTrial)
    );
    assert_eq!(
        bench.shares(10, Bench::choose).of("good"),
        10,
        "others wait for the verdict"
    );
    trial.succeeded(seconds(0.1), &Report::default(), bench.now);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
    assert_eq!(bench.table.destinations().ejected(), 0);
    let next = bench.pick();
    assert!(name(&next) == "bad" && !next.is_trial());
}

#[test]
fn a_trial_comes_whatever_the_cost_but_not_to_who_tried_already() {
    let mut bench = two();
    let mut tried = Tried::new();
    let pick = bench.pick();
    tried.push(pick.destination().id());
    drop(pick);
    let good = bench.pick_without(&tried);
    assert_eq!(name(&good), "good");
    good.failed(bench.now);
    bench.pass(2.01);
    let again = bench.pick();
    assert!(
        again.is_trial() && name(&again) == "good",
        "although bad costs half"
    );
    drop(again);
    let mut tried = Tried::new();
    tried.push(bench.table.destinations().intern("good").id());
    assert_eq!(name(&bench.pick_without(&tried)), "bad");
}

#[test]
fn failed_trials_double_the_ejection_up_to_thirty_seconds_and_success_resets_it() {
    let mut bench = two();
    fail_bad(&mut bench);
    for expected in [2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        let Standing::Ejected { until } = standing(&bench, "bad") else {
            panic!("not ejected")
        };
        assert_eq!(until.since(bench.now), seconds(expected));
        bench.now = until;
        let trial = bench.pick();
        assert!(trial.is_trial());
        trial.failed(bench.now);
    }
    let longest = Standing::Ejected {
        until: bench.now + LONGEST_EJECTION,
    };
    assert_eq!(standing(&bench, "bad"), longest);
    bench.pass(30.0);
    bench.pick().answered(&Report::default(), bench.now);
    assert_eq!(
        standing(&bench, "bad"),
        Standing::Healthy,
        "an application error is an answer"
    );
    fail_bad(&mut bench);
    assert_eq!(
        standing(&bench, "bad"),
        Standing::Ejected {
            until: bench.now + FIRST_EJECTION
        }
    );
}

#[test]
fn an_abandoned_trial_lets_the_next_request_try() {
    let mut bench = two();
    fail_bad(&mut bench);
    bench.pass(2.01);
    drop(bench.pick());
    assert!(matches!(standing(&bench, "bad"), Standing::Ejected { until } if until <= bench.now));
    let trial = bench.pick();
    assert!(trial.is_trial());
    assert_eq!(bench.in_flight("bad"), 1);
}

#[test]
fn requests_from_before_an_ejection_neither_prolong_nor_end_it() {
    let mut bench = two();
    let early: Vec<_> = (0..4).map(|_| bench.pick()).collect();
    fail_bad(&mut bench);
    let ejected = standing(&bench, "bad");
    for (i, pick) in early.into_iter().enumerate() {
        bench.pass(0.1);
        if i % 2 == 0 {
            pick.failed(bench.now);
        } else {
            pick.succeeded(seconds(0.1), &Report::default(), bench.now);
        }
        assert_eq!(standing(&bench, "bad"), ejected);
    }
    assert_eq!(bench.in_flight("bad"), 0);
}

#[test]
fn a_failure_from_before_a_recovery_does_not_eject_again() {
    let mut bench = two();
    let early = bench.pick();
    fail_bad(&mut bench);
    bench.pass(2.01);
    bench
        .pick()
        .succeeded(seconds(0.1), &Report::default(), bench.now);
    early.failed(bench.now);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
}

#[test]
fn with_all_ejected_all_are_used_and_a_success_ends_the_ejection() {
    let mut bench = two();
    fail_bad(&mut bench);
    bench.pick().failed(bench.now);
    assert_eq!(bench.table.destinations().ejected(), 2);
    let until = standing(&bench, "bad");
    let desperate = bench.pick();
    assert!(name(&desperate) == "bad" && !desperate.is_trial());
    desperate.failed(bench.now);
    assert_eq!(standing(&bench, "bad"), until, "not prolonged");
    bench
        .pick()
        .succeeded(seconds(0.1), &Report::default(), bench.now);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
    assert_ne!(standing(&bench, "good"), Standing::Healthy);
}

#[test]
fn a_single_destination_is_used_while_its_trial_is_under_way() {
    let mut bench = Bench::with(PolicyConfig::LeastCost, &[("only", 1.0)]);
    bench.pick().failed(bench.now);
    assert!(!bench.pick().is_trial());
    bench.pass(2.01);
    let trial = bench.pick();
    assert!(trial.is_trial());
    let other = bench.pick();
    assert!(!other.is_trial());
    other.succeeded(seconds(0.1), &Report::default(), bench.now);
    assert_eq!(standing(&bench, "only"), Standing::Healthy);
    trial.failed(bench.now);
    assert_eq!(
        standing(&bench, "only"),
        Standing::Healthy,
        "its knowledge is from before"
    );
}

#[test]
fn health_and_load_are_shared_by_lambdas_and_tables() {
    let mut bench = two();
    let other = edge_balance::ForwardingTable::new(
        PolicyConfig::LeastCost,
        bench.table.destinations().clone(),
    );
    other.change("other", "bad", 1.0, true, bench.now).unwrap();
    other.change("other", "good", 1.0, true, bench.now).unwrap();
    let pick = bench.pick();
    assert_eq!(bench.in_flight("bad"), 1);
    let spread = other
        .pick("other", &Tried::new(), bench.now, &mut bench.rng)
        .unwrap();
    assert_eq!(name(&spread), "good", "bad has a request of another table");
    drop((pick, spread));
    fail_bad(&mut bench);
    for _ in 0..10 {
        let pick = other
            .pick("other", &Tried::new(), bench.now, &mut bench.rng)
            .unwrap();
        assert_eq!(name(&pick), "good");
    }
}

#[test]
fn removal_and_return_start_with_a_clean_slate() {
    let mut bench = two();
    fail_bad(&mut bench);
    assert!(bench.table.remove(L, "bad", bench.now));
    assert_eq!(bench.table.destinations().ejected(), 0);
    bench.add("bad", 1.0);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
    assert!(bench.now > Nanos::ZERO);
}
