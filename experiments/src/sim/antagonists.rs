//! When antagonists start and end, and what those at work make of an executor together.

use super::scenario::{Antagonist, Disturbance, Scenario};

/// The antagonists of a run.
#[derive(Debug)]
pub(super) struct Antagonists<'a> {
    all: &'a [Antagonist],
    at_work: Vec<bool>,
    /// Expected length of the run in nanoseconds.
    length: f64,
}

/// What antagonists leave of an executor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Condition {
    /// Of its speed.
    pub(super) factor: f64,
    pub(super) down: bool,
    /// Probability of an error.
    pub(super) fails: f64,
}

impl<'a> Antagonists<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let all = &scenario.antagonists;
        Antagonists {
            all,
            at_work: vec![false; all.len()],
            length: scenario.requests as f64 / scenario.rate() * 1e9,
        }
    }

    /// Start and end of each, in nanoseconds, with its number.
    pub(super) fn schedule(&self) -> impl Iterator<Item = (u64, u32)> {
        let at = |share: f64| (share * self.length) as u64;
        (0..).zip(self.all).flat_map(move |(number, antagonist)| {
            [(at(antagonist.from), number), (at(antagonist.to), number)]
        })
    }

    /// Starts one that is not at work, ends one that is, and answers whom it concerns.
    pub(super) fn toggle(&mut self, number: u32) -> usize {
        let at_work = &mut self.at_work[number as usize];
        *at_work = !*at_work;
        self.all[number as usize].executor
    }

    pub(super) fn condition(&self, executor: usize) -> Condition {
        let mut condition = Condition {
            factor: 1.0,
            down: false,
            fails: 0.0,
        };
        for (antagonist, _) in self.all.iter().zip(&self.at_work).filter(|(_, on)| **on) {
            if antagonist.executor != executor {
                continue;
            }
            match antagonist.kind {
                Disturbance::SlowDown(times) => condition.factor /= times,
                Disturbance::Pause => condition.factor = 0.0,
                Disturbance::Crash => condition.down = true,
                Disturbance::FailFast(probability) => {
                    condition.fails = 1.0 - (1.0 - condition.fails) * (1.0 - probability);
                }
            }
        }
        condition
    }
}
