//! Lambdas with so many destinations that a pick looks at some of them only.

use crate::{Bench, L, Shares, all_policies};
use edge_balance::{FIRST_EJECTION, Nanos, Pick, PolicyConfig, PolicyKeys, Report, Request, Tried};
use std::collections::{BTreeMap, BTreeSet};

const MANY: usize = 1000;

fn name(number: usize) -> String {
    format!("d{number}")
}

fn bench(policy: &str, weight: impl Fn(usize) -> f32) -> Bench {
    let bench = Bench::new(PolicyConfig::from_name(policy, &PolicyKeys::default()).unwrap());
    (0..MANY).for_each(|number| bench.add(&name(number), weight(number)));
    bench
}

/// How often those with an odd number come up in `n` picks.
fn odd(shares: &Shares) -> usize {
    let number = |name: &str| name[1..].parse::<usize>().unwrap();
    let odd = shares.0.iter().filter(|(name, _)| number(name) % 2 == 1);
    odd.map(|(_, times)| times).sum()
}

#[test]
fn whatever_is_left_is_found_by_every_policy() {
    for policy in PolicyConfig::NAMES {
        let keys = PolicyKeys {
            alpha: Some(1.0),
            beta: Some(1.0),
            ..PolicyKeys::default()
        };
        let mut bench = Bench::new(PolicyConfig::from_name(policy, &keys).unwrap());
        (0..MANY).for_each(|number| bench.add(&name(number), 1.0));
        assert_eq!(
            bench.pick_of("d777").destination().name(),
            "d777",
            "{policy}"
        );
        let ejected: Vec<_> = (0..MANY).filter(|number| *number != 555).collect();
        for number in ejected {
            bench.pick_of(&name(number)).failed(bench.now);
        }
        assert_eq!(bench.choose(), "d555", "{policy}");
    }
}

#[test]
fn random_shares_are_inverse_to_weights_also_after_these_have_changed() {
    let mut bench = bench("random", |number| if number % 2 == 1 { 1.0 } else { 3.0 });
    let expect = |bench: &mut Bench, share: f64| {
        let of_odd = odd(&bench.shares(20_000, Bench::choose)) as f64 / 20_000.0;
        assert!((of_odd - share).abs() < 0.02, "{of_odd} instead of {share}");
    };
    expect(&mut bench, 0.75);
    for number in (1..MANY).step_by(2) {
        bench.add(&name(number), 9.0);
    }
    expect(&mut bench, 0.25);
    // One that takes nearly everything: drawing is of no use.
    bench.add("d1", 1e-6);
    expect(&mut bench, 1.0);
    bench.add("d1", 9.0);
    expect(&mut bench, 0.25);
    bench.table.remove(L, "d1", bench.now);
    expect(&mut bench, 0.25);
}

/// Ejects those with these numbers.
fn eject(bench: &mut Bench, numbers: impl Iterator<Item = usize>) {
    let picks: Vec<_> = numbers.map(|number| bench.pick_of(&name(number))).collect();
    picks.into_iter().for_each(|pick| pick.failed(bench.now));
}

#[test]
fn turns_are_fair_among_those_that_are_left_and_those_that_come_back() {
    let mut bench = bench("round-robin", |_| 1.0);
    eject(&mut bench, (0..MANY).filter(|number| number % 10 != 0));
    for _ in 0..3 {
        let shares = bench.shares(MANY / 10, Bench::choose);
        assert_eq!(shares.0.len(), MANY / 10, "everybody once");
    }
    // A request that has been to the next ones goes to another one.
    let mut tried = Tried::new();
    for _ in 0..3 {
        let pick = bench.table.pick(L, &tried, bench.now, &mut bench.rng);
        let id = pick.unwrap().destination().id();
        assert!(!tried.contains(id));
        tried.push(id);
    }
    // Trials bring them back.
    bench.now = bench.now + Nanos::from_secs(600);
    for _ in 0..20 * MANY {
        let pick = bench
            .table
            .pick(L, &Tried::new(), bench.now, &mut bench.rng);
        pick.unwrap()
            .succeeded(Nanos::from_millis(1), &Report::default(), bench.now);
    }
    let shares = bench.shares(MANY, Bench::choose);
    assert_eq!(shares.0.len(), MANY, "everybody once");
}

#[test]
fn the_lightest_that_is_left_stands_in_for_the_lightest() {
    let weight = |number| 1.0 + number as f32;
    let mut bench = bench("least-impedance", weight);
    eject(&mut bench, 0..5);
    (0..100).for_each(|_| assert_eq!(bench.choose(), "d5"));
    // A retry goes to the next, and the stand-in stays what it is.
    let mut tried = Tried::new();
    for expected in ["d5", "d6", "d7"] {
        let pick = bench.table.pick(L, &tried, bench.now, &mut bench.rng);
        let pick = pick.unwrap();
        assert_eq!(pick.destination().name(), expected);
        tried.push(pick.destination().id());
    }
    assert_eq!(bench.choose(), "d5");
    bench.add("new", 5.5);
    assert_eq!(bench.choose(), "new");
    bench.add("d900", 5.25);
    assert_eq!(bench.choose(), "d900");
    bench.table.remove(L, "d900", bench.now);
    assert_eq!(bench.choose(), "new");
}

#[test]
fn everybody_has_a_turn_before_anybody_has_two() {
    let mut bench = bench("round-robin", |_| 1.0);
    for _ in 0..3 {
        let shares = bench.shares(MANY, Bench::choose);
        assert_eq!(shares.0.len(), MANY);
    }
    bench.choose();
    bench.add("another", 1.0);
    let shares = bench.shares(MANY + 1, Bench::choose);
    assert!(shares.0.contains_key("another"));
    assert!(shares.0.len() >= MANY, "{}", shares.0.len());
}

#[test]
fn weighted_turns_are_even_without_reports() {
    let mut bench = bench("weighted-round-robin", |_| 1.0);
    let shares = bench.shares(100 * MANY, Bench::choose);
    assert_eq!(shares.0.len(), MANY);
    let (least, most) = (shares.0.values().min(), shares.0.values().max());
    assert!(
        *least.unwrap() >= 80 && *most.unwrap() <= 120,
        "{least:?} {most:?}"
    );
}

#[test]
fn the_lightest_takes_everything_until_another_one_is() {
    let mut bench = bench("least-impedance", |number| 2.0 + number as f32);
    assert_eq!(bench.choose(), "d0");
    bench.add("d500", 1.0);
    assert_eq!(bench.choose(), "d500");
    bench.add("d400", 1.0);
    assert_eq!(
        bench.choose(),
        "d400",
        "of equals the one that was there first"
    );
    bench.add("d400", 3.0);
    assert_eq!(bench.choose(), "d500");
    bench.table.remove(L, "d500", bench.now);
    assert_eq!(bench.choose(), "d0");
    bench.add("new", 0.5);
    assert_eq!(bench.choose(), "new");
}

fn homes(bench: &mut Bench) -> Vec<String> {
    let home = |affinity| {
        let request = Request {
            lambda: L,
            input_bytes: 0,
            affinity,
        };
        let picked = bench
            .table
            .pick(request, &Tried::new(), bench.now, &mut bench.rng);
        picked.unwrap().destination().name().to_owned()
    };
    (0..20_000).map(home).collect()
}

#[test]
fn sessions_spread_and_few_move_when_a_destination_leaves() {
    let mut bench = bench("consistent-hash", |_| 1.0);
    let before = homes(&mut bench);
    let mut shares = BTreeMap::<_, usize>::new();
    before
        .iter()
        .for_each(|home| *shares.entry(home).or_default() += 1);
    assert!(shares.len() > 990, "{}", shares.len());
    assert!(
        shares.values().all(|share| *share < 60),
        "20 on average: {shares:?}"
    );

    let backwards = Bench::new(bench.table.policy());
    (0..MANY)
        .rev()
        .for_each(|number| backwards.add(&name(number), 1.0));
    let mut backwards = backwards;
    assert_eq!(homes(&mut backwards), before, "brokers agree");

    bench.table.remove(L, "d123", bench.now);
    let after = homes(&mut bench);
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
    let (of_it, of_others): (Vec<_>, Vec<_>) = moved.partition(|(a, _)| *a == "d123");
    assert_eq!(of_it.len(), shares[&"d123".to_owned()]);
    // Of the sixty-four in the place of which a newcomer steps, few sessions prefer that one.
    assert!(of_others.len() < 60, "{}", of_others.len());
}

#[test]
fn one_that_becomes_lighter_gets_its_share_of_sessions() {
    let mut bench = bench("consistent-hash", |_| 1.0);
    let share = |bench: &mut Bench| homes(bench).iter().filter(|home| *home == "d123").count();
    assert!(share(&mut bench) < 60);
    bench.add("d123", 1e-6);
    // All of those in whose sixty-four it is.
    let all = 20_000 * 64 / MANY;
    assert!(share(&mut bench) > all / 2);
}

#[test]
fn the_best_of_many_is_found_and_kept_by_those_that_compare() {
    for policy in ["least-cost", "least-request", "c3", "predicted-completion"] {
        let mut bench = bench(policy, |number| if number == 700 { 0.01 } else { 1.0 });
        let latency = |name: &str| if name == "d700" { 0.001 } else { 0.1 };
        // Sequential requests: the good one is met by chance, and then among the winners.
        bench.shares(3000, |bench| bench.serve(latency));
        let shares = bench.shares(1000, |bench| bench.serve(latency));
        let best = shares.0.get("d700").copied().unwrap_or_default();
        assert!(best > 900, "{policy}: {best}");
    }
}

#[test]
fn one_that_is_set_aside_is_passed_over_and_has_its_trial_without_a_search_among_all() {
    for policy in all_policies() {
        let mut bench = Bench::new(policy);
        (0..MANY).for_each(|number| bench.add(&name(number), 1.0));
        bench.pick_of("d3").failed(bench.now);
        assert_eq!(
            bench.shares(3 * MANY, Bench::choose).of("d3"),
            0,
            "{policy}"
        );
        bench.pass(FIRST_EJECTION.as_secs_f64());
        let trial = (0..MANY).map(|_| bench.pick()).find(Pick::is_trial);
        let trial = trial.unwrap_or_else(|| panic!("{policy}: no trial"));
        assert_eq!(trial.destination().name(), "d3", "{policy}");
    }
}

#[test]
fn an_explanation_is_about_some_and_says_how_many_there_were() {
    for policy in all_policies() {
        let bench = Bench::new(policy);
        (0..MANY).for_each(|number| bench.add(&name(number), 1.0));
        let mut tried = Tried::new();
        tried.push(bench.table.destinations().intern("d3").id());
        let mut seen = BTreeSet::new();
        for nanosecond in 0..8 {
            let now = bench.now + Nanos(nanosecond);
            let explanation = bench.table.explain(L, &tried, now).unwrap();
            assert!(explanation.candidates.len() <= 128, "{policy}");
            assert_eq!(explanation.total, MANY - 1, "{policy}");
            let names = explanation.candidates.into_iter();
            seen.extend(names.map(|candidate| candidate.destination));
        }
        assert_eq!(
            seen.len(),
            MANY - 1,
            "{policy}: all of them have their turn"
        );
    }
}

#[test]
fn how_busy_all_are_is_estimated_from_some() {
    let mut bench = Bench::new(PolicyConfig::default());
    (0..300).for_each(|number| bench.add(&name(number), 1.0));
    let report = Report {
        in_flight: Some(2),
        workers: Some(4),
        ..Report::default()
    };
    (0..300).for_each(|number| bench.teach(&name(number), 0.01, &report));
    for _ in 0..10 {
        bench.now = bench.now + Nanos(1);
        let occupancy = bench.table.occupancy(L, bench.now);
        assert_eq!(occupancy.workers, 4 * 300);
        assert_eq!(occupancy.in_flight, 2 * 300);
    }
}

#[test]
fn a_request_that_is_under_way_keeps_nothing_but_its_destination() {
    for policy in all_policies() {
        let mut bench = Bench::new(policy);
        (0..MANY).for_each(|number| bench.add(&name(number), 1.0));
        let pick = bench.pick();
        assert_eq!(bench.table.clear().len(), MANY);
        let left = bench.table.destinations().in_use();
        assert_eq!(left.len(), 1, "{policy}");
        assert_eq!(left[0].name(), pick.destination().name(), "{policy}");
        (0..MANY).for_each(|number| bench.add(&name(number), 1.0));
        let again = bench.pick();
        assert!(bench.table.remove_lambda(L) && bench.table.is_empty());
        assert!(bench.table.destinations().in_use().len() <= 2, "{policy}");
        drop((pick, again));
    }
}
