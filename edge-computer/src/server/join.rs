//! Where the branches of a graph meet: the first ones wait for the last one, unless the graph has
//! failed.

mod failed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, State};
use edge_proto::workflow::Dag;

use self::failed::Failed;
use super::queue::Place;

/// An accepted request and its place among those that are.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) request: LambdaRequest,
    pub(super) place: Place,
}

/// Where branches meet: position of the function and identity of the request.
type Key = (u32, String);

/// The branches that wait, and the graphs for which nobody is to wait any more.
#[derive(Debug)]
pub(super) struct Joins {
    deadline: Duration,
    meetings: Mutex<Meetings>,
}

#[derive(Debug)]
struct Meetings {
    waiting: HashMap<Key, Join>,
    failed: Failed,
}

#[derive(Debug)]
struct Join {
    expires: Instant,
    arrivals: Vec<Accepted>,
}

impl Joins {
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            meetings: Mutex::new(Meetings {
                waiting: HashMap::new(),
                failed: Failed::new(deadline),
            }),
        }
    }

    /// Takes one more branch. Returns the request to execute if it is the last one. A branch of a
    /// graph that has failed, which the caller knows, is done with.
    pub(super) fn arrive(&self, accepted: Accepted, dag: &Dag, now: Instant) -> Option<Accepted> {
        let request = &accepted.request;
        let index = request.next_function_index;
        let expected = dag.predecessors(index as usize).count();
        if expected <= 1 {
            return Some(accepted);
        }
        let key = (index, request.uuid.clone());
        let mut meetings = self.lock();
        if meetings.failed.contains(&key, now) {
            return None;
        }
        let join = meetings.waiting.entry(key.clone());
        let join = join.or_insert_with(|| Join {
            expires: now + self.deadline,
            arrivals: Vec::with_capacity(expected),
        });
        let from = request.previous_function;
        let twice = |other: &Accepted| from != 0 && other.request.previous_function == from;
        if join.arrivals.iter().any(twice) {
            return None;
        }
        join.arrivals.push(accepted);
        if join.arrivals.len() < expected {
            return None;
        }
        let join = meetings.waiting.remove(&key)?;
        drop(meetings);
        merge(join.arrivals, dag)
    }

    /// Whether it is known that the graph of a request has failed before it came to `index`.
    pub(super) fn has_failed(&self, index: u32, uuid: &str, now: Instant) -> bool {
        let key = (index, uuid.to_owned());
        self.lock().failed.contains(&key, now)
    }

    /// The graph of a request has failed before it came to `index`. False if that was known.
    pub(super) fn fail(&self, index: u32, uuid: &str, now: Instant) -> bool {
        let key = (index, uuid.to_owned());
        let mut meetings = self.lock();
        if meetings.failed.contains(&key, now) {
            return false;
        }
        meetings.waiting.remove(&key);
        meetings.failed.insert(key, now);
        true
    }

    /// Gives up the branches that have waited too long for others; one request of each join.
    pub(super) fn expire(&self, now: Instant) -> Vec<LambdaRequest> {
        self.take_if(now, |join| join.expires <= now)
    }

    /// Gives up all branches.
    pub(super) fn give_up(&self) -> Vec<LambdaRequest> {
        self.take_if(Instant::now(), |_| true)
    }

    fn take_if(&self, now: Instant, condition: impl Fn(&Join) -> bool) -> Vec<LambdaRequest> {
        let mut meetings = self.lock();
        let Meetings { waiting, failed } = &mut *meetings;
        let taken = waiting.extract_if(|_, join| condition(join));
        taken
            .filter_map(|(key, mut join)| {
                failed.insert(key, now);
                Some(join.arrivals.pop()?.request)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Meetings> {
        self.meetings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request out of all branches: the input of the last one, and of each state the version of
/// the branch that may have changed it.
fn merge(mut arrivals: Vec<Accepted>, dag: &Dag) -> Option<Accepted> {
    let mut last = arrivals.pop()?;
    let hops = arrivals.iter().map(|other| other.request.hops);
    last.request.hops = hops.fold(last.request.hops, u32::max);
    let passed: Vec<_> = arrivals
        .iter()
        .chain([&last])
        .map(|arrival| functions_passed(&arrival.request, dag))
        .collect();
    let common = passed
        .iter()
        .cloned()
        .reduce(|a, b| &a & &b)
        .unwrap_or_default();
    let depends = |branch: &BTreeSet<usize>, state: &str| {
        branch.difference(&common).any(|&index| {
            let states = dag.dependencies().states(dag.to_name(index));
            states.contains(state)
        })
    };
    let of_last = passed.last().cloned().unwrap_or_default();
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    for (arrival, branch) in arrivals.iter_mut().zip(&passed) {
        for (name, state) in std::mem::take(&mut arrival.request.states) {
            if depends(branch, &name) {
                states.insert(name, state);
            } else {
                states.entry(name).or_insert(state);
            }
        }
    }
    for (name, state) in std::mem::take(&mut last.request.states) {
        let changed_elsewhere = passed[..arrivals.len()]
            .iter()
            .any(|branch| depends(branch, &name));
        if depends(&of_last, &name) || !changed_elsewhere {
            states.insert(name, state);
        }
    }
    last.request.states = states;
    for arrival in arrivals {
        last.place.keep_room_of(arrival.place);
    }
    Some(last)
}

/// The functions that were executed on the way of `request`; none if it does not say from which
/// one it comes.
fn functions_passed(request: &LambdaRequest, dag: &Dag) -> BTreeSet<usize> {
    let index = request.next_function_index as usize;
    let Some(from) = (request.previous_function as usize).checked_sub(1) else {
        return BTreeSet::new();
    };
    if !dag.successors(from).contains(&index) {
        return BTreeSet::new();
    }
    let mut passed = dag.ancestors(from);
    passed.insert(from);
    passed
}

#[cfg(test)]
mod tests;
