//! How a destination is picked, as the configuration says it: the policy and its parameters.

use edge_balance::{CompletionConfig, InvalidPolicy, PolicyConfig};
use serde::{Deserialize, Serialize};

/// How a key is read: what it is by default, and errors that name it, which those of serde do not
/// where the `type` decides what a key means.
macro_rules! key {
    ($key:ident, $name:literal, $value:ty $(, $default:expr)?) => {
        mod $key {
            use serde::{Deserialize, Deserializer, de::Error as _};

            $(pub(super) fn default() -> $value {
                $default
            })?

            pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<$value, D::Error> {
                let named = |error| D::Error::custom(format_args!("key `{}`: {error}", $name));
                <$value>::deserialize(from).map_err(named)
            }
        }
    };
}

key!(
    strictness,
    "strictness",
    f64,
    super::completion().strictness
);
key!(
    refusal_share,
    "refusal-share",
    f64,
    super::completion().refusal_share
);
key!(
    max_refusals,
    "max-refusals",
    u32,
    super::completion().max_refusals
);
key!(
    load_factor,
    "load-factor",
    f64,
    super::PolicyConfig::LOAD_FACTOR
);
key!(bias, "bias", f64, super::PolicyConfig::BIAS);
key!(penalty, "penalty", f64, super::PolicyConfig::PENALTY);
key!(probes, "probes", f64, super::PolicyConfig::PROBES);
key!(idle_probes, "probes", f64, super::completion().probes);
key!(clients, "clients", u32, super::PolicyConfig::CLIENTS);
key!(choices, "choices", u32, super::PolicyConfig::CHOICES);
key!(alpha, "alpha", f64);
key!(beta, "beta", f64);

fn completion() -> CompletionConfig {
    CompletionConfig::default()
}

/// How a destination is picked. `docs/forwarding.md` says when to use which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
pub enum TableConfig {
    /// The earliest predicted answer, on condition that the destination agrees.
    #[serde(rename_all = "kebab-case")]
    PredictedCompletion {
        /// The wait that is accepted, in units of what the second best destination promises: 0 to
        /// 100.
        #[serde(default = "strictness::default", deserialize_with = "strictness::read")]
        strictness: f64,
        /// Refusals per request that are affordable, on average: 0 (none at all) to 1.
        #[serde(
            default = "refusal_share::default",
            deserialize_with = "refusal_share::read"
        )]
        refusal_share: f64,
        /// How often one request may be turned down: 0 to 64.
        #[serde(
            default = "max_refusals::default",
            deserialize_with = "max_refusals::read"
        )]
        max_refusals: u32,
        /// Probes per request, on average, to destinations without recent requests: 0 (none) to 1.
        #[serde(
            default = "idle_probes::default",
            deserialize_with = "idle_probes::read"
        )]
        probes: f64,
    },
    /// The smallest product of smoothed latency and requests in flight.
    LeastCost {},
    /// The first by a hash of the request's states (of the lambda's name, if it has none) that is
    /// not loaded above its share.
    #[serde(rename_all = "kebab-case")]
    ConsistentHash {
        /// What counts as above its share, as a multiple of the share: 1.01 to 1000.
        #[serde(
            default = "load_factor::default",
            deserialize_with = "load_factor::read"
        )]
        load_factor: f64,
    },
    /// The smallest product of weight and (requests in flight + 1)^bias.
    LeastRequest {
        /// Exponent of the load: 0 to 16.
        #[serde(default = "bias::default", deserialize_with = "bias::read")]
        bias: f64,
    },
    /// In turns, in proportion to the rate that full utilisation would allow.
    WeightedRoundRobin {
        /// What the share of errors adds to the utilisation: 0 to 1000.
        #[serde(default = "penalty::default", deserialize_with = "penalty::read")]
        penalty: f64,
    },
    /// The quickest of those that are not among the busiest, as told by probes.
    Prequal {
        /// Probes per request, on average: 0.01 to 16.
        #[serde(default = "probes::default", deserialize_with = "probes::read")]
        probes: f64,
    },
    /// The smallest latency plus service time times the cube of the queue.
    C3 {
        /// Routers that send as much to each destination, this one included: 1 to 1,000,000.
        #[serde(default = "clients::default", deserialize_with = "clients::read")]
        clients: u32,
    },
    /// Of two drawn at random, the smaller product of decaying peak latency and requests in flight.
    PeakEwma {},
    /// Of two drawn at random, the one with fewer requests in flight.
    P2c {},
    /// Of some drawn at random, the one with the fewest requests in flight.
    #[serde(rename = "power-of-d")]
    PowerOfD {
        /// How many are drawn: 2 to 64.
        #[serde(default = "choices::default", deserialize_with = "choices::read")]
        choices: u32,
    },
    /// With probability proportional to 1 / weight.
    Random {},
    /// The smallest weight.
    LeastImpedance {},
    /// In turns, more often the smaller the weight.
    RoundRobin {},
    /// The largest ratio of (1 / weight)^alpha to (rate of service)^beta.
    ProportionalFairness {
        /// Exponent of the weight: 0 to 1000.
        #[serde(deserialize_with = "alpha::read")]
        alpha: f64,
        /// Exponent of the rate of service: 0 to 1000.
        #[serde(deserialize_with = "beta::read")]
        beta: f64,
    },
}

impl Default for TableConfig {
    fn default() -> Self {
        let CompletionConfig {
            strictness,
            refusal_share,
            max_refusals,
            probes,
        } = completion();
        Self::PredictedCompletion {
            strictness,
            refusal_share,
            max_refusals,
            probes,
        }
    }
}

impl TableConfig {
    /// The policy as the balancer knows it.
    pub fn policy(&self) -> PolicyConfig {
        match *self {
            Self::PredictedCompletion {
                strictness,
                refusal_share,
                max_refusals,
                probes,
            } => PolicyConfig::PredictedCompletion(CompletionConfig {
                strictness,
                refusal_share,
                max_refusals,
                probes,
            }),
            Self::LeastCost {} => PolicyConfig::LeastCost,
            Self::ConsistentHash { load_factor } => PolicyConfig::ConsistentHash { load_factor },
            Self::LeastRequest { bias } => PolicyConfig::LeastRequest { bias },
            Self::WeightedRoundRobin { penalty } => PolicyConfig::WeightedRoundRobin { penalty },
            Self::Prequal { probes } => PolicyConfig::Prequal { probes },
            Self::C3 { clients } => PolicyConfig::C3 { clients },
            Self::PeakEwma {} => PolicyConfig::PeakEwma,
            Self::P2c {} => PolicyConfig::PowerOfD { choices: 2 },
            Self::PowerOfD { choices } => PolicyConfig::PowerOfD { choices },
            Self::Random {} => PolicyConfig::Random,
            Self::LeastImpedance {} => PolicyConfig::LeastImpedance,
            Self::RoundRobin {} => PolicyConfig::RoundRobin,
            Self::ProportionalFairness { alpha, beta } => {
                PolicyConfig::ProportionalFairness { alpha, beta }
            }
        }
    }

    /// What is out of range, if anything: the key, within the section `section`, and the problem.
    pub(crate) fn check(&self, section: &str) -> Result<(), (String, String)> {
        self.policy().check().map_err(|invalid| match invalid {
            InvalidPolicy::OutOfRange {
                key,
                value,
                smallest,
                largest,
            } => (
                format!("{section}.{key}"),
                format!("{value} is not between {smallest} and {largest}"),
            ),
            other => (section.to_owned(), other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_policy_is_known_by_the_name_that_the_balancer_gives_it() {
        for name in PolicyConfig::NAMES {
            let written = if name == "proportional-fairness" {
                json!({"type": name, "alpha": 1, "beta": 1.0})
            } else {
                json!({"type": name})
            };
            let read: TableConfig = serde_json::from_value(written).expect(name);
            let policy = read.policy();
            assert_eq!(policy.name(), name);
            assert_eq!(read.check("table"), Ok(()));
            let keys = edge_balance::PolicyKeys {
                alpha: Some(1.0),
                beta: Some(1.0),
                ..Default::default()
            };
            assert_eq!(PolicyConfig::from_name(name, &keys), Ok(policy), "defaults");
        }
        assert_eq!(TableConfig::default().policy(), PolicyConfig::default());
    }
}
