//! Runs every scenario with every contender and seed, on as many threads as wanted.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::design;
use super::factor::Levels;
use super::lineup::Entry;
use crate::sim::Outcome;
use crate::sim::course::Course;
use crate::sim::engine;
use crate::sim::job::Jobs;

/// What is to be run: the product of its three lists.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Indices into the design.
    pub(crate) scenarios: Vec<usize>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) seeds: RangeInclusive<u64>,
}

/// What came of a plan.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) plan: Plan,
    /// Seeds innermost, then entries, scenarios outermost.
    outcomes: Vec<Outcome>,
    /// By entry.
    pub(crate) costs: Vec<Cost>,
}

/// What the simulation took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Simulated requests, those of the warm-up included.
    pub(crate) requests: u64,
    /// CPU time of the simulating threads, in seconds. Other load on the machine does not count.
    pub(crate) cpu_seconds: f64,
}

impl Cost {
    pub(crate) fn requests_per_second_and_core(&self) -> f64 {
        self.requests as f64 / self.cpu_seconds
    }
}

impl std::ops::Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            requests: self.requests + other.requests,
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
        }
    }
}

impl Plan {
    pub(crate) fn seed_count(&self) -> usize {
        self.seeds.clone().count()
    }

    pub(crate) fn run_count(&self) -> usize {
        self.scenarios.len() * self.entries.len() * self.seed_count()
    }

    /// Simulates all of it on `jobs` threads. Each run depends only on its scenario, contender and
    /// seed, so the result is the same for any number of threads. `after_each` is called after each
    /// run, on its thread. `None` if `stop` was set meanwhile: runs that have begun end first.
    ///
    /// # Errors
    /// Threads cannot be started.
    pub(crate) fn run(
        self,
        jobs: usize,
        stop: &AtomicBool,
        after_each: impl Fn() + Sync,
    ) -> anyhow::Result<Option<Runs>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        let courses = self.scenarios.len() * self.seed_count();
        let finished: Option<Vec<Vec<(Outcome, Cost)>>> = pool.install(|| {
            (0..courses)
                .into_par_iter()
                .with_max_len(1)
                .map(|course| self.simulate(course, stop, &after_each))
                .collect()
        });
        Ok(finished.map(|finished| self.sorted(&finished)))
    }

    /// Scenario and seed of a course; these are counted with seeds innermost.
    fn course(&self, course: usize) -> (usize, u64) {
        let seeds = self.seed_count();
        let seed = self.seeds.start() + (course % seeds) as u64;
        (self.scenarios[course / seeds], seed)
    }

    /// All entries on one course, whose making they share. `None` if it was stopped.
    fn simulate(
        &self,
        course: usize,
        stop: &AtomicBool,
        after_each: impl Fn(),
    ) -> Option<Vec<(Outcome, Cost)>> {
        let (scenario, seed) = self.course(course);
        let scenario = design::scenario(&Levels::of(scenario), seed);
        let before = thread_seconds();
        let course = Course::new(&scenario, seed);
        let making = (thread_seconds() - before) / self.entries.len() as f64;
        let mut jobs = Jobs::default();
        let simulate = |entry: &Entry| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let before = thread_seconds();
            let outcome = engine::run_on(&course, &entry.contender, &mut jobs);
            let cost = Cost {
                requests: scenario.requests as u64,
                cpu_seconds: thread_seconds() - before + making,
            };
            after_each();
            Some((outcome, cost))
        };
        self.entries.iter().map(simulate).collect()
    }

    /// What came of each course, in the order of [`Runs::outcomes`].
    fn sorted(self, finished: &[Vec<(Outcome, Cost)>]) -> Runs {
        let mut costs = vec![Cost::default(); self.entries.len()];
        let mut outcomes = Vec::with_capacity(self.run_count());
        for seeds in finished.chunks(self.seed_count()) {
            for (entry, cost_of_entry) in costs.iter_mut().enumerate() {
                for (outcome, cost) in seeds.iter().map(|entries| &entries[entry]) {
                    outcomes.push(outcome.clone());
                    *cost_of_entry = *cost_of_entry + *cost;
                }
            }
        }
        Runs {
            plan: self,
            outcomes,
            costs,
        }
    }
}

impl Runs {
    /// Of outcomes that were not simulated here; each entry has cost half a second for 100 requests.
    #[cfg(test)]
    pub(crate) fn new(plan: Plan, outcomes: Vec<Outcome>) -> Self {
        assert_eq!(outcomes.len(), plan.run_count());
        Runs {
            costs: vec![
                Cost {
                    requests: 100,
                    cpu_seconds: 0.5,
                };
                plan.entries.len()
            ],
            plan,
            outcomes,
        }
    }

    /// The outcomes of one scenario and entry, both counted as in the plan, by seed.
    pub(crate) fn by_seed(&self, scenario: usize, entry: usize) -> &[Outcome] {
        let seeds = self.plan.seed_count();
        let first = (scenario * self.plan.entries.len() + entry) * seeds;
        &self.outcomes[first..first + seeds]
    }
}

/// CPU time of this thread so far.
fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::super::{comparison::Comparison, rows, sample};
    use super::*;

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let csv = |jobs| {
            let runs = sample::simulated(jobs);
            let mut csv = Vec::new();
            rows::write(&rows::rows(&Comparison::of(&runs).unwrap()), &mut csv).unwrap();
            (runs.outcomes, csv)
        };
        assert_eq!(csv(1), csv(2));
    }

    #[test]
    fn a_stop_ends_it_without_a_result() {
        let runs = sample::runs(&[0, 1], 2, |_, _, _| 1.0);
        assert!(
            runs.plan
                .run(2, &AtomicBool::new(true), || ())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn outcomes_are_found_by_scenario_and_entry() {
        let runs = sample::runs(&[4, 9], 3, |scenario, name, seed| {
            (scenario * 100 + name.len() * 10) as f64 + seed as f64
        });
        let name = runs.plan.entries[1].name;
        let p99: Vec<f64> = runs
            .by_seed(1, 1)
            .iter()
            .map(|outcome| outcome.p99)
            .collect();
        let first = (900 + name.len() * 10) as f64;
        assert_eq!(p99, [first + 1.0, first + 2.0, first + 3.0]);
    }
}
