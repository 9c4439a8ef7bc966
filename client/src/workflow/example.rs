//! The plans that users get to begin with: those of the C++ reference.

use std::collections::BTreeMap;

use edge_proto::workflow::{Chain, Dag, Dependencies};

use super::Plan;

const VALID: &str = "the example is valid";

impl Plan {
    /// Functions f1, f2 and f1 again; s0 belongs to f1, s2 to f2, s1 to both,
    /// s3 to none.
    pub fn example_chain() -> Self {
        let states = dependencies(&[
            ("s0", &["f1"]),
            ("s1", &["f1", "f2"]),
            ("s2", &["f2"]),
            ("s3", &[]),
        ]);
        let chain = Chain::new(names(&["f1", "f2", "f1"]), states).expect(VALID);
        Self::chain(chain, sizes()).expect(VALID)
    }

    /// Functions f1 and f2 after f0, then f2 after both of them.
    pub fn example_dag() -> Self {
        let states = dependencies(&[
            ("s0", &["f0"]),
            ("s1", &["f0", "f1"]),
            ("s2", &["f2"]),
            ("s3", &[]),
        ]);
        let successors = vec![vec![1, 2], vec![3], vec![3]];
        let dag = Dag::new(successors, names(&["f0", "f1", "f2", "f2"]), states).expect(VALID);
        Self::dag(dag, sizes()).expect(VALID)
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn dependencies(states: &[(&str, &[&str])]) -> Dependencies {
    let states = states.iter();
    Dependencies::new(
        states
            .map(|(state, functions)| (state.to_string(), names(functions)))
            .collect(),
    )
}

fn sizes() -> BTreeMap<String, usize> {
    (0..4)
        .map(|number| (format!("s{number}"), 10_000 * (number + 1)))
        .collect()
}
