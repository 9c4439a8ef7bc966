//! Policies by name, with their keys.

use crate::exponents;
use edge_balance::{Destinations, ForwardingTable, PolicyConfig, PolicyKeys};
use std::sync::Arc;

#[test]
fn ft1_policies_are_built_by_name_and_ignore_keys_of_others() {
    for name in ["random", "least-impedance", "proportional-fairness"] {
        let policy = PolicyConfig::from_name(name, &exponents()).unwrap();
        assert_eq!(policy.name(), name);
        let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
        assert!(table.is_empty());
    }
}

#[test]
fn every_listed_policy_name_is_known_and_no_other() {
    for name in PolicyConfig::NAMES {
        let policy = PolicyConfig::from_name(name, &exponents()).unwrap();
        assert_eq!(policy.name(), name);
    }
    assert_eq!(PolicyConfig::NAMES[0], PolicyConfig::default().name());
    let unknown = PolicyConfig::from_name("best", &exponents()).unwrap_err();
    assert_eq!(unknown.to_string(), "Invalid forwarding table type 'best'");
    let no_beta = PolicyKeys {
        beta: None,
        ..exponents()
    };
    let missing = PolicyConfig::from_name("proportional-fairness", &no_beta).unwrap_err();
    assert_eq!(missing.to_string(), "No value found for key: beta");
}

#[test]
fn parameters_out_of_range_are_refused_by_name_and_those_of_other_policies_ignored() {
    let keys = PolicyKeys {
        alpha: Some(-1.0),
        beta: Some(0.0),
        strictness: Some(f64::NAN),
        refusal_share: Some(1.5),
        max_refusals: Some(65),
        choices: Some(1),
        bias: Some(f64::INFINITY),
        probes: Some(0.0),
        clients: Some(0),
        penalty: Some(-0.5),
        load_factor: Some(1.0),
    };
    let refused = [
        (
            "proportional-fairness",
            "alpha: -1, must be between 0 and 1000",
        ),
        (
            "predicted-completion",
            "strictness: NaN, must be between 0 and 100",
        ),
        ("power-of-d", "choices: 1, must be between 2 and 64"),
        ("least-request", "bias: inf, must be between 0 and 16"),
        ("prequal", "probes: 0, must be between 0.01 and 16"),
        ("c3", "clients: 0, must be between 1 and 1000000"),
        (
            "weighted-round-robin",
            "penalty: -0.5, must be between 0 and 1000",
        ),
        (
            "consistent-hash",
            "load-factor: 1, must be between 1.01 and 1000",
        ),
    ];
    for name in PolicyConfig::NAMES {
        let policy = PolicyConfig::from_name(name, &keys);
        match refused.iter().find(|(refused, _)| *refused == name) {
            None => assert_eq!(policy.unwrap().name(), name),
            Some((_, text)) => assert_eq!(
                policy.unwrap_err().to_string(),
                format!("Invalid value for key {text}")
            ),
        }
    }
}

#[test]
fn policies_are_shown_with_the_parameters_that_are_not_as_by_default() {
    let shown = |name, keys: PolicyKeys| PolicyConfig::from_name(name, &keys).unwrap().to_string();
    for name in PolicyConfig::NAMES {
        let expected = match name {
            "proportional-fairness" => "proportional-fairness,alpha=1,beta=1",
            name => name,
        };
        assert_eq!(shown(name, exponents()), expected);
    }
    let keys = PolicyKeys {
        strictness: Some(1.0),
        max_refusals: Some(1),
        choices: Some(5),
        probes: Some(0.5),
        ..exponents()
    };
    assert_eq!(
        shown("predicted-completion", keys),
        "predicted-completion,strictness=1,max-refusals=1,probes=0.5"
    );
    assert_eq!(shown("power-of-d", keys), "power-of-d,choices=5");
    assert_eq!(shown("p2c", keys), "p2c");
    assert_eq!(shown("prequal", keys), "prequal,probes=0.5");
}
