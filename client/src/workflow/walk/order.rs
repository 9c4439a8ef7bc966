//! Which function of a plan may begin, and with which input.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use edge_proto::workflow::Workflow;

/// What a function is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) text: String,
    pub(super) data: Bytes,
}

/// The functions that have not begun yet and whose predecessors have, and those
/// that are under way. A function begins once all its predecessors have ended
/// and no other one uses a state that it depends on.
pub(super) struct Order<'a> {
    workflow: &'a Workflow,
    ready: BTreeMap<u32, Input>,
    waiting: BTreeMap<u32, Waiting>,
    used_states: BTreeSet<&'a str>,
}

/// Some of its predecessors have ended.
struct Waiting {
    arrivals: usize,
    /// The last predecessor by position, and its output.
    last: u32,
    input: Input,
}

impl<'a> Order<'a> {
    /// Begins with the entry, which gets `input`.
    pub(super) fn new(workflow: &'a Workflow, input: Input) -> Self {
        Self {
            workflow,
            ready: BTreeMap::from([(0, input)]),
            waiting: BTreeMap::new(),
            used_states: BTreeSet::new(),
        }
    }

    /// The next function that is to begin now.
    pub(super) fn begin(&mut self) -> Option<(u32, Input)> {
        let mut ready = self.ready.keys().copied();
        let index = ready.find(|&index| self.states(index).is_disjoint(&self.used_states))?;
        let input = self.ready.remove(&index)?;
        self.used_states.extend(self.states(index));
        Some((index, input))
    }

    /// A function has ended with `output`.
    pub(super) fn end(&mut self, index: u32, output: &Input) {
        for state in self.states(index) {
            self.used_states.remove(state);
        }
        for (next, _) in self.workflow.next(index) {
            let waiting = self.waiting.entry(next).or_insert_with(|| Waiting {
                arrivals: 0,
                last: index,
                input: output.clone(),
            });
            waiting.arrivals += 1;
            if waiting.last < index {
                waiting.last = index;
                waiting.input = output.clone();
            }
            if waiting.arrivals == self.workflow.expected_arrivals(next)
                && let Some(Waiting { input, .. }) = self.waiting.remove(&next)
            {
                self.ready.insert(next, input);
            }
        }
    }

    fn states(&self, index: u32) -> BTreeSet<&'a str> {
        let function = self.workflow.functions().get(index as usize);
        function.map_or_else(BTreeSet::new, |name| self.workflow.states_of(name))
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::workflow::{Dag, Dependencies};

    use super::*;
    use crate::workflow::Plan;

    fn input(text: &str) -> Input {
        Input {
            text: text.to_owned(),
            data: Bytes::new(),
        }
    }

    fn begun(order: &mut Order<'_>) -> Vec<(u32, String)> {
        let next = std::iter::from_fn(|| order.begin());
        next.map(|(index, input)| (index, input.text)).collect()
    }

    fn of(index: u32, text: &str) -> (u32, String) {
        (index, text.to_owned())
    }

    #[test]
    fn the_functions_of_a_chain_follow_each_other() {
        let plan = Plan::example_chain();
        let mut order = Order::new(plan.workflow(), input("x"));
        assert_eq!(begun(&mut order), [of(0, "x")]);
        order.end(0, &input("y"));
        assert_eq!(begun(&mut order), [of(1, "y")]);
        order.end(1, &input("z"));
        assert_eq!(begun(&mut order), [of(2, "z")]);
        order.end(2, &input("end"));
        assert_eq!(begun(&mut order), []);
    }

    #[test]
    fn a_function_gets_the_output_of_its_last_predecessor_whoever_ends_last() {
        for (first, second) in [(1, 2), (2, 1)] {
            let plan = Plan::example_dag();
            let mut order = Order::new(plan.workflow(), input("x"));
            assert_eq!(begun(&mut order), [of(0, "x")]);
            order.end(0, &input("y"));
            assert_eq!(begun(&mut order), [of(1, "y"), of(2, "y")]);
            order.end(first, &input(&format!("from {first}")));
            assert_eq!(begun(&mut order), []);
            order.end(second, &input(&format!("from {second}")));
            assert_eq!(begun(&mut order), [of(3, "from 2")]);
        }
    }

    #[test]
    fn functions_that_share_a_state_do_not_run_at_the_same_time() {
        let states = BTreeMap::from([("s".to_owned(), vec!["f".to_owned(), "g".to_owned()])]);
        let names = ["e", "f", "g", "h", "i"].map(str::to_owned).to_vec();
        let successors = vec![vec![1, 2, 3], vec![4], vec![4], vec![4]];
        let dag = Dag::new(successors, names, Dependencies::new(states)).unwrap();
        let workflow = Workflow::Dag(dag);
        let mut order = Order::new(&workflow, input("x"));
        begun(&mut order);
        order.end(0, &input("y"));
        assert_eq!(begun(&mut order), [of(1, "y"), of(3, "y")]);
        order.end(3, &input("z"));
        assert_eq!(begun(&mut order), []);
        order.end(1, &input("z"));
        assert_eq!(begun(&mut order), [of(2, "y")]);
    }
}
