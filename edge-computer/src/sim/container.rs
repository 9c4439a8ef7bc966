//! A container: the workers that serve one lambda, and the tasks that wait for them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::lambda::Lambda;
use super::requirements::Demand;
use super::time::SimTime;
use super::utilization::Loads;

/// An accepted task; numbered from 0 in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskId {
    /// The task accepted after `number` others.
    pub(super) const fn new(number: u64) -> Self {
        TaskId(number)
    }

    /// How many tasks the computer had accepted before.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the engine knows of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) id: TaskId,
    /// Index of its container among those of its processor.
    pub(super) container: usize,
    pub(super) demand: Demand,
    pub(super) submitted_at: SimTime,
    pub(super) loads: Loads,
}

/// Workers for one lambda on one processor, with a queue in front of them.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: Arc<str>,
    pub(super) lambda: Arc<Lambda>,
    pub(super) workers: u32,
    /// Workers that are busy.
    pub(super) active: u32,
    /// Tasks that wait, in the order of their ids.
    pub(super) pending: VecDeque<Task>,
    /// What the tasks that wait need altogether.
    pub(super) pending_needs: Needs,
    /// Operations of the tasks that run, done or not.
    pub(super) active_ops: u128,
}

/// What several tasks need altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) ops: u128,
    pub(super) memory: u128,
}

impl Needs {
    pub(super) fn add(&mut self, demand: Demand) {
        self.ops += u128::from(demand.ops);
        self.memory += u128::from(demand.memory);
    }

    pub(super) fn subtract(&mut self, demand: Demand) {
        self.ops -= u128::from(demand.ops);
        self.memory -= u128::from(demand.memory);
    }
}

impl Container {
    pub(super) fn new(name: &str, lambda: Lambda, workers: u32) -> Self {
        Container {
            name: name.into(),
            lambda: Arc::new(lambda),
            workers,
            active: 0,
            pending: VecDeque::new(),
            pending_needs: Needs::default(),
            active_ops: 0,
        }
    }

    #[inline]
    pub(super) fn has_free_worker(&self) -> bool {
        self.active < self.workers
    }

    /// The task that starts next, if a worker is free for it: only memory may keep it waiting.
    #[inline]
    pub(super) fn startable_head(&self) -> Option<&Task> {
        self.pending.front().filter(|_| self.has_free_worker())
    }

    /// Lets a task wait behind the others.
    pub(super) fn enqueue(&mut self, task: Task) {
        self.pending_needs.add(task.demand);
        self.pending.push_back(task);
    }

    /// Takes the task out of the queue that has waited longest.
    pub(super) fn dequeue(&mut self) -> Option<Task> {
        let task = self.pending.pop_front()?;
        self.pending_needs.subtract(task.demand);
        Some(task)
    }

    /// Takes a task out of the queue.
    pub(super) fn remove_pending(&mut self, id: TaskId) -> Option<Task> {
        let position = self
            .pending
            .binary_search_by_key(&id, |task| task.id)
            .ok()?;
        let task = self.pending.remove(position)?;
        self.pending_needs.subtract(task.demand);
        Some(task)
    }

    /// A worker begins with a task.
    pub(super) fn occupy(&mut self, demand: Demand) {
        self.active += 1;
        self.active_ops += u128::from(demand.ops);
    }

    /// The worker of a task becomes free.
    pub(super) fn vacate(&mut self, demand: Demand) {
        self.active -= 1;
        self.active_ops -= u128::from(demand.ops);
    }
}
