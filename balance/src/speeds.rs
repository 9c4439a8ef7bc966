//! Whether destinations are equally fast, as far as anybody can tell.
//!
//! Where they are, what averages of service times differ by is noise: with exponential service times
//! a tenth of them, as much as one request in ten that wait. A mean over all is the better estimate of each
//! then (James and Stein, "Estimation with quadratic loss", 1961). But where they are not, that
//! would hide what the averages are there to tell. So it is used only
//! * while the averages are not further from the mean than the scatter of the samples in them
//!   explains: on average over answers, the squared distance is that of chance (an F test), and
//! * by a destination whose own average does not stand out. One that becomes slow does so with its
//!   first answers that are, and is judged by them at once.

use crate::stamp::{pack, unpack};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weight of a new sample in what is known of all destinations: slow, since it is the same for all.
const WEIGHT: f32 = 1.0 / 512.0;
/// Averages of fewer samples than this tell too little of a difference.
const FEWEST_SAMPLES: u32 = 32;
/// So many answers are looked at before anything is concluded.
const FEWEST_ANSWERS: u32 = 64;
/// Mean squared distance from the mean, in units of what chance explains, below which destinations
/// begin to be taken for equal,
const EQUAL: f32 = 1.0;
/// and from which they are not any more.
const UNEQUAL: f32 = 1.25;
/// A single answer counts for no more than this in it: one destination in trouble leaves the others equal.
const FARTHEST: f32 = 6.0;
/// Squared distance, in the same units, up to which an average is believed to be the mean,
const NEAR: f32 = 6.0;
/// and from which it stands for itself.
const FAR: f32 = 9.0;
/// Variance of an average that is always assumed, relative to the square of the mean: differences
/// of 2 % do not matter.
const LEAST_VARIANCE: f32 = 0.0004;
/// Nothing is so variable that one sample tells more of its variance, relative to its square.
const MOST_SCATTER: f32 = 1024.0;
/// In [`Speeds::answers`]: destinations are taken for equal.
const ARE_EQUAL: u32 = 1 << 31;

/// What the service times of all destinations of a broker have in common, and whether they differ.
#[derive(Debug, Default)]
pub(crate) struct Speeds {
    /// Mean service time in seconds (f32) | number of samples, up to those that matter.
    mean: AtomicU64,
    /// Variance of a service time, relative to the square of the mean at its destination (f32) |
    /// squared distance of averages from the mean, in units of what chance explains (f32).
    scatter: AtomicU64,
    /// Number of answers in the scatter, up to those that matter, and [`ARE_EQUAL`].
    answers: AtomicU32,
}

/// The average of service times at one destination, in seconds, and the sample that moved it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) before: f32,
    pub(crate) sample: f32,
    pub(crate) after: f32,
    /// Samples in it.
    pub(crate) samples: u32,
    /// Weight of a new one when there are many.
    pub(crate) weight: f32,
}

impl Speeds {
    /// Takes a sample, and returns the service time to expect at its destination.
    pub(crate) fn expected(&self, moved: Moved) -> f32 {
        let mean = self.mean(moved.sample);
        if moved.samples < FEWEST_SAMPLES {
            return moved.after;
        }
        let (scatter, apart) = unpack(self.scatter.load(Relaxed));
        let (scatter, apart) = (f32::from_bits(scatter), f32::from_bits(apart));
        let answers = self.answers.load(Relaxed);
        let counted = (answers & !ARE_EQUAL) + 1;
        let weight = weight(counted);

        let deviation = moved.sample / moved.before - 1.0;
        let squared = (deviation * deviation).min(MOST_SCATTER);
        let scatter = scatter + weight * (squared - scatter);
        // Of a moving average that is half the weight of a new sample.
        let share = (0.5 * moved.weight).max(1.0 / moved.samples as f32);
        let chance = (scatter * share).max(LEAST_VARIANCE);
        let off = moved.after / mean - 1.0;
        let distance = off * off / chance;
        let apart = apart + weight * (distance.min(FARTHEST) - apart);
        self.scatter
            .store(pack(scatter.to_bits(), apart.to_bits()), Relaxed);

        let limit = if answers & ARE_EQUAL == 0 {
            EQUAL
        } else {
            UNEQUAL
        };
        let equal = counted > FEWEST_ANSWERS && apart < limit;
        let flag = if equal { ARE_EQUAL } else { 0 };
        let now = counted.min(ENOUGH) | flag;
        if now != answers {
            self.answers.store(now, Relaxed);
        }
        if !equal {
            return moved.after;
        }
        let kept = ((distance - NEAR) / (FAR - NEAR)).clamp(0.0, 1.0);
        mean + (moved.after - mean) * kept
    }

    /// The mean with this sample.
    fn mean(&self, sample: f32) -> f32 {
        let (mean, samples) = unpack(self.mean.load(Relaxed));
        let (mean, samples) = (f32::from_bits(mean), samples + 1);
        let mean = mean + weight(samples) * (sample - mean);
        let word = pack(mean.to_bits(), samples.min(ENOUGH));
        self.mean.store(word, Relaxed);
        mean
    }
}

/// From so many samples on each weighs [`WEIGHT`].
const ENOUGH: u32 = (1.0 / WEIGHT) as u32;

/// Weight of the `k`-th sample.
#[inline]
fn weight(k: u32) -> f32 {
    if k >= ENOUGH { WEIGHT } else { 1.0 / k as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::average::taken;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg32;

    const SAMPLE_WEIGHT: f32 = 0.02;

    /// Destinations of some mean service times, which answer in turn.
    struct Answering {
        speeds: Speeds,
        rng: Pcg32,
        /// Of each what was measured, of how many samples, and what is expected.
        known: Vec<(f32, u32, f32)>,
    }

    impl Answering {
        fn new(destinations: usize) -> Self {
            Answering {
                speeds: Speeds::default(),
                rng: Pcg32::seed_from_u64(7),
                known: vec![(0.0, 0, 0.0); destinations],
            }
        }

        fn answer(&mut self, destination: usize, sample: f32) {
            let (before, samples, _) = self.known[destination];
            let (after, samples) = taken(before, samples, sample, SAMPLE_WEIGHT);
            let expected = self.speeds.expected(Moved {
                before,
                sample,
                after,
                samples,
                weight: SAMPLE_WEIGHT,
            });
            self.known[destination] = (after, samples, expected);
        }

        /// So many answers of each, exponentially distributed.
        fn run(&mut self, means: &[f32], answers: usize) {
            for _ in 0..answers {
                for (destination, mean) in means.iter().enumerate() {
                    let sample = -mean * (1.0 - self.rng.random::<f32>()).ln();
                    self.answer(destination, sample.max(1e-6));
                }
            }
        }

        /// Largest by smallest: of what was measured, of what is expected.
        fn spreads(&self) -> (f32, f32) {
            let spread = |of: fn(&(f32, u32, f32)) -> f32| {
                let all = || self.known.iter().map(of);
                all().fold(0.0, f32::max) / all().fold(f32::INFINITY, f32::min)
            };
            (spread(|known| known.0), spread(|known| known.2))
        }
    }

    #[test]
    fn of_equal_ones_the_same_is_expected_whatever_was_measured_of_each() {
        let mut equal = Answering::new(8);
        equal.run(&[0.01; 8], 200);
        let mut measured = 1.0_f32;
        for _ in 0..50 {
            equal.run(&[0.01; 8], 10);
            let (apart, expected) = equal.spreads();
            measured = measured.max(apart);
            assert!(expected < 1.05, "{expected}, measured {apart}");
        }
        assert!(measured > 1.3, "{measured}");
    }

    #[test]
    fn of_unequal_ones_what_was_measured_is_expected_of_each() {
        let mut unequal = Answering::new(4);
        let means = [0.005, 0.007, 0.01, 0.014];
        unequal.run(&means, 200);
        for _ in 0..50 {
            unequal.run(&means, 10);
            for (measured, _, expected) in &unequal.known {
                assert_eq!(measured, expected);
            }
        }
    }

    #[test]
    fn one_that_becomes_slow_stands_for_itself_after_a_few_answers_and_the_others_are_equal() {
        let mut one_slow = Answering::new(8);
        one_slow.run(&[0.01; 8], 300);
        for _ in 0..4 {
            one_slow.answer(0, 0.08);
        }
        let (measured, _, expected) = one_slow.known[0];
        assert!(measured > 0.014);
        assert_eq!(measured, expected);
        let others = Answering {
            known: one_slow.known.split_off(1),
            ..one_slow
        };
        assert!(others.spreads().1 < 1.05, "{:?}", others.known);
    }

    #[test]
    fn one_that_never_varies_stands_for_itself_with_its_first_slow_answer() {
        let mut constant = Answering::new(4);
        for _ in 0..200 {
            for destination in 0..4 {
                constant.answer(destination, 0.01);
            }
        }
        constant.answer(0, 0.08);
        let (measured, _, expected) = constant.known[0];
        assert!((measured - expected).abs() < 1e-6, "{measured} {expected}");
        assert!(expected > 0.011);
    }

    #[test]
    fn few_samples_tell_of_no_difference_and_are_believed() {
        let mut few = Answering::new(64);
        few.run(&[0.01; 64], 31);
        for (measured, _, expected) in &few.known {
            assert_eq!(measured, expected);
        }
    }
}
