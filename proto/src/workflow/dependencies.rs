//! Which functions depend on which states.

use std::collections::{BTreeMap, BTreeSet};

use crate::rpc::FunctionList;

use super::WorkflowError;

/// States by name, each with the functions that depend on it. A state that no function depends on
/// is free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies(BTreeMap<String, Vec<String>>);

impl Dependencies {
    /// The functions that depend on each state, by its name.
    pub fn new(functions: BTreeMap<String, Vec<String>>) -> Self {
        Self(functions)
    }

    /// The states that `function` depends on.
    pub fn states(&self, function: &str) -> BTreeSet<&str> {
        let depends = |functions: &[String]| functions.iter().any(|name| name == function);
        self.0
            .iter()
            .filter(|(_, functions)| depends(functions))
            .map(|(state, _)| state.as_str())
            .collect()
    }

    /// All states, the free ones only if asked for.
    pub fn all_states(&self, include_free: bool) -> BTreeSet<&str> {
        self.0
            .iter()
            .filter(|(_, functions)| include_free || !functions.is_empty())
            .map(|(state, _)| state.as_str())
            .collect()
    }

    /// Every state with the functions that depend on it, by the name of the state.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        let states = self.0.iter();
        states.map(|(state, functions)| (state.as_str(), functions.as_slice()))
    }

    /// What is left of the dependencies for `function` on its own.
    #[must_use]
    pub fn of(&self, function: &str) -> Self {
        let states = self.states(function).into_iter();
        Self(
            states
                .map(|state| (state.to_owned(), vec![function.to_owned()]))
                .collect(),
        )
    }

    /// Every function must be one of `known`.
    pub(super) fn check(&self, known: &[String]) -> Result<(), WorkflowError> {
        for (state, functions) in &self.0 {
            if let Some(function) = functions.iter().find(|function| !known.contains(function)) {
                return Err(WorkflowError::UnknownFunction {
                    state: state.clone(),
                    function: function.clone(),
                });
            }
        }
        Ok(())
    }
}

impl From<&BTreeMap<String, FunctionList>> for Dependencies {
    fn from(lists: &BTreeMap<String, FunctionList>) -> Self {
        let lists = lists.iter();
        Self(
            lists
                .map(|(state, list)| (state.clone(), list.functions.clone()))
                .collect(),
        )
    }
}

impl From<&Dependencies> for BTreeMap<String, FunctionList> {
    fn from(dependencies: &Dependencies) -> Self {
        let list = |functions: &[String]| FunctionList {
            functions: functions.to_vec(),
        };
        let states = dependencies.iter();
        states
            .map(|(state, functions)| (state.to_owned(), list(functions)))
            .collect()
    }
}
