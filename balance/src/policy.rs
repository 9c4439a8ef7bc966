//! The selection policies behind one trait, and how they are named in configurations.

mod least_cost;
mod least_impedance;
mod proportional_fairness;
mod random;
mod round_robin;

use crate::latency::LambdaLatency;
use crate::route::Route;
use crate::{Nanos, Tried};
use rand::Rng;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Which policy a table chooses by. A weight is a cost: smaller is better.
///
/// | policy | use it when | learns from |
/// |---|---|---|
/// | least cost | always, unless there is a reason not to | latencies and requests in flight |
/// | random | a static share of traffic inverse to the weights is wanted | weights |
/// | least impedance | the best is to take it all, the others are spares | weights |
/// | round robin | fairness among the good ones matters, as in the C++ reference's experiments | weights |
/// | proportional fairness | the trade between fairness and speed is to be set by hand | weights |
///
/// The last four are those of the C++ reference. On their own they see neither load nor latency;
/// an [`Optimizer`](crate::Optimizer) turns latencies into weights for them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PolicyConfig {
    /// The smallest expected latency times requests in flight.
    #[default]
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
    pub const NAMES: [&'static str; 5] = [
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
            PolicyConfig::LeastCost => "least-cost",
            PolicyConfig::Random => "random",
            PolicyConfig::LeastImpedance => "least-impedance",
            PolicyConfig::RoundRobin => "round-robin",
            PolicyConfig::ProportionalFairness { .. } => "proportional-fairness",
        }
    }

    /// Fresh state for one lambda.
    pub(crate) fn build(self, now: Nanos) -> Box<dyn Policy> {
        match self {
            PolicyConfig::LeastCost => Box::new(least_cost::LeastCost::new(now)),
            PolicyConfig::Random => Box::new(random::Random),
            PolicyConfig::LeastImpedance => Box::new(least_impedance::LeastImpedance),
            PolicyConfig::RoundRobin => Box::new(round_robin::RoundRobin::default()),
            PolicyConfig::ProportionalFairness { alpha, beta } => Box::new(
                proportional_fairness::ProportionalFairness::new(alpha, beta),
            ),
        }
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

/// How the next destination of one lambda is chosen.
pub(crate) trait Policy: Send + Sync + fmt::Debug {
    /// One of the routes that are candidates, none if there is no candidate.
    fn choose(
        &self,
        routes: &[Arc<Route>],
        candidates: &Candidates<'_>,
        rng: &mut dyn Rng,
    ) -> Option<Arc<Route>>;

    /// Routes came or went. Those that stayed are in the same order as before, new ones follow.
    fn routes_changed(&self, _routes: &[Arc<Route>], _now: Nanos) {}

    /// The weight of a route was set, not necessarily to another value.
    fn weight_set(&self, _route: &Arc<Route>, _now: Nanos) {}

    /// Where latencies go, if the policy learns from them.
    fn latency(&self) -> Option<Arc<LambdaLatency>> {
        None
    }
}

/// Which routes one pick may choose.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    pub(crate) tried: &'a Tried,
    /// Pass over the ejected; false when nothing else is left (or nothing is ejected).
    pub(crate) healthy_only: bool,
    pub(crate) now: Nanos,
}

impl Candidates<'_> {
    pub(crate) fn admit(&self, route: &Route) -> bool {
        let destination = route.destination();
        !self.tried.contains(destination.id())
            && (!self.healthy_only || destination.health().is_healthy())
    }
}

/// A route and what a stateful policy keeps about it.
#[derive(Debug)]
struct Slot<S> {
    route: Arc<Route>,
    state: S,
}

/// Brings `slots` in step with `routes`; those that stay keep their state.
fn follow<S>(slots: &mut Vec<Slot<S>>, routes: &[Arc<Route>], fresh: impl Fn() -> S) {
    let mut before = std::mem::take(slots).into_iter();
    slots.extend(routes.iter().map(|route| {
        let kept = before.find(|slot| Arc::ptr_eq(&slot.route, route));
        kept.unwrap_or_else(|| Slot {
            route: Arc::clone(route),
            state: fresh(),
        })
    }));
}
