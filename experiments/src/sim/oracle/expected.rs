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
    /// That a request takes in the mean over lambdas, shared among the workers.
    any: f64,
    /// Requests there or on their way.
    committed: u32,
    /// How many times slower than at full speed.
    slower: f64,
    penalty: f64,
}

impl Known {
    fn new(scenario: &Scenario, executor: usize) -> Self {
        let lambdas = &scenario.lambdas;
        let mean = |lambda: usize| {
            scenario.service.mean() * lambdas[lambda].size / scenario.speed(executor, lambda)
        };
        let own: Box<[f64]> = (0..lambdas.len()).map(mean).collect();
        let shares: f64 = lambdas.iter().map(|lambda| lambda.share).sum();
        let asked_for = lambdas.iter().map(|lambda| lambda.share / shares);
        let any: f64 = own
            .iter()
            .zip(asked_for)
            .map(|(own, share)| own * share)
            .sum();
        let workers = f64::from(scenario.workers_of(executor));
        Known {
            workers,
            own,
            any: any / workers,
            committed: 0,
            slower: 1.0,
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
            own + self.any * (after - self.workers).max(0.0)
        };
        there * self.slower + self.penalty
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
        let factor = state.factor();
        // Who makes no progress has a penalty instead.
        known.slower = if factor > 0.0 { 1.0 / factor } else { 1.0 };
        known.penalty = penalty(state);
        self.update(executor as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::course::requests;
    use crate::sim::events::Events;
    use crate::sim::job::Jobs;

    struct World {
        oracle: Oracle,
        executors: Vec<Executor>,
        jobs: Jobs,
        events: Events,
    }

    impl World {
        /// Three executors, the first the fastest, the last the slowest.
        fn new() -> Self {
            let scenario = Scenario {
                speeds: vec![4.0, 2.0, 1.0],
                ..Scenario::default()
            };
            let mut jobs = Jobs::default();
            let topology = Topology::new(&scenario, 1);
            let request = requests(&scenario, &topology, 1).next();
            jobs.add(&request.expect("there is no end of them"), true);
            World {
                oracle: Oracle::new(&scenario, &topology),
                executors: (0..3).map(|n| Executor::new(&scenario, n)).collect(),
                jobs,
                events: Events::default(),
            }
        }

        fn choice(&mut self, tried: &[u64]) -> Option<usize> {
            let mut excluded = Tried::new();
            tried.iter().for_each(|id| excluded.push(*id));
            self.oracle.choose(&self.jobs[0], &excluded)
        }

        fn disturb(&mut self, executor: u32, factor: f64, fails: f64) {
            let state = &mut self.executors[executor as usize];
            state.set_factor(factor, 0, &mut self.jobs, &mut self.events);
            state.set_fails(fails);
            self.oracle.disturbed(executor, state);
        }
    }

    #[test]
    fn what_is_under_way_there_counts_until_it_has_ended() {
        let mut world = World::new();
        assert_eq!(world.choice(&[]), Some(0));
        // The third takes three quarters of a mean service there, a half elsewhere.
        world.oracle.sent(0);
        world.oracle.sent(0);
        assert_eq!(world.choice(&[]), Some(1));
        world.oracle.ended(0);
        assert_eq!(world.choice(&[]), Some(0));
    }

    #[test]
    fn one_that_makes_no_progress_is_the_last_but_for_those_that_fail() {
        let mut world = World::new();
        world.disturb(0, 1.0, 1.0);
        world.disturb(1, 0.0, 0.0);
        assert_eq!(world.choice(&[]), Some(2));
        assert_eq!(world.choice(&[2]), Some(1));
        assert_eq!(world.choice(&[2, 1]), Some(0));
        assert_eq!(world.choice(&[2, 1, 0]), None);
        world.disturb(0, 1.0, 0.0);
        assert_eq!(world.choice(&[]), Some(0));
    }

    #[test]
    fn a_slower_one_is_chosen_as_what_it_is() {
        let mut world = World::new();
        world.disturb(0, 0.125, 0.0);
        assert_eq!(world.choice(&[]), Some(1));
        assert_eq!(world.choice(&[1]), Some(2));
    }
}
