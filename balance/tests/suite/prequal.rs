//! Prequal: what is probed, and what the answers decide.

use crate::{Bench, L, seconds};
use edge_balance::{PolicyConfig, Report, Tried};

fn bench(probes: f64, n: usize) -> Bench {
    let bench = Bench::new(PolicyConfig::Prequal { probes });
    for i in 0..n {
        bench.add(&format!("d{i}"), 1.0);
    }
    bench
}

/// The probes of one request are answered: so many requests there, and so many seconds until a next
/// one would be done.
fn told(bench: &mut Bench, answer: impl Fn(&str) -> (u32, f64)) {
    for probe in bench.table.probes(L, bench.now, &mut bench.rng) {
        bench.pass(1e-6);
        let (in_flight, estimate) = answer(probe.destination().name());
        let report = Report {
            in_flight: Some(in_flight),
            workers: Some(1),
            ..Report::default()
        };
        let rtt = seconds(0.001);
        probe.answered(rtt, Some(seconds(estimate)), &report, bench.now);
    }
}

fn pick_and_leave(bench: &mut Bench) -> String {
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    pick.succeeded(seconds(0.01), &Report::default(), bench.now);
    name
}

#[test]
fn probes_go_to_different_destinations_three_per_request_on_average() {
    let mut bench = bench(3.0, 10);
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let probes = bench.table.probes(L, bench.now, &mut bench.rng);
        let names: std::collections::BTreeSet<_> = probes
            .iter()
            .map(|probe| probe.destination().name().to_owned())
            .collect();
        assert_eq!(names.len(), 3);
        all.extend(names);
    }
    assert_eq!(all.len(), 10);
    bench.table = self::bench(0.5, 10).table;
    let halves: usize = (0..100)
        .map(|_| bench.table.probes(L, bench.now, &mut bench.rng).len())
        .sum();
    assert_eq!(halves, 50);
}

#[test]
fn neither_ejected_destinations_nor_other_brokers_are_probed() {
    let mut bench = bench(3.0, 3);
    bench
        .table
        .change(L, "broker", 1.0, false, bench.now)
        .unwrap();
    let failing = bench.pick();
    let ejected = failing.destination().name().to_owned();
    failing.failed(bench.now);
    for _ in 0..20 {
        for probe in bench.table.probes(L, bench.now, &mut bench.rng) {
            assert!(probe.is_final());
            assert_ne!(probe.destination().name(), ejected);
        }
    }
}

#[test]
fn without_answers_destinations_are_drawn_at_random() {
    let mut bench = bench(3.0, 3);
    let shares = bench.shares(3000, Bench::choose);
    for name in ["d0", "d1", "d2"] {
        assert!(shares.of(name).abs_diff(1000) < 150, "{shares:?}");
    }
}

#[test]
fn the_quickest_of_those_that_are_not_among_the_busiest_is_used() {
    let mut bench = bench(16.0, 32);
    for _ in 0..10 {
        // d7 says that it is quick in spite of the requests there.
        told(&mut bench, |name| match name {
            "d7" => (50, 0.001),
            _ => (2, 0.02),
        });
    }
    let mut quick = 0;
    for _ in 0..200 {
        told(&mut bench, |name| match name {
            "d7" => (50, 0.001),
            "d1" | "d2" | "d3" => (2, 0.005),
            _ => (2, 0.02),
        });
        let name = pick_and_leave(&mut bench);
        assert_ne!(name, "d7");
        quick += usize::from(["d1", "d2", "d3"].contains(&name.as_str()));
    }
    assert!(quick > 150, "{quick}");
}

#[test]
fn the_way_of_the_probe_counts() {
    let mut bench = bench(2.0, 2);
    for probe in bench.table.probes(L, bench.now, &mut bench.rng) {
        let near = probe.destination().name() == "d0";
        let rtt = seconds(if near { 0.001 } else { 0.05 });
        let estimate = seconds(if near { 0.02 } else { 0.01 });
        probe.answered(rtt, Some(estimate), &Report::default(), bench.now);
    }
    assert_eq!(bench.choose(), "d0");
}

#[test]
fn answers_older_than_a_second_count_no_more() {
    let mut bench = bench(2.0, 2);
    told(&mut bench, |name| {
        (0, if name == "d0" { 0.001 } else { 0.5 })
    });
    bench.pass(0.9);
    assert_eq!(bench.choose(), "d0");
    told(&mut bench, |name| {
        (0, if name == "d0" { 0.001 } else { 0.5 })
    });
    bench.pass(1.1);
    let shares = bench.shares(200, Bench::choose);
    assert!(shares.of("d1") > 60, "{shares:?}");
}

#[test]
fn a_probe_that_was_used_counts_the_request_that_it_attracted() {
    let mut bench = bench(2.0, 2);
    // Both hot after a while with fewer, so that requests decide.
    for _ in 0..70 {
        told(&mut bench, |_| (0, 0.01));
    }
    told(&mut bench, |name| (if name == "d0" { 5 } else { 6 }, 0.01));
    let first: Vec<_> = (0..3).map(|_| bench.choose()).collect();
    assert_eq!(first[0], "d0");
    assert!(first.contains(&"d1".to_owned()), "{first:?}");
}

#[test]
fn what_a_removed_destination_answers_late_is_of_no_effect() {
    let mut bench = bench(3.0, 3);
    let late = bench.table.probes(L, bench.now, &mut bench.rng);
    assert_eq!(late.len(), 3);
    bench.table.remove(L, "d0", bench.now);
    for probe in late {
        let estimate = if probe.destination().name() == "d0" {
            0.001
        } else {
            0.1
        };
        probe.answered(
            seconds(0.001),
            Some(seconds(estimate)),
            &Report::default(),
            bench.now,
        );
    }
    assert_eq!(bench.shares(20, Bench::choose).of("d0"), 0);
}

#[test]
fn tried_destinations_are_passed_over_however_good_their_answers_were() {
    let mut bench = bench(3.0, 6);
    for _ in 0..10 {
        told(&mut bench, |name| {
            (0, if name == "d0" { 0.001 } else { 0.1 })
        });
    }
    let mut tried = Tried::new();
    tried.push(bench.table.destinations().intern("d0").id());
    for _ in 0..20 {
        told(&mut bench, |name| {
            (0, if name == "d0" { 0.001 } else { 0.1 })
        });
        assert_ne!(bench.pick_without(&tried).destination().name(), "d0");
    }
}

#[test]
fn the_order_of_preference_can_be_asked_for() {
    let mut bench = bench(2.0, 4);
    // Until the pool, of two, holds these.
    while bench
        .table
        .explain(L, &Tried::new(), bench.now)
        .unwrap()
        .candidates[3]
        .terms
        .is_empty()
    {
        told(&mut bench, |name| {
            (1, if name == "d3" { 0.001 } else { 0.1 })
        });
    }
    let explanation = bench.table.explain(L, &Tried::new(), bench.now).unwrap();
    let costs: Vec<_> = explanation.candidates.iter().map(|c| c.cost).collect();
    assert_eq!(costs[3], 0.0, "{explanation:?}");
    assert_eq!(
        costs.iter().filter(|cost| **cost == 2.0).count(),
        2,
        "not asked lately"
    );
}
