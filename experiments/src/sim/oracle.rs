//! Choosers that know what no broker can know: the yardstick for those that run.

use super::executor::Executor;
use super::job::Job;
use super::scenario::{Discipline, Scenario};
use super::topology::Neighbour;

/// Knows all queues, current speeds, mean services and round trips.
#[derive(Debug)]
pub(super) struct Oracle {
    lambdas: usize,
    /// Seconds that a request of a lambda takes in the mean: per executor and lambda.
    own: Vec<f64>,
    /// Seconds that a request takes in the mean over lambdas: per executor.
    any: Vec<f64>,
    /// Requests at an executor or on their way there.
    committed: Vec<u32>,
    sharing: bool,
}

impl Oracle {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let executors = 0..scenario.speeds.len();
        let lambdas = scenario.lambdas.len();
        let shares: f64 = scenario.lambdas.iter().map(|lambda| lambda.share).sum();
        let mean = |executor, lambda: usize| {
            scenario.service.mean() * scenario.lambdas[lambda].size
                / scenario.speed(executor, lambda)
        };
        let over_lambdas = |executor| {
            (0..lambdas)
                .map(|lambda| mean(executor, lambda) * scenario.lambdas[lambda].share / shares)
                .sum()
        };
        Oracle {
            lambdas,
            own: executors
                .clone()
                .flat_map(|executor| (0..lambdas).map(move |lambda| (executor, lambda)))
                .map(|(executor, lambda)| mean(executor, lambda))
                .collect(),
            any: executors.clone().map(over_lambdas).collect(),
            committed: executors.map(|_| 0).collect(),
            sharing: scenario.discipline == Discipline::Sharing,
        }
    }

    pub(super) fn choose(
        &self,
        job: &Job,
        known: &[Neighbour],
        executors: &[Executor],
    ) -> Option<usize> {
        least(job, known, executors, |neighbour| {
            let index = neighbour.executor as usize;
            let executor = &executors[index];
            let own = self.own[index * self.lambdas + job.request.lambda as usize];
            let workers = executor.workers() as f64;
            let after = f64::from(self.committed[index]) + 1.0;
            let there = if self.sharing {
                own * (after / workers).max(1.0)
            } else {
                own + self.any[index] * (after - workers).max(0.0) / workers
            };
            2.0 * f64::from(neighbour.half) + there / executor.factor()
        })
    }

    pub(super) fn sent(&mut self, executor: u32) {
        self.committed[executor as usize] += 1;
    }

    /// The attempt is over for the executor.
    pub(super) fn ended(&mut self, executor: u32) {
        self.committed[executor as usize] -= 1;
    }
}

/// Knows the work of every request, too.
#[derive(Debug)]
pub(super) struct WorkOracle {
    backlogs: Vec<Backlog>,
    sharing: bool,
}

/// Work that each worker has before it is free, in seconds at the executor's nominal speed for
/// the lambdas concerned, when requests start in the order in which they were sent.
#[derive(Debug)]
struct Backlog {
    workers: Box<[f64]>,
    at: u64,
    factor: f64,
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
}

impl WorkOracle {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let backlog = |executor| Backlog {
            workers: vec![0.0; scenario.workers_of(executor) as usize].into(),
            at: 0,
            factor: 1.0,
        };
        WorkOracle {
            backlogs: (0..scenario.speeds.len()).map(backlog).collect(),
            sharing: scenario.discipline == Discipline::Sharing,
        }
    }

    pub(super) fn choose(
        &self,
        job: &Job,
        known: &[Neighbour],
        executors: &[Executor],
        now: u64,
    ) -> Option<usize> {
        least(job, known, executors, |neighbour| {
            let executor = &executors[neighbour.executor as usize];
            let half = f64::from(neighbour.half);
            let own = self.own(job, executor);
            if self.sharing {
                // What is on its way is not looked at.
                2.0 * half + executor.shared_work(own, now) / executor.factor()
            } else {
                let (_, start) = self.start(neighbour.executor as usize, half, now);
                half + (start + own) / executor.factor()
            }
        })
    }

    /// The worker that will take a request sent now and how much work is done until it does.
    fn start(&self, executor: usize, half: f64, now: u64) -> (usize, f64) {
        let backlog = &self.backlogs[executor];
        let (worker, left) = backlog.first_free(now);
        (worker, left.max(half * backlog.factor))
    }

    fn own(&self, job: &Job, executor: &Executor) -> f64 {
        job.request.work / executor.nominal_speed(job.request.lambda)
    }

    pub(super) fn sent(&mut self, job: &Job, to: Neighbour, executor: &Executor, now: u64) {
        let own = self.own(job, executor);
        let index = to.executor as usize;
        let (worker, start) = self.start(index, f64::from(to.half), now);
        let backlog = &mut self.backlogs[index];
        backlog.advance(now);
        backlog.workers[worker] = start + own;
    }

    /// An antagonist changed the executor.
    pub(super) fn disturbed(&mut self, executor: u32, now: u64, state: &Executor) {
        let backlog = &mut self.backlogs[executor as usize];
        backlog.advance(now);
        backlog.factor = state.factor();
        if state.is_down() {
            backlog.workers.fill(0.0);
        }
    }
}

/// The position of the cheapest neighbour that was not tried: among those that work if there is
/// one.
fn least(
    job: &Job,
    known: &[Neighbour],
    executors: &[Executor],
    cost: impl Fn(Neighbour) -> f64,
) -> Option<usize> {
    let mut best = None;
    for (position, neighbour) in known.iter().enumerate() {
        if job.tried.contains(position as u64) {
            continue;
        }
        let executor = &executors[neighbour.executor as usize];
        let fails = executor.is_down() || executor.fails() > 0.0;
        let rank = (fails, cost(*neighbour));
        if best.is_none_or(|(_, least)| rank < least) {
            best = Some((position, rank));
        }
    }
    best.map(|(position, _)| position)
}
