//! What the antagonist does in a run: four disturbances one after the other, never two at once.

use rand::RngExt as _;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::SeedableRng as _;

use crate::sim::scenario::{Antagonist, Disturbance};

/// Start and length of each disturbance as shares of the run, all after the warm-up.
const SLOW_DOWN: (f64, f64) = (0.20, 0.20);
const PAUSE: (f64, f64) = (0.50, 0.05);
const CRASH: (f64, f64) = (0.62, 0.05);
const FAIL_FAST: (f64, f64) = (0.75, 0.10);

/// How long an executor pauses, in seconds, where 5 % of the run is more.
const LONGEST_PAUSE: f64 = 1.0;
/// How many times slower a slowed executor is.
const SLOWER: f64 = 8.0;

/// The disturbances of a run of that many seconds, each on an executor of its own as far as there
/// are enough: two executors take turns. The seed chooses the executors.
pub(crate) fn schedule(executors: usize, seconds: f64, seed: u64) -> Vec<Antagonist> {
    let pause = (PAUSE.0, PAUSE.1.min(LONGEST_PAUSE / seconds));
    let disturbances = [
        (SLOW_DOWN, Disturbance::SlowDown(SLOWER)),
        (pause, Disturbance::Pause),
        (CRASH, Disturbance::Crash),
        (FAIL_FAST, Disturbance::FailFast(1.0)),
    ];
    let victims = victims(executors, disturbances.len(), seed);
    disturbances
        .into_iter()
        .zip(victims)
        .map(|(((from, length), kind), executor)| Antagonist {
            executor,
            from,
            to: from + length,
            kind,
        })
        .collect()
}

/// A random order of the executors, repeated as often as it takes.
fn victims(executors: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = Pcg32::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..executors).collect();
    for place in 0..executors.min(count) {
        let chosen = rng.random_range(place..executors);
        order.swap(place, chosen);
    }
    order.into_iter().cycle().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disturbances_follow_each_other_after_the_warm_up_and_within_the_run() {
        for seconds in [1.0, 5.0, 300.0] {
            let schedule = schedule(8, seconds, 1);
            assert_eq!(schedule.len(), 4);
            assert!(schedule[0].from > 0.15);
            assert!(schedule.iter().all(|one| one.from < one.to && one.to < 1.0));
            assert!(schedule.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
    }

    #[test]
    fn a_pause_lasts_a_second_but_no_more_than_a_twentieth_of_the_run() {
        let length = |seconds: f64| {
            let schedule = schedule(8, seconds, 1);
            (schedule[1].to - schedule[1].from) * seconds
        };
        assert!((length(100.0) - 1.0).abs() < 1e-9);
        assert!((length(4.0) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn victims_are_distinct_as_far_as_possible_and_depend_on_the_seed() {
        let chosen = |executors, seed| -> Vec<usize> {
            schedule(executors, 10.0, seed)
                .iter()
                .map(|one| one.executor)
                .collect()
        };
        for seed in 1..20 {
            let mut eight = chosen(8, seed);
            assert_eq!(eight, chosen(8, seed));
            eight.sort_unstable();
            eight.dedup();
            assert_eq!(eight.len(), 4);
            let two = chosen(2, seed);
            assert!(two[0] != two[1] && two[..2] == two[2..]);
        }
        assert!((1..20).any(|seed| chosen(64, seed) != chosen(64, 0)));
        assert!((1..20).any(|seed| chosen(2, seed)[0] == 0));
        assert!((1..20).any(|seed| chosen(2, seed)[0] == 1));
    }
}
