//! When requests are due: gaps of constant, uniform or exponential length, fixed by a seed.

use std::time::Duration;

use clap::ValueEnum;
use rand::RngExt as _;
use rand_distr::Exp1;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::random::{Variable, generator};

/// Later than any run lasts; keeps sums of gaps within what clocks can express.
const NEVER_S: f64 = 1e10;

/// How the gaps of an open loop are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// All gaps are equal.
    #[default]
    Constant,
    /// Exponential gaps: requests of many independent clients.
    Poisson,
}

/// How the gaps of one closed-loop client are distributed, as in the C++ reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InterRequestType {
    /// The inter-request time.
    #[default]
    Constant,
    /// Uniform between zero and twice the inter-request time.
    Uniform,
    /// Exponential; its mean is the inter-request time.
    Poisson,
}

/// The gaps between the requests of one closed-loop client.
#[derive(Debug)]
pub(crate) struct Gaps {
    distribution: InterRequestType,
    mean: Duration,
    random: Pcg64,
}

impl Gaps {
    pub(crate) fn new(
        distribution: InterRequestType,
        mean: Duration,
        seed: u64,
        instance: u64,
    ) -> Self {
        Self {
            distribution,
            mean,
            random: generator(seed, instance, Variable::Gap),
        }
    }

    pub(crate) fn draw(&mut self) -> Duration {
        let factor = match self.distribution {
            InterRequestType::Constant => return self.mean,
            InterRequestType::Uniform => self.random.random_range(0.0..=2.0),
            InterRequestType::Poisson => self.random.sample(Exp1),
        };
        seconds(self.mean.as_secs_f64() * factor)
    }
}

/// The instants at which the requests of an open loop are due, as time since
/// the beginning of the run; never decreasing, endless.
#[derive(Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    rate: f64,
    number: u64,
    at_s: f64,
    random: Pcg64,
}

impl Schedule {
    /// `rate` requests per second, on average.
    pub(crate) fn new(arrivals: Arrivals, rate: f64, seed: u64) -> Self {
        Self {
            arrivals,
            rate,
            number: 0,
            at_s: 0.0,
            random: generator(seed, 0, Variable::Gap),
        }
    }

    /// When the next request is due. Constant arrivals begin at once, those of
    /// a Poisson process after a first gap.
    pub(crate) fn next(&mut self) -> Duration {
        #[allow(
            clippy::cast_precision_loss,
            reason = "exact for the first 2^53 requests"
        )]
        let number = self.number as f64;
        self.number += 1;
        match self.arrivals {
            // Not summed up, so that rounding errors do not add up.
            Arrivals::Constant => self.at_s = number / self.rate,
            Arrivals::Poisson => {
                let gap: f64 = self.random.sample(Exp1);
                self.at_s += gap / self.rate;
            }
        }
        seconds(self.at_s)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.min(NEVER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Duration = Duration::from_millis(10);

    fn gaps(distribution: InterRequestType, seed: u64) -> Vec<f64> {
        let mut gaps = Gaps::new(distribution, MEAN, seed, 0);
        (0..20_000).map(|_| gaps.draw().as_secs_f64()).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        let squares: Vec<_> = values.iter().map(|value| (value - mean).powi(2)).collect();
        self::mean(&squares).sqrt()
    }

    /// Checks mean and standard deviation, both in seconds, to within 3 %.
    fn check(values: &[f64], expected_mean: f64, expected_deviation: f64) {
        let (mean, deviation) = (mean(values), deviation(values));
        assert!((mean / expected_mean - 1.0).abs() < 0.03, "mean {mean}");
        let difference = (deviation - expected_deviation).abs();
        assert!(difference <= 0.03 * expected_mean, "deviation {deviation}");
    }

    #[test]
    fn closed_loop_gaps_have_the_mean_and_spread_of_their_distribution() {
        check(&gaps(InterRequestType::Constant, 1), 0.01, 0.0);
        check(
            &gaps(InterRequestType::Uniform, 1),
            0.01,
            0.02 / 12f64.sqrt(),
        );
        check(&gaps(InterRequestType::Poisson, 1), 0.01, 0.01);
        let uniform = gaps(InterRequestType::Uniform, 1);
        assert!(uniform.iter().all(|&gap| gap <= 0.02));
    }

    #[test]
    fn the_seed_fixes_the_gaps() {
        let of = |seed| gaps(InterRequestType::Poisson, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn clients_of_one_run_differ() {
        let mut first = Gaps::new(InterRequestType::Poisson, MEAN, 1, 0);
        let mut second = Gaps::new(InterRequestType::Poisson, MEAN, 1, 1);
        assert_ne!(first.draw(), second.draw());
    }

    #[test]
    fn a_constant_rate_hits_its_instants_without_drift() {
        let mut schedule = Schedule::new(Arrivals::Constant, 3.0, 0);
        let instants: Vec<_> = (0..3_000_001).map(|_| schedule.next()).collect();
        assert_eq!(instants[0], Duration::ZERO);
        assert_eq!(instants[3], Duration::from_secs(1));
        assert_eq!(instants[3_000_000], Duration::from_secs(1_000_000));
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps_at_the_rate_and_repeat() {
        let instants = |seed| -> Vec<f64> {
            let mut schedule = Schedule::new(Arrivals::Poisson, 100.0, seed);
            (0..20_000).map(|_| schedule.next().as_secs_f64()).collect()
        };
        let gaps: Vec<_> = instants(1)
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        check(&gaps, 0.01, 0.01);
        assert_eq!(instants(1), instants(1));
        assert_ne!(instants(1), instants(2));
    }

    #[test]
    fn absurdly_low_rates_are_never_due() {
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            let mut schedule = Schedule::new(arrivals, 1e-300, 0);
            schedule.next();
            assert_eq!(schedule.next(), Duration::from_secs_f64(NEVER_S));
        }
    }
}
