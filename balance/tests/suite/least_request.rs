//! Least request.

use crate::{Bench, Shares};
use edge_balance::{PolicyConfig, Tried};
use std::collections::BTreeMap;

/// How many of `n` requests that never end each destination has.
fn kept(bias: f64, n: usize) -> Shares {
    let mut bench = Bench::with(
        PolicyConfig::LeastRequest { bias },
        &[("one", 1.0), ("three", 3.0)],
    );
    let picks: Vec<_> = (0..n).map(|_| bench.pick()).collect();
    let mut shares = BTreeMap::new();
    for pick in &picks {
        *shares
            .entry(pick.destination().name().to_owned())
            .or_insert(0) += 1;
    }
    Shares(shares)
}

#[test]
fn requests_in_flight_are_in_inverse_proportion_to_weights() {
    let shares = kept(1.0, 400);
    assert!(shares.of("one").abs_diff(300) <= 2, "{shares:?}");
}

#[test]
fn a_larger_bias_listens_less_to_weights_and_none_only_to_them() {
    // In balance (a + 1)^2 = 3 (b + 1)^2: 253.6 and 146.4.
    let shares = kept(2.0, 400);
    assert!(shares.of("one").abs_diff(254) <= 2, "{shares:?}");
    assert_eq!(kept(0.0, 400).of("one"), 400);
}

#[test]
fn equals_are_used_alike_by_a_sequential_client() {
    let mut bench = Bench::with(
        PolicyConfig::LeastRequest { bias: 1.0 },
        &[("a", 1.0), ("b", 1.0), ("c", 1.0)],
    );
    let shares = bench.shares(3000, |bench| bench.serve(|_| 0.01));
    for name in ["a", "b", "c"] {
        assert!(shares.of(name).abs_diff(1000) < 150, "{shares:?}");
    }
}

#[test]
fn what_was_compared_can_be_asked_for() {
    let mut bench = Bench::with(
        PolicyConfig::LeastRequest { bias: 1.0 },
        &[("a", 1.0), ("b", 4.0)],
    );
    let _keep = (bench.pick(), bench.pick());
    let explanation = bench
        .table
        .explain(crate::L, &Tried::new(), bench.now)
        .unwrap();
    let costs: Vec<_> = explanation.candidates.iter().map(|c| c.cost).collect();
    assert_eq!(costs, [3.0, 4.0]);
}
