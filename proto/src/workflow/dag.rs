//! Functions as a directed acyclic graph with one entry and one sink.

use std::collections::BTreeSet;

use super::{Dependencies, WorkflowError};
use crate::rpc::{self, IndexList};

/// A graph of functions, known by their positions: 0 is the only entry, the last one the only
/// sink. A name may be there more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dag {
    /// For each function, the sink included.
    successors: Vec<Vec<usize>>,
    names: Vec<String>,
    dependencies: Dependencies,
}

impl Dag {
    /// The graph in which function `i` is followed by those at the positions `successors[i]`;
    /// the last name has no list of successors.
    ///
    /// # Errors
    /// If it is no graph that can be executed from function 0 to the last one, or a state depends
    /// on another function.
    pub fn new(
        successors: Vec<Vec<u64>>,
        names: Vec<String>,
        dependencies: Dependencies,
    ) -> Result<Self, WorkflowError> {
        let last = successors.len();
        if names.len() != last + 1 {
            return Err(WorkflowError::Sizes {
                names: names.len(),
                successors: last,
            });
        }
        let mut lists = Vec::with_capacity(names.len());
        for (from, list) in successors.into_iter().enumerate() {
            lists.push(positions(from, &list, last)?);
        }
        lists.push(Vec::new());
        dependencies.check(&names)?;
        let dag = Self {
            successors: lists,
            names,
            dependencies,
        };
        dag.check_order()?;
        Ok(dag)
    }

    /// Every function is reached, and after all those before it.
    fn check_order(&self) -> Result<(), WorkflowError> {
        let mut missing = vec![0_usize; self.names.len()];
        for &next in self.successors.iter().flatten() {
            missing[next] += 1;
        }
        if let Some(index) = (1..missing.len()).find(|&index| missing[index] == 0) {
            return Err(WorkflowError::Unreachable(index));
        }
        let mut ready = vec![0];
        while let Some(index) = ready.pop() {
            for &next in self.successors(index) {
                missing[next] -= 1;
                if missing[next] == 0 {
                    ready.push(next);
                }
            }
        }
        // What is never ready waits for itself, if only through others.
        match missing.iter().position(|&count| count > 0) {
            Some(index) => Err(WorkflowError::Cycle(index)),
            None => Ok(()),
        }
    }

    /// Positions of the functions that follow the one at `index`; none beyond the last.
    pub fn successors(&self, index: usize) -> &[usize] {
        self.successors.get(index).map_or(&[], Vec::as_slice)
    }

    /// Positions of the functions that the one at `index` follows.
    pub fn predecessors(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let lists = self.successors.iter().enumerate();
        lists
            .filter(move |(_, list)| list.contains(&index))
            .map(|(from, _)| from)
    }

    /// Positions of all functions that are done before the one at `index` begins.
    pub fn ancestors(&self, index: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            open.extend(self.predecessors(index).filter(|&p| found.insert(p)));
        }
        found
    }

    /// Position of the last function at which branches meet, if there are any: whatever is before it
    /// leads to it, and whatever comes after it comes one by one.
    pub fn last_meeting(&self) -> Option<usize> {
        let mut index = self.names.len().checked_sub(1)?;
        loop {
            let mut before = self.predecessors(index);
            let only = before.next()?;
            if before.next().is_some() {
                return Some(index);
            }
            drop(before);
            index = only;
        }
    }

    /// Names of the functions that follow the one at `index`; `None` beyond the last.
    pub fn successor_names(&self, index: usize) -> Option<BTreeSet<&str>> {
        let list = self.successors.get(index)?;
        Some(list.iter().map(|&next| self.to_name(next)).collect())
    }

    /// Names of the functions that the one at `index` follows; `None` beyond the last.
    pub fn predecessor_names(&self, index: usize) -> Option<BTreeSet<&str>> {
        self.names.get(index)?;
        Some(self.predecessors(index).map(|p| self.to_name(p)).collect())
    }

    /// Positions of the functions that are not done and can begin, given those that are.
    pub fn callable(&self, done: &BTreeSet<usize>) -> BTreeSet<usize> {
        (0..self.names.len())
            .filter(|index| !done.contains(index))
            .filter(|&index| self.ancestors(index).is_subset(done))
            .collect()
    }

    /// Name of the function at `index`; empty beyond the last.
    pub fn to_name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// Names of the functions by position.
    pub fn functions(&self) -> &[String] {
        &self.names
    }

    /// The functions by name, each once.
    pub fn unique_functions(&self) -> BTreeSet<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Which function depends on which state.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// The functions joined with `-`.
    pub fn name(&self) -> String {
        self.names.join("-")
    }

    /// The graph of `function` alone, with the states that it depends on.
    #[must_use]
    pub fn single_function(&self, function: &str) -> Self {
        Self {
            successors: vec![Vec::new()],
            names: vec![function.to_owned()],
            dependencies: self.dependencies.of(function),
        }
    }
}

impl From<&Dag> for rpc::Dag {
    fn from(dag: &Dag) -> Self {
        let last = dag.names.len().saturating_sub(1);
        let lists = dag.successors[..last].iter().map(|list| IndexList {
            functions: list.iter().map(|&next| next as u64).collect(),
        });
        Self {
            successors: lists.collect(),
            names: dag.names.clone(),
        }
    }
}

/// The successors of one function, each of them within the graph and there once.
fn positions(from: usize, list: &[u64], last: usize) -> Result<Vec<usize>, WorkflowError> {
    if list.is_empty() {
        return Err(WorkflowError::Sink { sink: from, last });
    }
    let mut positions = Vec::with_capacity(list.len());
    for &to in list {
        let inside = usize::try_from(to)
            .ok()
            .filter(|to| (1..=last).contains(to));
        let Some(next) = inside else {
            return Err(WorkflowError::Successor { from, to, last });
        };
        if positions.contains(&next) {
            return Err(WorkflowError::Duplicate { from, to: next });
        }
        positions.push(next);
    }
    Ok(positions)
}
