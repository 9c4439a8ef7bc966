//! Destinations that ask to be left alone, with one lambda or altogether.

use crate::{Bench, L, all_policies, seconds, seeded};
use edge_balance::{
    Destinations, ForwardingTable, LimitConfig, Nanos, NoDestination, Pick, PolicyConfig, Report,
    Standing, Tried,
};
use std::sync::Arc;

const OTHER: &str = "another lambda";

/// Two destinations for one lambda, of which "a" serves another one, too.
fn bench(policy: PolicyConfig) -> Bench {
    let bench = Bench::with(policy, &[("a", 1.0), ("b", 1.0)]);
    bench
        .table
        .change(OTHER, "a", 1.0, true, bench.now)
        .unwrap();
    bench
}

impl Bench {
    fn pick_for(&mut self, lambda: &str) -> Result<Pick, NoDestination> {
        let tried = Tried::new();
        self.table.pick(lambda, &tried, self.now, &mut self.rng)
    }
}

fn standing(bench: &Bench, name: &str) -> Standing {
    let destination = bench.table.destinations().intern(name);
    destination.health().standing()
}

#[test]
fn a_lambda_that_is_pushed_back_stays_away_and_its_neighbour_does_not() {
    for policy in all_policies() {
        let mut bench = bench(policy);
        let pause = Some(seconds(0.05));
        let pick = bench.pick_of("a");
        pick.overloaded(pause, &Report::default(), bench.now);
        assert_eq!(standing(&bench, "a"), Standing::Healthy, "{policy}");
        assert_eq!(bench.table.destinations().set_aside(), 0, "{policy}");
        assert_eq!(bench.shares(20, Bench::choose).of("b"), 20, "{policy}");
        let neighbour = bench.pick_for(OTHER).unwrap();
        assert!(!neighbour.is_trial(), "{policy}");
        neighbour.succeeded(seconds(0.001), &Report::default(), bench.now);
        assert_eq!(bench.shares(20, Bench::choose).of("b"), 20, "{policy}");
        bench.pass(0.051);
        let trial = bench.pick();
        assert_eq!(trial.destination().name(), "a", "{policy}");
        assert!(trial.is_trial() && trial.max_wait().is_none(), "{policy}");
        assert_eq!(bench.choose(), "b", "{policy}: one at a time");
        trial.succeeded(seconds(0.001), &Report::default(), bench.now);
        let next = bench.pick_of("a");
        assert!(!next.is_trial(), "{policy}");
    }
}

#[test]
fn a_lambda_that_is_not_wanted_anywhere_waits_until_a_trial_is_due() {
    for policy in all_policies() {
        let mut bench = bench(policy);
        for destination in ["a", "b"] {
            let pick = bench.pick_of(destination);
            pick.overloaded(Some(seconds(0.05)), &Report::default(), bench.now);
        }
        let a = bench.table.destinations().intern("a").id();
        let mut tried = Tried::new();
        tried.push(a);
        let has_room =
            |bench: &Bench, lambda, tried: &Tried| bench.table.has_room(lambda, tried, bench.now);
        assert_eq!(
            bench.pick_for(L).unwrap_err(),
            NoDestination::Saturated,
            "{policy}"
        );
        assert!(!has_room(&bench, L, &Tried::new()), "{policy}");
        assert!(has_room(&bench, OTHER, &Tried::new()), "{policy}");
        bench.pass(0.051);
        assert!(has_room(&bench, L, &tried), "{policy}");
        let trial = bench.pick_without(&tried);
        assert_eq!((trial.destination().name(), trial.is_trial()), ("b", true));
        assert!(!has_room(&bench, L, &tried), "{policy}: one at a time");
        assert!(has_room(&bench, L, &Tried::new()), "{policy}");
        drop(trial);
        assert!(has_room(&bench, L, &tried), "{policy}: another may be it");
    }
}

#[test]
fn a_destination_that_speaks_for_itself_is_left_alone_by_all() {
    for policy in all_policies() {
        let mut bench = bench(policy);
        let pick = bench.pick_of("a");
        pick.all_overloaded(Some(seconds(0.05)), &Report::default(), bench.now);
        let until = bench.now + seconds(0.05);
        assert_eq!(standing(&bench, "a"), Standing::PushedBack { until });
        assert_eq!(bench.shares(20, Bench::choose).of("b"), 20, "{policy}");
        let neighbour = bench.pick_for(OTHER).unwrap_err();
        assert_eq!(neighbour, NoDestination::Saturated, "{policy}");
        bench.pass(0.05);
        assert!(bench.pick_for(OTHER).unwrap().is_trial(), "{policy}");
    }
}

#[test]
fn who_asks_is_told_that_the_lambda_stays_away() {
    let mut bench = bench(PolicyConfig::default());
    let pick = bench.pick_of("a");
    pick.overloaded(Some(seconds(0.05)), &Report::default(), bench.now);
    let standing = |lambda| {
        let explained = bench
            .table
            .explain(lambda, &Tried::new(), bench.now)
            .unwrap();
        let mut candidates = explained.candidates.into_iter();
        candidates.find(|c| c.destination == "a").unwrap().standing
    };
    let until = bench.now + seconds(0.05);
    assert_eq!(standing(L), Standing::PushedBack { until });
    assert_eq!(standing(OTHER), Standing::Healthy);
}

#[test]
fn a_route_that_comes_back_is_open_whatever_was_said_before() {
    let mut bench = bench(PolicyConfig::default());
    let late = bench.pick_of("a");
    let pick = bench.pick_of("a");
    pick.overloaded(Some(seconds(2.0)), &Report::default(), bench.now);
    bench.table.remove(L, "a", bench.now);
    bench.add("a", 1.0);
    late.overloaded(Some(seconds(2.0)), &Report::default(), bench.now);
    assert!(!bench.pick_of("a").is_trial());
}

#[test]
fn an_overload_cuts_the_limit_only_where_it_is_about_all_that_goes_there() {
    let limit_after = |lambdas: &[&str], overloaded: fn(Pick, Nanos)| {
        let destinations = Destinations::new().with_limits(LimitConfig::default());
        let table = ForwardingTable::new(PolicyConfig::default(), Arc::new(destinations));
        let now = seconds(1.0);
        for lambda in lambdas {
            table.change(lambda, "a", 1.0, true, now).unwrap();
        }
        let pick = || {
            let mut rng = seeded(1);
            table.pick(L, &Tried::new(), now, &mut rng).unwrap()
        };
        let workers = Report {
            workers: Some(4),
            in_flight: Some(1),
            ..Report::default()
        };
        pick().answered(&workers, now);
        overloaded(pick(), now);
        table.destinations().intern("a").limit().unwrap()
    };
    let start = LimitConfig::default().start;
    let some = |pick: Pick, now| pick.overloaded(None, &Report::default(), now);
    let all = |pick: Pick, now| pick.all_overloaded(None, &Report::default(), now);
    assert!(limit_after(&[L], some) < start);
    assert_eq!(limit_after(&[L, OTHER], some), start);
    assert!(limit_after(&[L, OTHER], all) < start);
}
