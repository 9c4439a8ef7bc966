//! Functions one after the other.

use std::collections::BTreeSet;

use super::{Dependencies, WorkflowError};

/// A chain of functions; a function may be there more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    functions: Vec<String>,
    dependencies: Dependencies,
}

impl Chain {
    /// The chain of `functions`, in this order.
    ///
    /// # Errors
    /// If there is none, or a state depends on another one.
    pub fn new(functions: Vec<String>, dependencies: Dependencies) -> Result<Self, WorkflowError> {
        if functions.is_empty() {
            return Err(WorkflowError::EmptyChain);
        }
        dependencies.check(&functions)?;
        Ok(Self {
            functions,
            dependencies,
        })
    }

    /// The functions in the order of execution.
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// The functions by name, each once.
    pub fn unique_functions(&self) -> BTreeSet<&str> {
        self.functions.iter().map(String::as_str).collect()
    }

    /// Which function depends on which state.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// The function to begin with.
    pub fn entry(&self) -> &str {
        &self.functions[0]
    }

    /// The functions joined with `-`.
    pub fn name(&self) -> String {
        self.functions.join("-")
    }

    /// The chain of `function` alone, with the states that it depends on.
    #[must_use]
    pub fn single_function(&self, function: &str) -> Self {
        Self {
            functions: vec![function.to_owned()],
            dependencies: self.dependencies.of(function),
        }
    }
}
