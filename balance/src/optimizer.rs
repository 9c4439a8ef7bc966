//! Optimizers: turn latencies into weights, for the policies that only look at weights.

use crate::{ForwardingTable, Nanos, Picked};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Which optimizer a table gets; those of the C++ reference.
///
/// With the `least-cost` policy none is needed: it learns by itself, and its announced weights,
/// which is what an optimizer would set, matter only until something was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum OptimizerConfig {
    /// Weights stay as announced.
    #[default]
    None,
    /// Every period the weight becomes a statistic of the period's samples; a destination without
    /// any keeps its weight.
    Trivial {
        /// Above 0; the reference's default is 10 s.
        period: Nanos,
        /// The reference's default is the mean.
        statistic: Statistic,
    },
    /// After each sample the weight becomes a moving average.
    Async {
        /// Weight of the old value, from 0 to 1; published experiments use 0.95. The first sample,
        /// and the first one after 5 s without, is taken as it is.
        alpha: f64,
    },
    /// After each sample the weight becomes that sample; meant for proportional fairness.
    AsyncPf,
}

/// What the trivial optimizer makes of the samples of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statistic {
    /// Their mean.
    #[default]
    Mean,
    /// The smallest one.
    Min,
    /// The largest one.
    Max,
}

/// Why there is no optimizer to a configuration.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum InvalidOptimizer {
    /// The type is none of [`OptimizerConfig::NAMES`].
    #[error("Invalid local optimizer type: {0}")]
    UnknownType(String),
    /// The statistic is none of [`Statistic::NAMES`].
    #[error("Invalid stat: {0}")]
    UnknownStatistic(String),
    /// The type needs a value that was not given.
    #[error("No value found for key: {0}")]
    MissingKey(&'static str),
    /// The period, in seconds, is not a finite number above 0.
    #[error("Invalid value for key period: {0}, must be a finite number of seconds above 0")]
    InvalidPeriod(f64),
    /// Alpha is not within its range.
    #[error("Invalid value for key alpha: {0}, must be from 0 to 1")]
    InvalidAlpha(f64),
}

impl Statistic {
    /// Their names, in the order of declaration.
    pub const NAMES: [&'static str; 3] = ["mean", "min", "max"];

    /// The statistic of that name.
    ///
    /// # Errors
    /// [`InvalidOptimizer::UnknownStatistic`].
    pub fn from_name(name: &str) -> Result<Self, InvalidOptimizer> {
        match name {
            "mean" => Ok(Statistic::Mean),
            "min" => Ok(Statistic::Min),
            "max" => Ok(Statistic::Max),
            _ => Err(InvalidOptimizer::UnknownStatistic(name.to_owned())),
        }
    }
}

impl OptimizerConfig {
    /// The type strings of all optimizers, the default first.
    pub const NAMES: [&'static str; 4] = ["none", "trivial", "async", "asyncPF"];

    /// The trivial one, `period` in seconds.
    ///
    /// # Errors
    /// A period that is not a finite number above 0.
    pub fn trivial(period: f64, statistic: Statistic) -> Result<Self, InvalidOptimizer> {
        if !period.is_finite() || Nanos::from_secs_f64(period) == Nanos::ZERO {
            return Err(InvalidOptimizer::InvalidPeriod(period));
        }
        Ok(OptimizerConfig::Trivial {
            period: Nanos::from_secs_f64(period),
            statistic,
        })
    }

    /// The moving average in which the old value weighs `alpha`.
    ///
    /// # Errors
    /// An `alpha` outside 0 to 1.
    pub fn moving_average(alpha: f64) -> Result<Self, InvalidOptimizer> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(InvalidOptimizer::InvalidAlpha(alpha));
        }
        Ok(OptimizerConfig::Async { alpha })
    }

    /// The optimizer of that type string, with the keys that its type needs: `period` (in seconds)
    /// and `stat` for `trivial`, `alpha` for `async`. Keys of other types are ignored.
    ///
    /// # Errors
    /// An unknown type or statistic, a missing key, a value out of range.
    pub fn from_name(
        name: &str,
        period: Option<f64>,
        stat: Option<&str>,
        alpha: Option<f64>,
    ) -> Result<Self, InvalidOptimizer> {
        match name {
            "none" => Ok(OptimizerConfig::None),
            "trivial" => {
                let period = period.ok_or(InvalidOptimizer::MissingKey("period"))?;
                let stat = stat.ok_or(InvalidOptimizer::MissingKey("stat"))?;
                OptimizerConfig::trivial(period, Statistic::from_name(stat)?)
            }
            "async" => {
                OptimizerConfig::moving_average(alpha.ok_or(InvalidOptimizer::MissingKey("alpha"))?)
            }
            "asyncPF" => Ok(OptimizerConfig::AsyncPf),
            _ => Err(InvalidOptimizer::UnknownType(name.to_owned())),
        }
    }
}

/// Sets the weights of one table from the latencies of its answers.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    period: Mutex<Period>,
}

/// What the trivial optimizer saw since its last tick.
#[derive(Debug, Default)]
struct Period {
    /// When the period is over; none before anything happened.
    ends: Option<Nanos>,
    samples: HashMap<String, HashMap<String, Samples, FixedState>, FixedState>,
}

#[derive(Debug)]
struct Samples {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Samples {
    fn of(sample: f64) -> Self {
        Samples {
            count: 1,
            sum: sample,
            min: sample,
            max: sample,
        }
    }

    fn add(&mut self, sample: f64) {
        self.count += 1;
        self.sum += sample;
        self.min = self.min.min(sample);
        self.max = self.max.max(sample);
    }

    fn statistic(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::Mean => self.sum / self.count as f64,
            Statistic::Min => self.min,
            Statistic::Max => self.max,
        }
    }
}

impl Optimizer {
    /// An optimizer without any samples.
    #[must_use]
    pub fn new(config: OptimizerConfig) -> Self {
        Optimizer {
            config,
            period: Mutex::default(),
        }
    }

    /// Takes the latency of the answer to a request, in seconds, if the answer was fine; one that is
    /// negative or no finite number is ignored. What is learnt about a route that the table no longer
    /// has is lost with it. Acknowledgements of asynchronous requests are not latencies: leave them
    /// out.
    pub fn record<'a>(&self, pick: impl Into<Picked<'a>>, seconds: f64, now: Nanos) {
        let Some(weight) = weight(seconds) else {
            return;
        };
        let pick = pick.into();
        match self.config {
            OptimizerConfig::None => (),
            OptimizerConfig::Trivial { period, .. } => {
                let destination = pick.destination().name();
                self.accumulate(period, pick.lambda(), destination, seconds, now);
            }
            OptimizerConfig::Async { alpha } => {
                pick.weigh(now, |route| route.smooth(weight, alpha, now));
            }
            OptimizerConfig::AsyncPf => pick.weigh(now, |_| weight),
        }
    }

    /// Sets the weights if a period is over; to be called when [`next_tick`](Self::next_tick) says.
    pub fn tick(&self, table: &ForwardingTable, now: Nanos) {
        let OptimizerConfig::Trivial { period, statistic } = self.config else {
            return;
        };
        let samples = {
            let mut current = self.lock();
            if now < *current.ends.get_or_insert(now + period) {
                return;
            }
            current.ends = Some(now + period);
            std::mem::take(&mut current.samples)
        };
        for (lambda, destinations) in &samples {
            for (destination, samples) in destinations {
                if let Some(weight) = weight(samples.statistic(statistic)) {
                    // A destination that vanished meanwhile must not keep the others from theirs.
                    let _vanished = table.update_weight(lambda, destination, weight, now);
                }
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do; never for those without a period. The first
    /// period starts with the first call of any method.
    #[must_use]
    pub fn next_tick(&self, now: Nanos) -> Option<Nanos> {
        let OptimizerConfig::Trivial { period, .. } = self.config else {
            return None;
        };
        Some(*self.lock().ends.get_or_insert(now + period))
    }

    fn accumulate(&self, period: Nanos, lambda: &str, destination: &str, sample: f64, now: Nanos) {
        let mut current = self.lock();
        current.ends.get_or_insert(now + period);
        let lambdas = &mut current.samples;
        // Two look-ups spare the allocation of names that are known, which is nearly all.
        if !lambdas.contains_key(lambda) {
            lambdas.insert(lambda.to_owned(), HashMap::default());
        }
        let Some(destinations) = lambdas.get_mut(lambda) else {
            return;
        };
        match destinations.get_mut(destination) {
            Some(samples) => samples.add(sample),
            None => {
                destinations.insert(destination.to_owned(), Samples::of(sample));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Period> {
        self.period.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The weight of a latency in seconds: at least a nanosecond, since a weight is above 0.
fn weight(seconds: f64) -> Option<f32> {
    let valid = seconds.is_finite() && seconds >= 0.0;
    valid.then(|| (seconds as f32).clamp(1e-9, f32::MAX))
}
