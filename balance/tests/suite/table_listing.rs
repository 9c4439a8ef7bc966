//! Tables of any size as they are shown, and what stays of the order of their routes.

use crate::{Bench, L, seeded};
use edge_balance::{Nanos, PolicyConfig, PolicyKeys, TableEntry};
use rand::RngExt;
use std::collections::BTreeSet;

fn bench(policy: &str) -> Bench {
    let keys = PolicyKeys {
        alpha: Some(1.0),
        beta: Some(1.0),
        ..PolicyKeys::default()
    };
    Bench::new(PolicyConfig::from_name(policy, &keys).unwrap())
}

fn names(entries: Vec<TableEntry>) -> Vec<(String, String)> {
    let name = |entry: TableEntry| (entry.lambda, entry.destination);
    entries.into_iter().map(name).collect()
}

/// Entries come and go at random, so that lambdas pass the size from which on they are in pieces, and
/// at times there is none.
#[test]
fn pages_are_those_of_one_sorted_list_whatever_came_and_went() {
    let bench = bench("least-cost");
    let mut rng = seeded(3);
    let mut expected = BTreeSet::new();
    for (round, growing) in [true, false, true, false].into_iter().enumerate() {
        for step in 0..3000 {
            let lambda = format!("f{}", rng.random_range(0..4).min(rng.random_range(0..300)));
            let destination = format!("d{}", rng.random_range(0..500));
            let pair = (lambda.clone(), destination.clone());
            if growing == (rng.random_range(0..8) > 0) {
                let changed = bench
                    .table
                    .change(&lambda, &destination, 1.0, true, Nanos(1));
                changed.unwrap();
                expected.insert(pair);
            } else {
                let removed = bench.table.remove(&lambda, &destination, Nanos(1));
                assert_eq!(removed, expected.remove(&pair));
            }
            if step % 300 == round {
                assert_eq!(bench.table.len(), expected.len());
                let all: Vec<_> = expected.iter().cloned().collect();
                assert_eq!(names(bench.table.page(0, usize::MAX)), all);
                let offset = rng.random_range(0..all.len() + 2);
                let limit = rng.random_range(0..200);
                let page = all.iter().skip(offset).take(limit).cloned();
                let page: Vec<_> = page.collect();
                assert_eq!(names(bench.table.page(offset, limit)), page);
                let mut listing = bench.table.list(offset, usize::MAX);
                assert_eq!(listing.total(), all.len());
                let mut portions = Vec::new();
                while listing.left() > 0 {
                    portions.extend(names(listing.take(1 + limit)));
                }
                assert_eq!(portions, all[offset.min(all.len())..]);
            }
        }
    }
}

#[test]
fn a_listing_that_has_begun_shows_a_lambda_as_it_was_when_its_turn_came() {
    let bench = bench("least-cost");
    (0..1000).for_each(|number| bench.add(&format!("d{number:03}"), 1.0));
    let mut listing = bench.table.list(0, usize::MAX);
    let mut seen = names(listing.take(10));
    for number in 0..900 {
        bench.table.remove(L, &format!("d{number:03}"), bench.now);
    }
    while listing.left() > 0 {
        seen.extend(names(listing.take(100)));
    }
    assert_eq!(seen.len(), 1000);
    assert!(seen.is_sorted());
    assert_eq!(names(bench.table.page(0, usize::MAX)), seen[900..]);
}

#[test]
fn of_equals_the_one_that_was_there_first_is_taken_also_when_many_have_gone() {
    for policy in ["least-impedance", "proportional-fairness"] {
        let mut bench = bench(policy);
        (0..200).for_each(|number| bench.add(&format!("d{number}"), 1.0));
        // The last ones take the places of those that go, until there are few.
        for (gone, first) in [(0, 1), (1, 2), (2, 3)] {
            bench.table.remove(L, &format!("d{gone}"), bench.now);
            assert_eq!(bench.choose(), format!("d{first}"), "{policy}");
        }
        for gone in 3..80 {
            bench.table.remove(L, &format!("d{gone}"), bench.now);
        }
        assert_eq!(bench.choose(), "d80", "{policy}");
        bench.table.remove(L, "d80", bench.now);
        assert_eq!(bench.choose(), "d81", "{policy}");
    }
}

/// Each policy keeps its own account of the routes, in step with the table.
#[test]
fn every_policy_picks_what_is_there_while_routes_come_and_go() {
    for policy in PolicyConfig::NAMES {
        let mut bench = bench(policy);
        let mut rng = seeded(5);
        let mut there = BTreeSet::new();
        for (growing, steps) in [(true, 400), (false, 400), (true, 300)] {
            for _ in 0..steps {
                let name = format!("d{}", rng.random_range(0..300));
                if growing == (rng.random_range(0..8) > 0) {
                    bench.add(&name, rng.random_range(1.0..3.0));
                    there.insert(name);
                } else if there.len() > 1 {
                    bench.table.remove(L, &name, bench.now);
                    there.remove(&name);
                }
                if !there.is_empty() {
                    let chosen = bench.serve(|_| 0.01);
                    assert!(there.contains(&chosen), "{policy}: {chosen}");
                }
            }
        }
        // Each is known to it.
        let mut picks = Vec::new();
        while let Some(name) = there.pop_first() {
            let pick = bench.pick_of(&name);
            picks.push(pick);
        }
    }
}
