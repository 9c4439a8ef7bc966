//! How policies are named and parametrised in configurations.

use super::predicted_completion::Acceptability;
use super::{EstimatorConfig, Policy};
use super::{
    least_cost, least_impedance, predicted_completion, proportional_fairness, random, round_robin,
};
use std::fmt;
use thiserror::Error;

/// Which policy a table chooses by. A weight is a cost: smaller is better.
///
/// | policy | use it when | learns from |
/// |---|---|---|
/// | predicted completion | always, unless there is a reason not to | everything that answers report |
/// | least cost | destinations report nothing and simplicity is wanted | latencies and requests in flight |
/// | random | a static share of traffic inverse to the weights is wanted | weights |
/// | least impedance | the best is to take it all, the others are spares | weights |
/// | round robin | fairness among the good ones matters, as in the C++ reference's experiments | weights |
/// | proportional fairness | the trade between fairness and speed is to be set by hand | weights |
///
/// Random, least impedance, round robin and proportional fairness are those of the C++ reference. On
/// their own they see neither load nor latency;
/// an [`Optimizer`](crate::Optimizer) turns latencies into weights for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolicyConfig {
    /// The earliest predicted answer, on condition that the destination agrees.
    PredictedCompletion(Acceptability),
    /// The smallest expected latency times requests in flight.
    LeastCost,
    /// Each with a probability inverse to its weight.
    Random,
    /// The smallest weight.
    LeastImpedance,
    /// In turn, as often as their weights allow, among those within twice the smallest weight.
    RoundRobin,
    /// The largest of speed to the power `alpha` over service received to the power `beta`.
    ProportionalFairness {
        /// How much speed counts, at least 0.
        alpha: f64,
        /// How much fairness counts, at least 0.
        beta: f64,
    },
    /// The smallest prediction of an estimator: for dispatchers, and in none of the names here.
    Estimator(EstimatorConfig),
}

/// Why there is no policy to a configuration.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum InvalidPolicy {
    /// The type is none of [`PolicyConfig::NAMES`].
    #[error("Invalid forwarding table type '{0}'")]
    UnknownType(String),
    /// Proportional fairness needs both exponents.
    #[error("No value found for key: {0}")]
    MissingKey(&'static str),
    /// An exponent is negative or not a finite number.
    #[error("Invalid value for key {key}: {value}, must be a finite number that is not negative")]
    InvalidExponent {
        /// `alpha` or `beta`.
        key: &'static str,
        /// What was given.
        value: f64,
    },
}

impl PolicyConfig {
    /// The type strings of all policies, the default first.
    pub const NAMES: [&'static str; 6] = [
        "predicted-completion",
        "least-cost",
        "random",
        "least-impedance",
        "round-robin",
        "proportional-fairness",
    ];

    /// The policy of that type string; `alpha` and `beta` matter to proportional fairness only and
    /// are ignored, even if absurd, by the others.
    ///
    /// # Errors
    /// An unknown type, and for proportional fairness exponents that are missing or out of range.
    pub fn from_name(
        name: &str,
        alpha: Option<f64>,
        beta: Option<f64>,
    ) -> Result<Self, InvalidPolicy> {
        match name {
            "predicted-completion" => Ok(PolicyConfig::default()),
            "least-cost" => Ok(PolicyConfig::LeastCost),
            "random" => Ok(PolicyConfig::Random),
            "least-impedance" => Ok(PolicyConfig::LeastImpedance),
            "round-robin" => Ok(PolicyConfig::RoundRobin),
            "proportional-fairness" => {
                let alpha = exponent("alpha", alpha)?;
                let beta = exponent("beta", beta)?;
                Ok(PolicyConfig::ProportionalFairness { alpha, beta })
            }
            _ => Err(InvalidPolicy::UnknownType(name.to_owned())),
        }
    }

    /// The type string.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            PolicyConfig::PredictedCompletion(_) => "predicted-completion",
            PolicyConfig::LeastCost => "least-cost",
            PolicyConfig::Random => "random",
            PolicyConfig::LeastImpedance => "least-impedance",
            PolicyConfig::RoundRobin => "round-robin",
            PolicyConfig::ProportionalFairness { .. } => "proportional-fairness",
            PolicyConfig::Estimator(estimator) => estimator.name(),
        }
    }

    /// Fresh state for one lambda.
    pub(crate) fn build(self) -> Box<dyn Policy> {
        match self {
            PolicyConfig::PredictedCompletion(acceptability) => Box::new(
                predicted_completion::PredictedCompletion::new(acceptability),
            ),
            PolicyConfig::LeastCost => Box::new(least_cost::LeastCost),
            PolicyConfig::Random => Box::new(random::Random),
            PolicyConfig::LeastImpedance => Box::new(least_impedance::LeastImpedance),
            PolicyConfig::RoundRobin => Box::new(round_robin::RoundRobin::default()),
            PolicyConfig::ProportionalFairness { alpha, beta } => Box::new(
                proportional_fairness::ProportionalFairness::new(alpha, beta),
            ),
            PolicyConfig::Estimator(estimator) => estimator.build(),
        }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        PolicyConfig::PredictedCompletion(Acceptability::default())
    }
}

fn exponent(key: &'static str, value: Option<f64>) -> Result<f64, InvalidPolicy> {
    match value {
        None => Err(InvalidPolicy::MissingKey(key)),
        Some(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Some(value) => Err(InvalidPolicy::InvalidExponent { key, value }),
    }
}

impl fmt::Display for PolicyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let PolicyConfig::ProportionalFairness { alpha, beta } = self {
            write!(f, ",alpha={alpha},beta={beta}")?;
        }
        Ok(())
    }
}
