//! When antagonists start and end, and what those at work make of an executor together.

use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

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

impl FromStr for Antagonist {
    type Err = anyhow::Error;

    /// `executor:kind@from-to`, where the kind is `slow=times`, `pause`, `crash` or
    /// `fail=probability`, and from and to are shares of the run.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (executor, rest) = text
            .split_once(':')
            .context("an antagonist is written EXECUTOR:KIND@FROM-TO")?;
        let (kind, span) = rest.split_once('@').context("'@FROM-TO' is missing")?;
        let (from, to) = span.split_once('-').context("'-TO' is missing")?;
        let number = |text: &str| -> anyhow::Result<f64> {
            text.parse()
                .with_context(|| format!("'{text}' is not a number"))
        };
        let (from, to) = (number(from)?, number(to)?);
        ensure!(
            (0.0..1.0).contains(&from) && from < to && to <= 1.0,
            "the share of the run must be from 0 to 1, the smaller number first"
        );
        let kind = match kind.split_once('=') {
            None if kind == "pause" => Disturbance::Pause,
            None if kind == "crash" => Disturbance::Crash,
            Some(("slow", times)) => {
                let times = number(times)?;
                ensure!(times.is_finite() && times > 0.0, "a factor must be above 0");
                Disturbance::SlowDown(times)
            }
            Some(("fail", probability)) => {
                let probability = number(probability)?;
                ensure!(
                    (0.0..=1.0).contains(&probability),
                    "a probability must be from 0 to 1"
                );
                Disturbance::FailFast(probability)
            }
            _ => bail!("'{kind}' is none of slow=TIMES, pause, crash, fail=PROBABILITY"),
        };
        Ok(Antagonist {
            executor: executor
                .parse()
                .with_context(|| format!("'{executor}' is no number of an executor"))?,
            from,
            to,
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn antagonists_are_read_as_they_are_written() {
        let kinds = [
            ("slow=8", Disturbance::SlowDown(8.0)),
            ("pause", Disturbance::Pause),
            ("crash", Disturbance::Crash),
            ("fail=0.5", Disturbance::FailFast(0.5)),
        ];
        for (text, kind) in kinds {
            let read: Antagonist = format!("3:{text}@0.25-1").parse().unwrap();
            let expected = Antagonist {
                executor: 3,
                from: 0.25,
                to: 1.0,
                kind,
            };
            assert_eq!(read, expected);
        }
        for wrong in [
            "",
            "3",
            "3:pause",
            "3:pause@1",
            "3:pause@0.5-0.2",
            "x:crash@0-1",
        ] {
            assert!(wrong.parse::<Antagonist>().is_err(), "{wrong}");
        }
        for wrong in ["slow=0", "slow=NaN", "fail=2", "fail", "nap"] {
            assert!(
                format!("0:{wrong}@0-1").parse::<Antagonist>().is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_several_do_to_one_executor_adds_up_and_ends() {
        let read = |text: &str| text.parse().unwrap();
        let scenario = Scenario {
            antagonists: vec![
                read("0:slow=4@0-0.5"),
                read("0:slow=2@0-1"),
                read("0:crash@0.5-1"),
            ],
            ..Scenario::default()
        };
        let mut antagonists = Antagonists::new(&scenario);
        let nothing = antagonists.condition(0);
        assert_eq!(
            (nothing.factor, nothing.down, nothing.fails),
            (1.0, false, 0.0)
        );
        assert_eq!(antagonists.toggle(0), 0);
        antagonists.toggle(1);
        assert_eq!(antagonists.condition(0).factor, 1.0 / 8.0);
        antagonists.toggle(0);
        antagonists.toggle(2);
        let condition = antagonists.condition(0);
        assert!(condition.factor == 0.5 && condition.down);
    }
}
