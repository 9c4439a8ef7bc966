//! Plans as JSON, in the format of the C++ reference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edge_proto::workflow::{Chain, Dag, Dependencies, Workflow, WorkflowError};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{InvalidPlan, Plan};

const FUNCTIONS: &str = "functions";
const NAMES: &str = "functionNames";
const SUCCESSORS: &str = "successors";
const DEPENDENCIES: &str = "dependencies";
const SIZES: &str = "state-sizes";

/// Why a file has no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It does not open, or is not text.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not JSON, or not that of a plan.
    #[error("{}, line {line}: {problem}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1, in which what is wrong begins.
        line: usize,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// What is wrong with a text, and in which line.
#[derive(Debug, PartialEq, Eq)]
struct Malformed {
    line: usize,
    problem: String,
}

impl Plan {
    /// Reads the chain that the JSON file `path` describes:
    ///
    /// ```json
    /// {
    ///   "functions": ["f1", "f2", "f1"],
    ///   "dependencies": {"s0": ["f1"], "s1": ["f1", "f2"], "s3": null},
    ///   "state-sizes": {"s0": 10000, "s1": 20000}
    /// }
    /// ```
    ///
    /// `functions` has them in their order, `dependencies` the functions that
    /// depend on each state (`null`: none), `state-sizes` bytes. Other keys are
    /// ignored, so that a file may carry remarks.
    ///
    /// # Errors
    /// If it cannot be read, or describes none.
    pub fn read_chain(path: &Path) -> Result<Self, PlanError> {
        read(path, chain)
    }

    /// Reads the graph that the JSON file `path` describes:
    ///
    /// ```json
    /// {
    ///   "successors": [[1, 2], [3], [3]],
    ///   "functionNames": ["f0", "f1", "f2", "f2"],
    ///   "dependencies": {"s0": ["f0"]},
    ///   "state-sizes": {"s0": 10000}
    /// }
    /// ```
    ///
    /// `functionNames` has the names of all functions, the first one of which
    /// is the entry, `successors` the positions (from 0) of those that follow
    /// each but the last one. The rest is that of [chains](Self::read_chain).
    ///
    /// # Errors
    /// As [`Self::read_chain`].
    pub fn read_dag(path: &Path) -> Result<Self, PlanError> {
        read(path, dag)
    }

    /// The plan as JSON, keys sorted, indented by two blanks.
    pub fn to_json(&self) -> String {
        let states = self.workflow().dependencies().into_iter();
        let states: BTreeMap<_, _> = states
            .flat_map(Dependencies::iter)
            .map(|(state, functions)| (state, (!functions.is_empty()).then_some(functions)))
            .collect();
        let mut document = json!({ DEPENDENCIES: states, SIZES: self.state_sizes() });
        let functions = json!(self.workflow().functions());
        match self.workflow() {
            Workflow::Single | Workflow::Chain(_) => document[FUNCTIONS] = functions,
            Workflow::Dag(dag) => {
                let all_but_the_last = 0..dag.functions().len().saturating_sub(1);
                let successors = all_but_the_last.map(|index| json!(dag.successors(index)));
                document[SUCCESSORS] = successors.collect();
                document[NAMES] = functions;
            }
        }
        format!("{document:#}")
    }
}

fn read(path: &Path, parse: fn(&str) -> Result<Plan, Malformed>) -> Result<Plan, PlanError> {
    let text = std::fs::read_to_string(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|Malformed { line, problem }| PlanError::Invalid {
        path: path.to_owned(),
        line,
        problem,
    })
}

fn chain(text: &str) -> Result<Plan, Malformed> {
    let document = Document::parse(text)?;
    let functions = document.required(FUNCTIONS)?;
    let chain = Chain::new(functions, document.dependencies()?);
    let chain = chain.map_err(|error| document.blame(FUNCTIONS, &error.into()))?;
    let plan = Plan::chain(chain, document.sizes()?);
    plan.map_err(|error| document.blame(FUNCTIONS, &error))
}

fn dag(text: &str) -> Result<Plan, Malformed> {
    let document = Document::parse(text)?;
    let successors = document.required(SUCCESSORS)?;
    let dag = Dag::new(
        successors,
        document.required(NAMES)?,
        document.dependencies()?,
    );
    let dag = dag.map_err(|error| document.blame(SUCCESSORS, &error.into()))?;
    let plan = Plan::dag(dag, document.sizes()?);
    plan.map_err(|error| document.blame(NAMES, &error))
}

/// A JSON object whose values know where they stand.
struct Document<'a> {
    text: &'a str,
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> Result<Self, Malformed> {
        let values = serde_json::from_str(text).map_err(|error| malformed(1, &error))?;
        Ok(Self { text, values })
    }

    fn required<T: Deserialize<'a>>(&self, key: &str) -> Result<T, Malformed> {
        self.optional(key)?.ok_or_else(|| Malformed {
            line: 1,
            problem: format!("the key `{key}` is missing"),
        })
    }

    fn optional<T: Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, Malformed> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let read = serde_json::from_str(value.get()).map(Some);
        read.map_err(|error| {
            let Malformed { line, problem } = malformed(self.line(key), &error);
            let problem = format!("`{key}`: {problem}");
            Malformed { line, problem }
        })
    }

    fn dependencies(&self) -> Result<Dependencies, Malformed> {
        let states: BTreeMap<String, Option<Vec<String>>> = self.required(DEPENDENCIES)?;
        let states = states.into_iter();
        Ok(Dependencies::new(
            states
                .map(|(state, functions)| (state, functions.unwrap_or_default()))
                .collect(),
        ))
    }

    fn sizes(&self) -> Result<BTreeMap<String, usize>, Malformed> {
        Ok(self.optional(SIZES)?.unwrap_or_default())
    }

    /// The line in which the value of `key` begins.
    fn line(&self, key: &str) -> usize {
        let Some(value) = self.values.get(key) else {
            return 1;
        };
        // Values borrow from the text, so that their addresses tell where.
        let offset = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// An error that comes from the value of `otherwise`, unless it is about
    /// states or sizes of lists.
    fn blame(&self, otherwise: &str, error: &InvalidPlan) -> Malformed {
        let key = match error {
            InvalidPlan::Functions(WorkflowError::UnknownFunction { .. })
            | InvalidPlan::NoSize(_) => DEPENDENCIES,
            InvalidPlan::Functions(WorkflowError::Sizes { .. }) => NAMES,
            InvalidPlan::Functions(_) | InvalidPlan::NoName(_) => otherwise,
        };
        let line = self.line(key);
        let problem = format!("`{key}`: {error}");
        Malformed { line, problem }
    }
}

/// An error of a value that begins in line `first`.
fn malformed(first: usize, error: &serde_json::Error) -> Malformed {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    Malformed {
        line: first + error.line().saturating_sub(1),
        problem: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
    }
}

#[cfg(test)]
mod tests;
