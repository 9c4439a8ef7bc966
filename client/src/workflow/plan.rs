//! What is executed time and again: a chain or a graph, and how large its states are.

use std::collections::BTreeMap;

use bytes::Bytes;
use edge_proto::rpc::State;
use edge_proto::workflow::{Chain, Dag, MAX_FUNCTIONS, Workflow, WorkflowError};

/// A chain or a graph of functions and the sizes of their states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    workflow: Workflow,
    state_sizes: BTreeMap<String, usize>,
}

/// Why functions and states make no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// There are too many functions.
    #[error(transparent)]
    Functions(#[from] WorkflowError),
    /// A function cannot be called.
    #[error("function {0} has no name")]
    NoName(usize),
    /// It is not known how large a state is that functions depend on.
    #[error("state '{0}' has no size: give it one in `state-sizes`")]
    NoSize(String),
}

impl Plan {
    /// A chain whose states have `state_sizes` bytes.
    ///
    /// # Errors
    /// If it is too long, a function has no name, or a state that functions
    /// depend on has no size.
    pub fn chain(chain: Chain, state_sizes: BTreeMap<String, usize>) -> Result<Self, InvalidPlan> {
        Self::new(Workflow::Chain(chain), state_sizes)
    }

    /// A graph whose states have `state_sizes` bytes.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn dag(dag: Dag, state_sizes: BTreeMap<String, usize>) -> Result<Self, InvalidPlan> {
        Self::new(Workflow::Dag(dag), state_sizes)
    }

    fn new(workflow: Workflow, state_sizes: BTreeMap<String, usize>) -> Result<Self, InvalidPlan> {
        let functions = workflow.functions().len();
        if functions > MAX_FUNCTIONS {
            return Err(WorkflowError::TooLarge { functions }.into());
        }
        if let Some(nameless) = workflow.functions().iter().position(String::is_empty) {
            return Err(InvalidPlan::NoName(nameless));
        }
        let plan = Self {
            workflow,
            state_sizes,
        };
        let mut needed = plan.needed_states();
        match needed.find(|&state| !plan.state_sizes.contains_key(state)) {
            Some(state) => Err(InvalidPlan::NoSize(state.to_owned())),
            None => {
                drop(needed);
                Ok(plan)
            }
        }
    }

    /// The chain or graph.
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// The functions joined with `-`.
    pub fn name(&self) -> String {
        self.workflow.functions().join("-")
    }

    /// The size of each state in bytes, free states included.
    pub fn state_sizes(&self) -> &BTreeMap<String, usize> {
        &self.state_sizes
    }

    /// The states that some function depends on, by name.
    pub fn needed_states(&self) -> impl Iterator<Item = &str> {
        let dependencies = self.workflow.dependencies();
        dependencies
            .into_iter()
            .flat_map(|all| all.all_states(false))
    }

    /// All states as they are in the beginning, by value: the letter A, as
    /// often as their sizes say.
    pub fn initial_states(&self) -> BTreeMap<String, State> {
        let states = self.state_sizes.iter();
        states
            .map(|(name, &bytes)| {
                let state = State {
                    name: name.clone(),
                    content: Bytes::from(vec![b'A'; bytes]),
                    ..State::default()
                };
                (name.clone(), state)
            })
            .collect()
    }
}
