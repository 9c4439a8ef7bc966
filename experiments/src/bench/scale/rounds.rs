//! Many short rounds, in each of which all routers are measured in turn: whatever else the machine does
//! hits all alike, and what it did in one round does not matter in the next.

use std::time::Duration;

use super::row::Load;
use super::site::Site;
use super::subject::{Sample, Subject};

/// How often each router is measured, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) count: usize,
    pub(super) length: Duration,
}

impl Rounds {
    /// Measures all `subjects` under this load, with requests for one of their lambdas or for all in
    /// turn: what was measured of each, round by round.
    pub(super) async fn measure(
        self,
        site: &Site,
        subjects: &[Subject],
        load: Load,
        lambda: Option<usize>,
    ) -> anyhow::Result<Vec<Vec<Sample>>> {
        site.keep_apart(subjects)?;
        for subject in subjects {
            let in_flight = Load::Busy.in_flight();
            subject.sample(lambda, in_flight, self.length).await?;
        }
        let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 0..self.count {
            for turn in 0..subjects.len() {
                let nth = whose_turn(round, turn, subjects.len());
                let subject = &subjects[nth];
                site.give_a_core(subject)?;
                let in_flight = load.in_flight();
                // The others have had the caches in the meantime.
                subject.sample(lambda, in_flight, self.length / 5).await?;
                samples[nth].push(subject.sample(lambda, in_flight, self.length).await?);
                site.take_the_core(subject)?;
            }
        }
        site.set_free(subjects)?;
        Ok(samples)
    }
}

/// To and fro, so that whatever changes steadily does not favour those that come first.
fn whose_turn(round: usize, turn: usize, all: usize) -> usize {
    match round % 2 {
        0 => turn,
        _ => all - 1 - turn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_in_each_round_and_nobody_always_comes_first() {
        let turns = |round| (0..3).map(move |turn| whose_turn(round, turn, 3));
        assert!(turns(0).eq([0, 1, 2]));
        assert!(turns(1).eq([2, 1, 0]));
        assert!(turns(2).eq(turns(0)));
    }
}
