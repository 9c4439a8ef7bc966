//! The dispatcher that expects mean services.

use edge_balance::Tried;

use super::scan::{Near, least, near};
use super::{Executor, penalty};
use crate::sim::job::Job;
use crate::sim::scenario::{Discipline, Scenario};
use crate::sim::topology::Topology;

/// Knows all queues, current speeds, mean services and round trips.
#[derive(Debug)]
pub(crate) struct Oracle {
    near: Vec<Near>,
    executors: Vec<Known>,
    /// Expected seconds at the executor for a request that is sent now: per lambda and executor.
    there: Vec<Box<[f64]>>,
    sharing: bool,
    costs: Vec<f64>,
    gathered: Vec<f64>,
}

/// An executor. Seconds are those at full speed.
#[derive(Debug)]
struct Known {
    workers: f64,
    /// That a request of each lambda takes in the mean.
    own: Box<[f64]>,
    /// That a request takes in the mean over lambdas.
    any: f64,
    /// Requests there or on their way.
    committed: u32,
    factor: f64,
    penalty: f64,
}

impl Known {
    fn new(scenario: &Scenario, executor: usize) -> Self {
        let lambdas = || scenario.lambdas.iter().enumerate();
        let mean = |(lambda, mix): (usize, &crate::sim::scenario::LambdaMix)| {
            scenario.service.mean() * mix.size / scenario.speed(executor, lambda)
        };
        let shares: f64 = scenario.lambdas.iter().map(|lambda| lambda.share).sum();
        Known {
            workers: f64::from(scenario.workers_of(executor)),
            own: lambdas().map(mean).collect(),
            any: lambdas()
                .map(|(lambda, mix)| mean((lambda, mix)) * mix.share / shares)
                .sum(),
            committed: 0,
            factor: 1.0,
            penalty: 0.0,
        }
    }

    /// Expected seconds there for one more request.
    fn expected(&self, lambda: usize, sharing: bool) -> f64 {
        let own = self.own[lambda];
        let after = f64::from(self.committed) + 1.0;
        let there = if sharing {
            own * (after / self.workers).max(1.0)
        } else {
            own + self.any * (after - self.workers).max(0.0) / self.workers
        };
        // Who makes no progress has a penalty instead.
        let factor = if self.factor > 0.0 { self.factor } else { 1.0 };
        there / factor + self.penalty
    }
}

impl Oracle {
    pub(crate) fn new(scenario: &Scenario, topology: &Topology) -> Self {
        let executors = scenario.speeds.len();
        let mut oracle = Oracle {
            near: near(topology, scenario.routers, executors),
            executors: (0..executors)
                .map(|executor| Known::new(scenario, executor))
                .collect(),
            there: vec![vec![0.0; executors].into(); scenario.lambdas.len()],
            sharing: scenario.discipline == Discipline::Sharing,
            costs: Vec::new(),
            gathered: Vec::new(),
        };
        for executor in 0..executors {
            oracle.update(executor);
        }
        oracle
    }

    fn update(&mut self, executor: usize) {
        let known = &self.executors[executor];
        for (lambda, there) in self.there.iter_mut().enumerate() {
            there[executor] = known.expected(lambda, self.sharing);
        }
    }

    pub(crate) fn choose(&mut self, job: &Job, tried: &Tried) -> Option<usize> {
        let near = &self.near[job.request.router as usize];
        let there = &self.there[job.request.lambda as usize];
        let there = near.view(there, &mut self.gathered);
        self.costs.clear();
        let known = near.halves.iter().zip(there);
        self.costs
            .extend(known.map(|(half, there)| 2.0 * half + there));
        least(&mut self.costs, tried)
    }

    pub(crate) fn sent(&mut self, executor: u32) {
        self.executors[executor as usize].committed += 1;
        self.update(executor as usize);
    }

    /// The attempt is over for the executor.
    pub(crate) fn ended(&mut self, executor: u32) {
        self.executors[executor as usize].committed -= 1;
        self.update(executor as usize);
    }

    /// An antagonist changed the executor.
    pub(crate) fn disturbed(&mut self, executor: u32, state: &Executor) {
        let known = &mut self.executors[executor as usize];
        known.factor = state.factor();
        known.penalty = penalty(state);
        self.update(executor as usize);
    }
}
