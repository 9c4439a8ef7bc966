//! Ejection, trial and recovery, on virtual time.

use crate::{Bench, L, all_policies, seconds};
use edge_balance::{FIRST_EJECTION, LONGEST_EJECTION, Nanos, NoDestination, PolicyConfig, Report};
use edge_balance::{Pick, Standing, Tried};
use rand::RngExt as _;

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
    assert_eq!(bench.table.destinations().set_aside(), 1);
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
    assert_eq!(bench.table.destinations().set_aside(), 0);
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
fn failed_trials_double_the_ejection_up_to_thirty_seconds_and_half_a_minute_of_success_resets_it() {
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
    bench.pass(30.1);
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
    assert_eq!(bench.table.destinations().set_aside(), 2);
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
    assert_eq!(bench.table.destinations().set_aside(), 0);
    bench.add("bad", 1.0);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
    assert!(bench.now > Nanos::ZERO);
}

#[test]
fn one_that_is_back_and_goes_on_failing_a_good_part_is_ejected_for_longer_each_time() {
    let mut bench = two();
    for expected in [2.0, 4.0, 8.0] {
        for _ in 0..20 {
            bench.choose();
        }
        loop {
            let pick = bench.pick();
            if name(&pick) == "bad" {
                break pick.failed(bench.now);
            }
            pick.answered(&Report::default(), bench.now);
        }
        let Standing::Ejected { until } = standing(&bench, "bad") else {
            panic!("not ejected")
        };
        assert_eq!(until.since(bench.now), seconds(expected));
        bench.now = until;
        bench.pick().answered(&Report::default(), bench.now);
        assert_eq!(standing(&bench, "bad"), Standing::Healthy);
        for _ in 0..3 {
            // Still a good part: with these alone it would be one in five.
            let pick = bench.pick();
            pick.answered(&Report::default(), bench.now);
        }
    }
}

#[test]
fn requests_that_fail_now_and_then_everywhere_eject_nobody() {
    let destinations = [("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)];
    let mut bench = Bench::with(PolicyConfig::Random, &destinations);
    let mut aside = 0;
    for _ in 0..100_000 {
        let pick = bench.pick();
        if bench.rng.random_ratio(1, 50) {
            pick.misbehaved(bench.now);
        } else {
            pick.answered(&Report::default(), bench.now);
        }
        bench.pass(0.002);
        aside += bench.table.destinations().set_aside();
    }
    assert!(aside < 25_000, "a quarter of one on average: {aside}");
}

#[test]
fn one_that_fails_fast_is_ejected_by_its_first_failure_where_the_others_work() {
    let destinations = [("a", 1.0), ("b", 1.0), ("c", 1.0), ("bad", 1.0)];
    for policy in all_policies() {
        let mut bench = Bench::with(policy, &destinations);
        let mut wasted = 0;
        for _ in 0..1000 {
            let pick = bench.pick();
            if name(&pick) == "bad" {
                wasted += 1;
                pick.misbehaved(bench.now);
            } else {
                pick.answered(&Report::default(), bench.now);
            }
            bench.pass(0.001);
        }
        assert!(wasted <= 2, "{policy}: {wasted}");
    }
}

#[test]
fn doubtful_failures_set_aside_one_of_two_and_two_of_three_and_broken_ways_all() {
    for (names, expected) in [(vec!["a", "b"], 1), (vec!["a", "b", "c"], 2)] {
        let destinations: Vec<_> = names.iter().map(|name| (*name, 1.0)).collect();
        let mut bench = Bench::with(PolicyConfig::Random, &destinations);
        for _ in 0..200 {
            bench.pick().misbehaved(bench.now);
        }
        assert_eq!(bench.table.destinations().set_aside(), expected);
        for _ in 0..200 {
            bench.pick().failed(bench.now);
        }
        assert_eq!(bench.table.destinations().set_aside(), names.len());
    }
}

#[test]
fn one_that_owes_answers_for_long_is_passed_over_until_it_gives_one() {
    let mut bench = Bench::with(PolicyConfig::LeastCost, &[("bad", 0.02), ("good", 0.05)]);
    for _ in 0..2 {
        let pick = bench.pick();
        let latency = if name(&pick) == "bad" { 0.02 } else { 0.05 };
        pick.succeeded(seconds(latency), &Report::default(), bench.now);
    }
    let owed = bench.pick();
    assert_eq!(name(&owed), "bad");
    bench.pass(0.24);
    bench.table.destinations().inspect(bench.now);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
    bench.pass(0.02);
    bench.table.destinations().inspect(bench.now);
    assert!(matches!(standing(&bench, "bad"), Standing::Stalled { .. }));
    assert_eq!(bench.shares(10, Bench::choose).of("good"), 10);
    owed.succeeded(seconds(0.3), &Report::default(), bench.now);
    assert_eq!(standing(&bench, "bad"), Standing::Healthy);
}

#[test]
fn one_that_others_outrun_three_times_is_stalled_and_its_trial_fails_likewise() {
    let mut bench = two();
    for _ in 0..3 {
        assert_eq!(standing(&bench, "bad"), Standing::Healthy);
        bench.pick().outrun(bench.now);
    }
    assert!(matches!(standing(&bench, "bad"), Standing::Stalled { .. }));
    bench.pass(2.01);
    let trial = bench.pick();
    assert!(trial.is_trial());
    trial.outrun(bench.now);
    let until = bench.now + FIRST_EJECTION;
    assert_eq!(standing(&bench, "bad"), Standing::Ejected { until });
}

#[test]
fn with_all_of_those_that_work_pushed_back_a_request_is_not_sent_to_one_that_fails() {
    let mut bench = two();
    fail_bad(&mut bench);
    let good = bench.pick();
    good.overloaded(Some(seconds(0.05)), &Report::default(), bench.now);
    let busy = bench
        .table
        .pick(L, &Tried::new(), bench.now, &mut bench.rng)
        .unwrap_err();
    assert_eq!(busy, NoDestination::Saturated);
    bench.pass(0.06);
    let trial = bench.pick();
    assert_eq!((name(&trial), trial.is_trial()), ("good", true));
    assert_eq!(
        bench
            .table
            .pick(L, &Tried::new(), bench.now, &mut bench.rng)
            .unwrap_err(),
        NoDestination::Saturated,
        "one at a time"
    );
}
