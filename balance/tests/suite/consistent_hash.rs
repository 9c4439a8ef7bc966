//! Consistent hashing with bounded load.

use crate::{Bench, L};
use edge_balance::{Pick, PolicyConfig, Request, Tried};
use std::collections::BTreeMap;

fn bench(routes: &[(&str, f32)]) -> Bench {
    let policy = PolicyConfig::ConsistentHash { load_factor: 1.25 };
    Bench::with(policy, routes)
}

fn pick(bench: &mut Bench, affinity: u64) -> Pick {
    let request = Request {
        lambda: L,
        input_bytes: 0,
        affinity,
    };
    let (now, table) = (bench.now, &bench.table);
    table
        .pick(request, &Tried::new(), now, &mut bench.rng)
        .unwrap()
}

/// Where requests with affinities below `n` go, each after the one before has left.
fn homes(bench: &mut Bench, n: u64) -> Vec<String> {
    (0..n)
        .map(|affinity| pick(bench, affinity).destination().name().to_owned())
        .collect()
}

fn shares(homes: &[String]) -> BTreeMap<&str, usize> {
    let mut shares = BTreeMap::new();
    for home in homes {
        *shares.entry(home.as_str()).or_insert(0) += 1;
    }
    shares
}

const FIVE: [(&str, f32); 5] = [("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0), ("e", 1.0)];

#[test]
fn a_session_stays_where_it_was_also_at_another_broker_and_after_a_restart() {
    let mut one = bench(&FIVE);
    let mut other = bench(&[("e", 1.0), ("c", 1.0), ("a", 1.0), ("d", 1.0), ("b", 1.0)]);
    let homes_of_one = homes(&mut one, 200);
    assert_eq!(homes(&mut one, 200), homes_of_one);
    assert_eq!(homes(&mut other, 200), homes_of_one);
    // Fixed for all versions: what brokers of different versions must agree on.
    assert_eq!(homes_of_one[..8], ["b", "c", "a", "d", "c", "b", "c", "a"]);
}

#[test]
fn sessions_spread_evenly_and_in_inverse_proportion_to_weights() {
    let mut even = bench(&FIVE);
    let evenly = homes(&mut even, 5000);
    for (name, share) in shares(&evenly) {
        assert!(share.abs_diff(1000) < 150, "{name}: {share}");
    }
    let mut uneven = bench(&[("heavy", 3.0), ("light", 1.0)]);
    let light = homes(&mut uneven, 4000);
    let light = shares(&light)["light"];
    assert!(light.abs_diff(3000) < 150, "{light}");
}

#[test]
fn a_newcomer_takes_its_share_and_moves_nothing_else() {
    let mut bench = bench(&FIVE);
    let before = homes(&mut bench, 3000);
    bench.add("new", 1.0);
    let after = homes(&mut bench, 3000);
    let moved = before.iter().zip(&after).filter(|(b, a)| b != a);
    let moved: Vec<_> = moved.map(|(_, after)| after.as_str()).collect();
    assert!(moved.iter().all(|home| *home == "new"));
    assert!(moved.len().abs_diff(500) < 100, "{}", moved.len());
    bench.table.remove(L, "new", bench.now);
    assert_eq!(homes(&mut bench, 3000), before);
}

#[test]
fn no_destination_has_more_than_the_bound_of_requests_in_flight() {
    let mut bench = bench(&FIVE);
    let mut kept = Vec::new();
    for i in 0..500 {
        // One session is much busier than all others together.
        kept.push(pick(&mut bench, if i % 3 == 0 { i } else { 7 }));
        let m = f64::from(i as u32 + 1);
        let bound = (1.25 * m / 5.0).ceil() as u32;
        for (name, _) in FIVE {
            assert!(bench.in_flight(name) <= bound, "{name} of {m}");
        }
    }
}

#[test]
fn a_session_that_overflows_returns_when_there_is_room() {
    let mut bench = bench(&FIVE);
    let home = homes(&mut bench, 1).remove(0);
    let kept: Vec<_> = (0..20).map(|_| pick(&mut bench, 0)).collect();
    let elsewhere = kept.iter().filter(|pick| pick.destination().name() != home);
    assert!(elsewhere.count() > 0);
    drop(kept);
    assert_eq!(homes(&mut bench, 1), [home]);
}
