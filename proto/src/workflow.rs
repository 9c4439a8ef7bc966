//! What a request is part of: a single function, a chain, or a graph.

mod chain;
mod dag;
mod dependencies;

use std::collections::BTreeSet;

use crate::rpc::LambdaRequest;

pub use chain::Chain;
pub use dag::Dag;
pub use dependencies::Dependencies;

/// Functions that a chain or graph may have. Each adds two hops, of which a request may make 254.
pub const MAX_FUNCTIONS: usize = 256;

/// Why a chain or a graph makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowError {
    /// The request has both.
    #[error("a request is part of a chain or of a DAG, this one has both")]
    ChainAndDag,
    /// A chain without functions.
    #[error("a chain needs at least one function")]
    EmptyChain,
    /// There are too many functions.
    #[error("{functions} functions are too many for one request, the limit is {MAX_FUNCTIONS}")]
    TooLarge {
        /// Functions of the chain or graph.
        functions: usize,
    },
    /// Several functions are executed one after the other, the caller has to be called back.
    #[error("{functions} functions cannot be executed synchronously: the callback is missing")]
    NoCallback {
        /// Functions of the chain or graph.
        functions: usize,
    },
    /// The next function is beyond the last one.
    #[error("next function {index} of {functions}: must be below")]
    Index {
        /// Position asked for, from 0.
        index: u32,
        /// Functions of the chain or graph.
        functions: usize,
    },
    /// Parallel branches are matched by identity.
    #[error("a DAG of several functions needs a uuid")]
    NoUuid,
    /// The graph has not one name more than lists of successors.
    #[error("a DAG of {names} functions needs {} lists of successors, there are {successors}", .names.saturating_sub(1))]
    Sizes {
        /// Names of functions.
        names: usize,
        /// Lists of successors.
        successors: usize,
    },
    /// An edge leads back to the entry or out of the graph.
    #[error("function {from} of the DAG has successor {to}, must be from 1 to {last}")]
    Successor {
        /// Where the edge begins.
        from: usize,
        /// Where it ends.
        to: u64,
        /// The last function.
        last: usize,
    },
    /// An edge is there twice.
    #[error("function {from} of the DAG has successor {to} twice")]
    Duplicate {
        /// Where the edge begins.
        from: usize,
        /// Where it ends.
        to: usize,
    },
    /// Some functions wait for each other.
    #[error("the DAG has a cycle through function {0}")]
    Cycle(usize),
    /// Nothing leads to a function.
    #[error("function {0} of the DAG cannot be reached from function 0")]
    Unreachable(usize),
    /// A function other than the last one has no successor.
    #[error("function {sink} of the DAG has no successor, only the last one ({last}) may")]
    Sink {
        /// The function without successor.
        sink: usize,
        /// The last function.
        last: usize,
    },
    /// A state depends on a function that is not part of it.
    #[error("state {state} depends on function {function}, which is not part of it")]
    UnknownFunction {
        /// The state.
        state: String,
        /// The function.
        function: String,
    },
}

/// The chain or graph of a request, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workflow {
    /// One function on its own.
    Single,
    /// Functions one after the other.
    Chain(Chain),
    /// Functions as a graph.
    Dag(Dag),
}

impl Workflow {
    /// What `request` is part of.
    ///
    /// # Errors
    /// If it contradicts itself.
    pub fn of(request: &LambdaRequest) -> Result<Self, WorkflowError> {
        let graph = request.dag.as_ref();
        let graph = graph.filter(|dag| !(dag.names.is_empty() && dag.successors.is_empty()));
        let chained = !request.chain.is_empty();
        if chained && graph.is_some() {
            return Err(WorkflowError::ChainAndDag);
        }
        let functions = graph.map_or(request.chain.len(), |dag| dag.names.len());
        if functions > MAX_FUNCTIONS {
            return Err(WorkflowError::TooLarge { functions });
        }
        if functions > 1 && request.callback.is_empty() {
            return Err(WorkflowError::NoCallback { functions });
        }
        let index = request.next_function_index;
        if (chained || graph.is_some()) && index as usize >= functions {
            return Err(WorkflowError::Index { index, functions });
        }
        if graph.is_some() && functions > 1 && request.uuid.is_empty() {
            return Err(WorkflowError::NoUuid);
        }
        let dependencies = Dependencies::from(&request.dependencies);
        match graph {
            Some(graph) => {
                let successors = graph.successors.iter().map(|list| list.functions.clone());
                let dag = Dag::new(successors.collect(), graph.names.clone(), dependencies)?;
                Ok(Self::Dag(dag))
            }
            None if chained => Ok(Self::Chain(Chain::new(
                request.chain.clone(),
                dependencies,
            )?)),
            None => Ok(Self::Single),
        }
    }

    /// The functions by position; none if it is a single one, which only its request names.
    pub fn functions(&self) -> &[String] {
        match self {
            Self::Single => &[],
            Self::Chain(chain) => chain.functions(),
            Self::Dag(dag) => dag.functions(),
        }
    }

    /// Which function depends on which state; `None` if it is a single one.
    pub fn dependencies(&self) -> Option<&Dependencies> {
        match self {
            Self::Single => None,
            Self::Chain(chain) => Some(chain.dependencies()),
            Self::Dag(dag) => Some(dag.dependencies()),
        }
    }

    /// `request` as the first one of this workflow: it names the entry and describes the whole.
    /// What [`Self::of`] reads; a request for a single function stays as it is.
    #[must_use]
    pub fn begin(&self, request: LambdaRequest) -> LambdaRequest {
        match self {
            Self::Single => request,
            Self::Chain(chain) => LambdaRequest {
                name: chain.entry().to_owned(),
                chain: chain.functions().to_vec(),
                dag: None,
                dependencies: chain.dependencies().into(),
                next_function_index: 0,
                ..request
            },
            Self::Dag(dag) => LambdaRequest {
                name: dag.to_name(0).to_owned(),
                chain: Vec::new(),
                dag: Some(dag.into()),
                dependencies: dag.dependencies().into(),
                next_function_index: 0,
                ..request
            },
        }
    }

    /// The functions that come after the one at `index`: none after the last.
    pub fn next(&self, index: u32) -> Vec<(u32, &str)> {
        let named = |next: usize, name| (u32::try_from(next).unwrap_or(u32::MAX), name);
        let index = index as usize;
        match self {
            Self::Single => Vec::new(),
            Self::Chain(chain) => {
                let next = chain.functions().get(index + 1);
                next.map(|name| named(index + 1, name.as_str()))
                    .into_iter()
                    .collect()
            }
            Self::Dag(dag) => {
                let next = dag.successors(index).iter();
                next.map(|&next| named(next, dag.to_name(next))).collect()
            }
        }
    }

    /// How many answers of other functions the one at `index` waits for.
    pub fn expected_arrivals(&self, index: u32) -> usize {
        match self {
            Self::Dag(dag) => dag.predecessors(index as usize).count().max(1),
            Self::Single | Self::Chain(_) => 1,
        }
    }

    /// The states that `function` depends on; none outside of a chain or graph.
    pub fn states_of(&self, function: &str) -> BTreeSet<&str> {
        let dependencies = self.dependencies();
        dependencies.map_or_else(BTreeSet::new, |all| all.states(function))
    }
}

#[cfg(test)]
mod tests;
