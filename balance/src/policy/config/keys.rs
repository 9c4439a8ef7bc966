//! The parameters of policies by name: defaults and ranges.

use super::super::draw;
use super::super::predicted_completion::CompletionConfig;
use super::PolicyConfig;
use std::ops::RangeInclusive;
use thiserror::Error;

/// What a configuration may say about a policy beside its name. Keys of other policies are ignored,
/// even if absurd; absent ones have defaults, except `alpha` and `beta`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyKeys {
    /// Of `proportional-fairness`.
    pub alpha: Option<f64>,
    /// Of `proportional-fairness`.
    pub beta: Option<f64>,
    /// Of `predicted-completion`, see [`CompletionConfig::strictness`].
    pub strictness: Option<f64>,
    /// Of `predicted-completion`, see [`CompletionConfig::refusal_share`].
    pub refusal_share: Option<f64>,
    /// Of `predicted-completion`, see [`CompletionConfig::max_refusals`].
    pub max_refusals: Option<u32>,
    /// Of `power-of-d`.
    pub choices: Option<u32>,
    /// Of `least-request`.
    pub bias: Option<f64>,
    /// Of `predicted-completion`, see [`CompletionConfig::probes`], and of `prequal`.
    pub probes: Option<f64>,
    /// Of `c3`.
    pub clients: Option<u32>,
    /// Of `weighted-round-robin`.
    pub penalty: Option<f64>,
    /// Of `consistent-hash`.
    pub load_factor: Option<f64>,
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
    /// A parameter is too small, too large, or not a number.
    #[error("Invalid value for key {key}: {value}, must be between {smallest} and {largest}")]
    OutOfRange {
        /// Its key in configurations.
        key: &'static str,
        /// What was given.
        value: f64,
        /// The smallest value that is allowed.
        smallest: f64,
        /// The largest value that is allowed.
        largest: f64,
    },
}

/// Exponents beyond tell apart what no measurement does.
const EXPONENTS: RangeInclusive<f64> = 0.0..=1000.0;

impl PolicyConfig {
    /// Draws of `power-of-d` where nothing is said.
    pub const CHOICES: u32 = 3;
    /// Exponent of the load in `least-request` where nothing is said.
    pub const BIAS: f64 = 1.0;
    /// Probes that `prequal` sends per request where nothing is said.
    pub const PROBES: f64 = 3.0;
    /// Brokers that `c3` expects to behave alike where nothing is said.
    pub const CLIENTS: u32 = 1;
    /// What errors count for in `weighted-round-robin` where nothing is said.
    pub const PENALTY: f64 = 1.0;
    /// The bound of `consistent-hash` where nothing is said.
    pub const LOAD_FACTOR: f64 = 1.25;

    /// Whether all parameters are within their ranges; those of estimators need no check. A policy with a parameter that is not still
    /// chooses one of the candidates, though not as one might expect.
    ///
    /// # Errors
    /// [`InvalidPolicy::OutOfRange`] for the first parameter that is not.
    pub fn check(&self) -> Result<(), InvalidPolicy> {
        match *self {
            PolicyConfig::PredictedCompletion(config) => {
                let CompletionConfig {
                    strictness,
                    refusal_share,
                    max_refusals,
                    probes,
                } = config;
                within("strictness", strictness, 0.0..=100.0)?;
                within("refusal-share", refusal_share, 0.0..=1.0)?;
                within("max-refusals", max_refusals.into(), 0.0..=64.0)?;
                within("probes", probes, 0.0..=1.0)
            }
            PolicyConfig::PowerOfD { choices } => {
                within("choices", choices.into(), 2.0..=draw::MOST as f64)
            }
            PolicyConfig::LeastRequest { bias } => within("bias", bias, 0.0..=16.0),
            PolicyConfig::Prequal { probes } => within("probes", probes, 0.01..=16.0),
            PolicyConfig::C3 { clients } => within("clients", clients.into(), 1.0..=1e6),
            PolicyConfig::WeightedRoundRobin { penalty } => {
                within("penalty", penalty, 0.0..=1000.0)
            }
            PolicyConfig::ConsistentHash { load_factor } => {
                within("load-factor", load_factor, 1.01..=1000.0)
            }
            PolicyConfig::ProportionalFairness { alpha, beta } => {
                within("alpha", alpha, EXPONENTS)?;
                within("beta", beta, EXPONENTS)
            }
            PolicyConfig::LeastCost
            | PolicyConfig::PeakEwma
            | PolicyConfig::Random
            | PolicyConfig::LeastImpedance
            | PolicyConfig::RoundRobin
            | PolicyConfig::Estimator(_) => Ok(()),
        }
    }
}

fn within(key: &'static str, value: f64, range: RangeInclusive<f64>) -> Result<(), InvalidPolicy> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(InvalidPolicy::OutOfRange {
        key,
        value,
        smallest: *range.start(),
        largest: *range.end(),
    })
}
