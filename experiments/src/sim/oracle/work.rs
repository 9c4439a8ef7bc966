//! The dispatcher that knows the work of every request.

use edge_balance::Tried;

use super::scan::{Near, least, near};
use super::{Executor, penalty};
use crate::sim::job::Job;
use crate::sim::scenario::{Discipline, Scenario};
use crate::sim::topology::{Neighbour, Topology};

/// Knows all that [`Oracle`](super::Oracle) knows, and the work of every request.
#[derive(Debug)]
pub(crate) struct WorkOracle {
    near: Vec<Near>,
    backlogs: Vec<Backlog>,
    /// When a worker of each executor is free, in seconds since the start, later where something is
    /// wrong.
    free_at: Vec<f64>,
    /// Seconds that each executor needs for work of a second, now: per lambda.
    slowness: Vec<Box<[f64]>>,
    sharing: bool,
    costs: Vec<f64>,
    gathered: [Vec<f64>; 2],
}

/// Work that each worker has before it is free, in seconds at the executor's nominal speed for
/// the lambdas concerned, when requests start in the order in which they were sent.
#[derive(Debug)]
struct Backlog {
    workers: Box<[f64]>,
    at: u64,
    factor: f64,
    penalty: f64,
}

impl Backlog {
    /// Seconds of work left to a worker.
    fn left(&self, worker: usize, now: u64) -> f64 {
        let done = (now - self.at) as f64 * 1e-9 * self.factor;
        (self.workers[worker] - done).max(0.0)
    }

    fn first_free(&self, now: u64) -> (usize, f64) {
        (0..self.workers.len())
            .map(|worker| (worker, self.left(worker, now)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .expect("an executor has a worker")
    }

    fn advance(&mut self, now: u64) {
        for worker in 0..self.workers.len() {
            self.workers[worker] = self.left(worker, now);
        }
        self.at = now;
    }

    /// When the first worker is free, in seconds since the start.
    fn free_at(&self) -> f64 {
        let (_, left) = self.first_free(self.at);
        // Who makes no progress has a penalty, beside which what is left does not matter.
        let wait = if self.factor > 0.0 {
            left / self.factor
        } else {
            left
        };
        self.at as f64 * 1e-9 + wait + self.penalty
    }
}

impl WorkOracle {
    pub(crate) fn new(scenario: &Scenario, topology: &Topology) -> Self {
        let backlog = |executor| Backlog {
            workers: vec![0.0; scenario.workers_of(executor) as usize].into(),
            at: 0,
            factor: 1.0,
            penalty: 0.0,
        };
        let executors = 0..scenario.speeds.len();
        let slowness = |lambda| {
            let all = executors.clone();
            all.map(|executor| 1.0 / scenario.speed(executor, lambda))
                .collect()
        };
        WorkOracle {
            near: near(topology, scenario.routers, executors.len()),
            backlogs: executors.clone().map(backlog).collect(),
            free_at: vec![0.0; executors.len()],
            slowness: (0..scenario.lambdas.len()).map(slowness).collect(),
            sharing: scenario.discipline == Discipline::Sharing,
            costs: Vec::new(),
            gathered: [Vec::new(), Vec::new()],
        }
    }

    pub(crate) fn choose(
        &mut self,
        job: &Job,
        tried: &Tried,
        known: &[Neighbour],
        executors: &[Executor],
        now: u64,
    ) -> Option<usize> {
        self.costs.clear();
        if self.sharing {
            // What is on its way is not looked at.
            self.costs.extend(known.iter().map(|neighbour| {
                let executor = &executors[neighbour.executor as usize];
                let factor = executor.factor();
                let there = executor.shared_work(own(job, executor), now);
                let there = if factor > 0.0 { there / factor } else { there };
                2.0 * f64::from(neighbour.half) + there + penalty(executor)
            }));
        } else {
            let near = &self.near[job.request.router as usize];
            let [frees, slownesses] = &mut self.gathered;
            let free_at = near.view(&self.free_at, frees);
            let slowness = near.view(&self.slowness[job.request.lambda as usize], slownesses);
            let now = now as f64 * 1e-9;
            let work = job.request.work;
            let rows = near.halves.iter().zip(free_at).zip(slowness);
            self.costs.extend(rows.map(|((half, free_at), slowness)| {
                let wait = free_at - now;
                let start = if wait > *half { wait } else { *half };
                half + start + work * slowness
            }));
        }
        least(&mut self.costs, tried)
    }

    pub(crate) fn sent(&mut self, job: &Job, to: Neighbour, executor: &Executor, now: u64) {
        let index = to.executor as usize;
        let backlog = &mut self.backlogs[index];
        backlog.advance(now);
        let (worker, left) = backlog.first_free(now);
        let start = left.max(f64::from(to.half) * backlog.factor);
        backlog.workers[worker] = start + own(job, executor);
        self.free_at[index] = backlog.free_at();
    }

    /// An antagonist changed the executor.
    pub(crate) fn disturbed(&mut self, executor: u32, now: u64, state: &Executor) {
        let index = executor as usize;
        let backlog = &mut self.backlogs[index];
        backlog.advance(now);
        backlog.factor = state.factor();
        backlog.penalty = penalty(state);
        if state.is_down() {
            backlog.workers.fill(0.0);
        }
        self.free_at[index] = backlog.free_at();
        for (lambda, slowness) in self.slowness.iter_mut().enumerate() {
            let lambda = lambda as u32;
            // As in `Backlog::free_at`.
            let speed = if state.factor() > 0.0 {
                state.speed(lambda)
            } else {
                state.nominal_speed(lambda)
            };
            slowness[index] = 1.0 / speed;
        }
    }
}

/// Seconds that the request takes there when nothing is wrong.
fn own(job: &Job, executor: &Executor) -> f64 {
    job.request.work / executor.nominal_speed(job.request.lambda)
}
