//! Prequal where nobody has anything to do: hardly any probes, until somebody tells of a request.

use crate::{Bench, L, seconds};
use edge_balance::{Nanos, Pick, PolicyConfig, Report, Tried};
use std::collections::BTreeSet;

/// Answers in a row after which it is quiet, and requests until there are so many.
const REQUESTS: usize = 64 / 3 + 1;

fn bench(n: usize) -> Bench {
    let bench = Bench::new(PolicyConfig::Prequal { probes: 3.0 });
    for i in 0..n {
        bench.add(&format!("d{i:03}"), 1.0);
    }
    bench
}

/// With a full pool, and nobody who told of a request.
fn quiet(n: usize) -> Bench {
    let mut bench = bench(n);
    for _ in 0..REQUESTS {
        request(&mut bench, 0);
    }
    bench
}

fn reporting(in_flight: u32) -> Report {
    Report {
        in_flight: Some(in_flight),
        workers: Some(1),
        ..Report::default()
    }
}

/// The probes of one request are answered by destinations with so many requests; how many these are.
fn told(bench: &mut Bench, in_flight: u32) -> usize {
    answered(bench, Some(5), &reporting(in_flight))
}

fn answered(bench: &mut Bench, estimate_ms: Option<u64>, report: &Report) -> usize {
    let probes = bench.table.probes(L, bench.now, &mut bench.rng);
    let count = probes.len();
    for probe in probes {
        let estimate = estimate_ms.map(Nanos::from_millis);
        probe.answered(seconds(0.001), estimate, report, bench.now);
    }
    count
}

fn ends(bench: &mut Bench, pick: Pick, others: u32) {
    pick.succeeded(seconds(0.001), &reporting(others), bench.now);
}

/// A request that is alone at its destination, and ends before its probes are answered; how many
/// these are.
fn request(bench: &mut Bench, in_flight: u32) -> usize {
    let pick = bench.pick();
    let probes = told(bench, in_flight);
    bench.pass(0.001);
    ends(bench, pick, 0);
    probes
}

/// The destinations that are in the pool, with the requests that it counts there.
fn pool(bench: &Bench) -> Vec<(String, f64)> {
    let explanation = bench.table.explain(L, &Tried::new(), bench.now).unwrap();
    let counted = |terms: &[(&str, f64)]| {
        let term = terms.iter().find(|(name, _)| *name == "requests_there");
        term.map(|(_, count)| *count)
    };
    let candidates = explanation.candidates.iter();
    candidates
        .filter_map(|c| Some((c.destination.clone(), counted(&c.terms)?)))
        .collect()
}

#[test]
fn probes_become_rare_and_the_pool_remains_full() {
    let mut bench = bench(100);
    let before: usize = (0..REQUESTS).map(|_| request(&mut bench, 0)).sum();
    assert_eq!(before, 3 * REQUESTS);
    let first: BTreeSet<_> = pool(&bench).into_iter().map(|(name, _)| name).collect();
    // Two seconds, twice the life of an answer.
    let mut after = 0;
    for _ in 0..2000 {
        after += request(&mut bench, 0);
        assert_eq!(pool(&bench).len(), 16);
    }
    assert!((124..=128).contains(&after), "{after}");
    let last: BTreeSet<_> = pool(&bench).into_iter().map(|(name, _)| name).collect();
    assert_ne!(first, last, "answers are replaced all the same");
}

#[test]
fn the_first_answer_that_tells_of_a_request_ends_it() {
    let mut bench = quiet(100);
    let mut requests = 0;
    while request(&mut bench, 1) == 0 {
        requests += 1;
        assert!(requests < 17);
    }
    for _ in 0..REQUESTS {
        assert_eq!(request(&mut bench, 0), 3);
    }
    let again: usize = (0..160).map(|_| request(&mut bench, 0)).sum();
    assert!(again <= 12, "{again}");
}

#[test]
fn a_request_that_was_not_alone_ends_it() {
    let mut bench = quiet(100);
    request(&mut bench, 0);
    let pick = bench.pick();
    ends(&mut bench, pick, 1);
    let _next = bench.pick();
    assert_eq!(told(&mut bench, 0), 3);
}

#[test]
fn requests_of_ours_are_no_company() {
    for (told, quiet) in [(1, true), (2, false)] {
        let mut bench = self::quiet(100);
        let [one, _other] = [(); 2].map(|()| bench.pick_of("d007"));
        let elsewhere = bench.pick();
        ends(&mut bench, one, told);
        ends(&mut bench, elsewhere, 0);
        let probes: usize = (0..16).map(|_| request(&mut bench, 0)).sum();
        assert_eq!(probes <= 1, quiet, "{told}: {probes}");
    }
}

#[test]
fn requests_are_counted_where_they_are_for_as_long_as_they_are_there() {
    let mut bench = quiet(100);
    let busy = |bench: &Bench| pool(bench).iter().filter(|(_, n)| *n > 0.0).count();
    // Those that were sent before it was quiet are counted where they were.
    while busy(&bench) > 0 {
        request(&mut bench, 0);
    }
    let picks: Vec<_> = (0..3).map(|_| bench.pick()).collect();
    for pick in &picks {
        let name = pick.destination().name();
        assert!(pool(&bench).contains(&(name.to_owned(), 1.0)));
    }
    assert_eq!(busy(&bench), 3, "at three destinations");
    let mut picks = picks.into_iter();
    ends(&mut bench, picks.next().unwrap(), 0);
    assert_eq!(busy(&bench), 2);
    picks.next().unwrap().refused(&reporting(0), bench.now);
    drop(picks);
    assert_eq!(busy(&bench), 0, "however they end");
}

#[test]
fn many_requests_of_ours_are_a_load_too() {
    let mut bench = quiet(1000);
    let mut under_way = Vec::new();
    let mut probes = Vec::new();
    let mut places = BTreeSet::new();
    for _ in 0..64 {
        let pick = bench.pick();
        places.insert(pick.destination().name().to_owned());
        under_way.push(pick);
        probes.push(told(&mut bench, 0));
    }
    assert!(places.len() >= 60, "{} places for 64", places.len());
    assert!(probes[..8].iter().sum::<usize>() <= 1, "{probes:?}");
    assert!(probes.iter().all(|probes| *probes <= 3));
    assert!(
        probes[8..].iter().sum::<usize>() >= 32,
        "fresh ones are looked for: {probes:?}"
    );
}

#[test]
fn answers_that_are_too_old_or_do_not_come_are_asked_for_as_always() {
    let mut bench = quiet(100);
    bench.pass(2.0);
    for _ in 0..100 {
        let pick = bench.pick();
        let lost = bench.table.probes(L, bench.now, &mut bench.rng);
        assert_eq!(lost.len(), 3);
        ends(&mut bench, pick, 0);
    }
    let refilled: usize = (0..100).map(|_| request(&mut bench, 0)).sum();
    assert!((16..=40).contains(&refilled), "{refilled}");
}

#[test]
fn where_requests_are_rare_no_more_are_sent_than_grow_too_old() {
    let mut bench = quiet(100);
    let mut sent = 0;
    for _ in 0..400 {
        bench.pass(0.049);
        sent += request(&mut bench, 0);
    }
    // Sixteen a second, of twenty requests, and one in sixteen of these.
    assert!((300..=400).contains(&sent), "{sent}");
}

#[test]
fn who_tells_no_number_is_idle_only_if_requests_would_take_no_time() {
    for (estimate_ms, idle) in [(Some(5), false), (None, false), (Some(0), true)] {
        let mut bench = bench(100);
        let mut one = || {
            let pick = bench.pick();
            let probes = answered(&mut bench, estimate_ms, &Report::default());
            bench.pass(0.001);
            ends(&mut bench, pick, 0);
            probes
        };
        let _until = (0..2 * REQUESTS).map(|_| one()).count();
        let probes: usize = (0..160).map(|_| one()).sum();
        assert_eq!(probes <= 12, idle, "{estimate_ms:?}: {probes}");
    }
}

#[test]
fn among_few_requests_of_ours_avoid_each_other() {
    let mut bench = quiet(4);
    let one = bench.pick();
    let other = bench.pick();
    assert_ne!(one.destination().name(), other.destination().name());
}

#[test]
fn with_one_destination_there_is_nothing_to_ask() {
    let mut bench = bench(1);
    for _ in 0..100 {
        assert_eq!(request(&mut bench, 0), 0);
    }
    bench.add("other", 1.0);
    assert!(request(&mut bench, 0) > 0);
}

#[test]
fn it_is_the_same_each_time() {
    let run = || {
        let mut bench = quiet(200);
        let mut course = Vec::new();
        for i in 0..500 {
            let pick = bench.pick();
            let name = pick.destination().name().to_owned();
            let probes = told(&mut bench, u32::from(i % 190 == 0));
            bench.pass(0.004);
            ends(&mut bench, pick, 0);
            course.push((name, probes));
        }
        course
    };
    assert_eq!(run(), run());
}
