//! How policies are named and parametrised in configurations.

mod keys;

use super::EstimatorConfig;
use super::predicted_completion::{CompletionConfig, PredictedCompletion};
use super::shared::Built;
use super::{
    c3, consistent_hash, least_cost, least_impedance, least_request, peak_ewma, power_of_d,
    prequal, proportional_fairness, random, round_robin, weighted_round_robin,
};
pub use keys::{InvalidPolicy, PolicyKeys};
use std::fmt;

/// Which policy a table chooses by. A weight is a cost: smaller is better.
///
/// | policy | use it when | learns from |
/// |---|---|---|
/// | predicted completion | always, unless there is a reason not to | everything that answers report |
/// | least cost | simplicity is wanted: no conditions, no probes | latencies and requests in flight |
/// | consistent hash | a lambda keeps state or caches where it ran before | requests in flight |
/// | least request | capacities are known and announced as weights | weights and requests in flight |
/// | weighted round robin | requests are many and small, capacities differ, distances do not | utilisations and failures |
/// | prequal | many brokers share many destinations, and messages are cheap | probes |
/// | C3 | many brokers share destinations that are equally far and have one worker | latencies, service times and queues |
/// | peak EWMA | what linkerd does is wanted; destinations are very many | latencies, failures and requests in flight |
/// | power of d | destinations are alike and very many | requests in flight |
/// | random | a static share of traffic inverse to the weights is wanted | weights |
/// | least impedance | the best is to take it all, the others are spares | weights |
/// | round robin | fairness among the good ones matters, as in the C++ reference's experiments | weights |
/// | proportional fairness | the trade between fairness and speed is to be set by hand | weights |
///
/// Random, least impedance, round robin and proportional fairness are those of the C++ reference. On
/// their own they see neither load nor latency;
/// an [`Optimizer`](crate::Optimizer) turns latencies into weights for them, and for least request
/// and consistent hash, too.
///
/// [`check`](PolicyConfig::check) tells if parameters are in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolicyConfig {
    /// The earliest predicted answer, on condition that the destination agrees.
    PredictedCompletion(CompletionConfig),
    /// The smallest expected latency times requests in flight.
    LeastCost,
    /// The first by a hash of the request's affinity that is not loaded above its share.
    ConsistentHash {
        /// Requests in flight that a destination may have, as a multiple of its share: 1.01 to 1000.
        load_factor: f64,
    },
    /// The smallest weight times requests in flight.
    LeastRequest {
        /// Exponent of the requests in flight (plus one): 0 to 16.
        bias: f64,
    },
    /// In turn, in proportion to the rate that full utilisation would allow.
    WeightedRoundRobin {
        /// What the share of errors adds to the utilisation: 0 to 1000.
        penalty: f64,
    },
    /// The quickest that is not among the busiest, as told by probes.
    Prequal {
        /// Probes per request, on average, unless no destination has anything to do: 0.01 to 16.
        probes: f64,
    },
    /// The smallest latency plus service times the cube of the queue.
    C3 {
        /// Brokers that are expected to send as much to each destination: 1 to 1,000,000.
        clients: u32,
    },
    /// Of two drawn at random, the smaller decaying peak latency times requests in flight.
    PeakEwma,
    /// Of some drawn at random, the one with the fewest requests in flight. With two choices it is
    /// called `p2c`.
    PowerOfD {
        /// How many are drawn: 2 to 64.
        choices: u32,
    },
    /// Each with a probability inverse to its weight.
    Random,
    /// The smallest weight.
    LeastImpedance,
    /// In turn, as often as their weights allow, among those within twice the smallest weight.
    RoundRobin,
    /// The largest of speed to the power `alpha` over service received to the power `beta`.
    ProportionalFairness {
        /// How much speed counts: 0 to 1000.
        alpha: f64,
        /// How much fairness counts: 0 to 1000.
        beta: f64,
    },
    /// The smallest prediction of an estimator: for dispatchers, and in none of the names here.
    Estimator(EstimatorConfig),
}

impl PolicyConfig {
    /// The type strings of all policies, the default first.
    pub const NAMES: [&'static str; 14] = [
        "predicted-completion",
        "least-cost",
        "consistent-hash",
        "least-request",
        "weighted-round-robin",
        "prequal",
        "c3",
        "peak-ewma",
        "p2c",
        "power-of-d",
        "random",
        "least-impedance",
        "round-robin",
        "proportional-fairness",
    ];

    /// The policy of that type string.
    ///
    /// # Errors
    /// An unknown type, a parameter of it that is out of range, and for proportional fairness one
    /// that is missing.
    pub fn from_name(name: &str, keys: &PolicyKeys) -> Result<Self, InvalidPolicy> {
        let policy = match name {
            "predicted-completion" => {
                let default = CompletionConfig::default();
                PolicyConfig::PredictedCompletion(CompletionConfig {
                    strictness: keys.strictness.unwrap_or(default.strictness),
                    refusal_share: keys.refusal_share.unwrap_or(default.refusal_share),
                    max_refusals: keys.max_refusals.unwrap_or(default.max_refusals),
                    probes: keys.probes.unwrap_or(default.probes),
                })
            }
            "least-cost" => PolicyConfig::LeastCost,
            "consistent-hash" => PolicyConfig::ConsistentHash {
                load_factor: keys.load_factor.unwrap_or(Self::LOAD_FACTOR),
            },
            "least-request" => PolicyConfig::LeastRequest {
                bias: keys.bias.unwrap_or(Self::BIAS),
            },
            "weighted-round-robin" => PolicyConfig::WeightedRoundRobin {
                penalty: keys.penalty.unwrap_or(Self::PENALTY),
            },
            "prequal" => PolicyConfig::Prequal {
                probes: keys.probes.unwrap_or(Self::PROBES),
            },
            "c3" => PolicyConfig::C3 {
                clients: keys.clients.unwrap_or(Self::CLIENTS),
            },
            "peak-ewma" => PolicyConfig::PeakEwma,
            "p2c" => PolicyConfig::PowerOfD { choices: 2 },
            "power-of-d" => PolicyConfig::PowerOfD {
                choices: keys.choices.unwrap_or(Self::CHOICES),
            },
            "random" => PolicyConfig::Random,
            "least-impedance" => PolicyConfig::LeastImpedance,
            "round-robin" => PolicyConfig::RoundRobin,
            "proportional-fairness" => PolicyConfig::ProportionalFairness {
                alpha: keys.alpha.ok_or(InvalidPolicy::MissingKey("alpha"))?,
                beta: keys.beta.ok_or(InvalidPolicy::MissingKey("beta"))?,
            },
            _ => return Err(InvalidPolicy::UnknownType(name.to_owned())),
        };
        policy.check()?;
        Ok(policy)
    }

    /// The type string.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            PolicyConfig::PredictedCompletion(_) => "predicted-completion",
            PolicyConfig::LeastCost => "least-cost",
            PolicyConfig::ConsistentHash { .. } => "consistent-hash",
            PolicyConfig::LeastRequest { .. } => "least-request",
            PolicyConfig::WeightedRoundRobin { .. } => "weighted-round-robin",
            PolicyConfig::Prequal { .. } => "prequal",
            PolicyConfig::C3 { .. } => "c3",
            PolicyConfig::PeakEwma => "peak-ewma",
            PolicyConfig::PowerOfD { choices: 2 } => "p2c",
            PolicyConfig::PowerOfD { .. } => "power-of-d",
            PolicyConfig::Random => "random",
            PolicyConfig::LeastImpedance => "least-impedance",
            PolicyConfig::RoundRobin => "round-robin",
            PolicyConfig::ProportionalFairness { .. } => "proportional-fairness",
            PolicyConfig::Estimator(estimator) => estimator.name(),
        }
    }

    /// Whether an optimizer's weights make no difference, since the policy does not look at them
    /// or, once it has measured, not any more.
    #[must_use]
    pub fn ignores_weights(&self) -> bool {
        match self {
            PolicyConfig::PredictedCompletion(_)
            | PolicyConfig::LeastCost
            | PolicyConfig::WeightedRoundRobin { .. }
            | PolicyConfig::Prequal { .. }
            | PolicyConfig::C3 { .. }
            | PolicyConfig::PeakEwma
            | PolicyConfig::PowerOfD { .. }
            | PolicyConfig::Estimator(_) => true,
            PolicyConfig::ConsistentHash { .. }
            | PolicyConfig::LeastRequest { .. }
            | PolicyConfig::Random
            | PolicyConfig::LeastImpedance
            | PolicyConfig::RoundRobin
            | PolicyConfig::ProportionalFairness { .. } => false,
        }
    }

    /// Fresh state, of one lambda unless there is none.
    pub(super) fn build(self) -> Built {
        match self {
            PolicyConfig::PredictedCompletion(config) => {
                Built::for_all(PredictedCompletion::new(config))
            }
            PolicyConfig::LeastCost => Built::for_all(least_cost::LeastCost),
            PolicyConfig::ConsistentHash { load_factor } => {
                Built::for_one(consistent_hash::ConsistentHash::new(load_factor))
            }
            PolicyConfig::LeastRequest { bias } => {
                Built::for_all(least_request::LeastRequest::new(bias))
            }
            PolicyConfig::WeightedRoundRobin { penalty } => {
                Built::for_one(weighted_round_robin::WeightedRoundRobin::new(penalty))
            }
            PolicyConfig::Prequal { probes } => Built::for_one(prequal::Prequal::new(probes)),
            PolicyConfig::C3 { clients } => Built::for_all(c3::C3::new(clients)),
            PolicyConfig::PeakEwma => Built::for_all(peak_ewma::PeakEwma),
            PolicyConfig::PowerOfD { choices } => {
                Built::for_all(power_of_d::PowerOfD::new(choices))
            }
            PolicyConfig::Random => Built::for_one(random::Random::default()),
            PolicyConfig::LeastImpedance => {
                Built::for_one(least_impedance::LeastImpedance::default())
            }
            PolicyConfig::RoundRobin => Built::for_one(round_robin::RoundRobin::default()),
            PolicyConfig::ProportionalFairness { alpha, beta } => Built::for_one(
                proportional_fairness::ProportionalFairness::new(alpha, beta),
            ),
            PolicyConfig::Estimator(estimator) => estimator.build(),
        }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        PolicyConfig::PredictedCompletion(CompletionConfig::default())
    }
}

impl fmt::Display for PolicyConfig {
    /// As a conf string without `type=`; parameters that are as by default are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let mut key = |name: &str, value: f64, default: Option<f64>| {
            if Some(value) == default {
                return Ok(());
            }
            write!(f, ",{name}={value}")
        };
        match *self {
            PolicyConfig::PredictedCompletion(config) => {
                let default = CompletionConfig::default();
                let (strictness, share) = (config.strictness, config.refusal_share);
                key("strictness", strictness, Some(default.strictness))?;
                key("refusal-share", share, Some(default.refusal_share))?;
                let refusals = |of: CompletionConfig| f64::from(of.max_refusals);
                key("max-refusals", refusals(config), Some(refusals(default)))?;
                key("probes", config.probes, Some(default.probes))
            }
            PolicyConfig::ConsistentHash { load_factor } => {
                key("load-factor", load_factor, Some(Self::LOAD_FACTOR))
            }
            PolicyConfig::LeastRequest { bias } => key("bias", bias, Some(Self::BIAS)),
            PolicyConfig::WeightedRoundRobin { penalty } => {
                key("penalty", penalty, Some(Self::PENALTY))
            }
            PolicyConfig::Prequal { probes } => key("probes", probes, Some(Self::PROBES)),
            PolicyConfig::C3 { clients } => {
                key("clients", clients.into(), Some(Self::CLIENTS.into()))
            }
            PolicyConfig::PowerOfD { choices: 2 } => Ok(()),
            PolicyConfig::PowerOfD { choices } => {
                key("choices", choices.into(), Some(Self::CHOICES.into()))
            }
            PolicyConfig::ProportionalFairness { alpha, beta } => {
                key("alpha", alpha, None)?;
                key("beta", beta, None)
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
