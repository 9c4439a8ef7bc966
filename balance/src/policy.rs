//! The selection policies behind one trait.

mod c3;
mod config;
mod consistent_hash;
mod draw;
mod estimators;
mod least_cost;
mod least_impedance;
mod least_request;
mod peak_ewma;
mod power_of_d;
mod predicted_completion;
mod prequal;
mod proportional_fairness;
mod random;
mod round_robin;
mod scan;
mod shared;
mod slots;
mod smallest;
mod weighted_round_robin;

pub use config::{InvalidPolicy, PolicyConfig, PolicyKeys};
pub use estimators::{EstimatorConfig, Forecast};
pub use predicted_completion::CompletionConfig;
pub(crate) use shared::Policies;

use crate::lambda_state::LambdaState;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Routes};
use crate::{Answers, Destinations, Nanos, Report, Request, Tried};
use rand::Rng;
use std::fmt;
use std::num::NonZeroU64;

/// How the next destination of one lambda is chosen.
pub(crate) trait Policy: Send + Sync + fmt::Debug {
    /// One of the routes that are candidates, none if there is no candidate.
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>>;

    /// What each candidate would cost, in the order of the routes: for people who ask why. Policies
    /// that do not compare costs tell the weights.
    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        costs_of(scene, |route| (f64::from(route.weight()), Vec::new()))
    }

    /// Routes came or went; `routes` are those that there are now. Picks may wait for it, so that of
    /// many it should not look at all.
    fn routes_changed(&self, _change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {}

    /// The weight of a route was set, not necessarily to another value.
    fn weight_set(&self, _route: &SharedRoute, _now: Nanos) {}

    /// The smallest weight of a new sample in the averages of a pair; none if the policy does not
    /// want latencies learnt, so that tables show the weights as they were set.
    fn sample_weight(&self) -> Option<f32> {
        Some(0.03)
    }

    /// What it reads of what all policies learn.
    fn wanted(&self) -> Wanted {
        Wanted::ALL
    }

    /// A request was executed; what all policies learn from it is learnt already.
    fn learnt(&self, _route: &Route, _executed: &Executed<'_>) {}

    /// The destination of a request failed.
    fn failed(&self, _route: &Route, _now: Nanos) {}

    /// Whom to ask before this request is picked; the answers are in the scene of the pick.
    fn inquire(&self, _scene: &Scene<'_>, _rng: &mut dyn Rng) -> Vec<SharedRoute> {
        Vec::new()
    }

    /// How many probes to send at the occasion of a request, which has been picked. Usually none,
    /// and then nobody looks at the routes.
    fn probes_due(&self, _lambda: &LambdaState, _now: Nanos, _rng: &mut dyn Rng) -> usize {
        0
    }

    /// Where to send so many: calls `ask` for each, as far as there are candidates.
    fn probes(
        &self,
        _scene: &Scene<'_>,
        _due: usize,
        _rng: &mut dyn Rng,
        _ask: &mut dyn FnMut(&SharedRoute),
    ) {
    }

    /// A probe that was made at `asked` is not going to be answered.
    fn unanswered(&self, _route: &SharedRoute, _asked: Nanos) {}

    /// A probe was answered after `latency`; `estimate` is how long the destination expects a
    /// request to take.
    fn probed(
        &self,
        _route: Chosen<'_>,
        _latency: Nanos,
        _estimate: Option<Nanos>,
        _report: &Report,
        _now: Nanos,
    ) {
    }
}

/// What is to be learnt of answers for all policies alike: where nobody but the policy reads it, what that
/// does not read need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Of the destination: its queue and the parts of its latencies.
    pub(crate) load: bool,
    /// Of the lambda, there and on average: how long requests take.
    pub(crate) latencies: bool,
}

impl Wanted {
    pub(crate) const ALL: Self = Wanted {
        load: true,
        latencies: true,
    };
    pub(crate) const LATENCIES: Self = Wanted {
        load: false,
        latencies: true,
    };
    pub(crate) const NOTHING: Self = Wanted {
        load: false,
        latencies: false,
    };
}

/// A request that was executed, as its broker saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed<'a> {
    pub(crate) input_bytes: usize,
    /// Requests of this broker there when this one was sent, this one included.
    pub(crate) company: u32,
    /// Until the answer came, without preparations that the next request will not wait for.
    pub(crate) latency: Nanos,
    /// What the answer said, as far as it is credible.
    pub(crate) report: &'a Report,
    pub(crate) now: Nanos,
}

/// What was chosen, and what the request should know about it.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) route: Chosen<'a>,
    /// Rather than wait longer for its turn than this the request should be turned down.
    /// In nanoseconds; a wait of nothing is written as one, since on the wire zero means any wait.
    pub(crate) max_wait: Option<NonZeroU64>,
    /// Unless a forecast says it.
    pub(crate) predicted: Option<Predicted>,
    /// One that has been set aside but would be so much better that it is worth a trial now.
    pub(crate) spare: Option<&'a SharedRoute>,
    /// Chosen to find out about it, not because it is the best.
    pub(crate) explored: bool,
    /// What an estimator predicted.
    pub(crate) forecast: Option<Box<Forecast>>,
}

/// When an answer is predicted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predicted {
    /// Seconds until then.
    pub(crate) seconds: f32,
    /// Share of them that is not execution.
    pub(crate) wait: f32,
}

/// The route that was chosen. Most policies find it among those of the scene, where it is kept anyhow:
/// counting those who hold it is a matter for whoever needs it longer.
#[derive(Debug)]
pub(crate) enum Chosen<'a> {
    /// One of the scene's.
    Lent(&'a SharedRoute),
    /// Perhaps none of them any more.
    Own(SharedRoute),
}

impl Chosen<'_> {
    #[inline]
    pub(crate) fn route(&self) -> &SharedRoute {
        match self {
            Chosen::Lent(route) => route,
            Chosen::Own(route) => route,
        }
    }

    #[inline]
    pub(crate) fn into_owned(self) -> SharedRoute {
        match self {
            Chosen::Lent(route) => SharedRoute::clone(route),
            Chosen::Own(route) => route,
        }
    }
}

impl<'a> From<&'a SharedRoute> for Chosen<'a> {
    fn from(route: &'a SharedRoute) -> Self {
        Chosen::Lent(route)
    }
}

impl From<SharedRoute> for Chosen<'_> {
    fn from(route: SharedRoute) -> Self {
        Chosen::Own(route)
    }
}

impl<'a, C: Into<Chosen<'a>>> From<C> for Choice<'a> {
    fn from(route: C) -> Self {
        Choice {
            route: route.into(),
            max_wait: None,
            predicted: None,
            spare: None,
            explored: false,
            forecast: None,
        }
    }
}

/// The cost of one candidate and what it is made of, by name.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) route: SharedRoute,
    pub(crate) cost: f64,
    pub(crate) terms: Vec<(&'static str, f64)>,
}

/// The costs of all candidates: each one's cost and terms as `judge` sees them.
fn costs_of(
    scene: &Scene<'_>,
    mut judge: impl FnMut(&SharedRoute) -> (f64, Vec<(&'static str, f64)>),
) -> Vec<Cost> {
    let admitted = scene.routes.iter().filter(|route| scene.admits(route));
    let cost = |route: &SharedRoute| {
        let (cost, terms) = judge(route);
        Cost {
            route: SharedRoute::clone(route),
            cost,
            terms,
        }
    };
    admitted.map(cost).collect()
}

/// All that one pick may look at.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// All routes of the lambda, candidates or not.
    pub(crate) routes: Routes<'a>,
    pub(crate) request: &'a Request<'a>,
    pub(crate) tried: &'a Tried,
    /// What destinations said about this very request; empty unless the policy inquired.
    pub(crate) answers: &'a Answers,
    /// Pass over what is set aside; false when nothing else is left (or nothing is ejected).
    pub(crate) healthy_only: bool,
    pub(crate) lambda: &'a LambdaState,
    pub(crate) broker: &'a Destinations,
    pub(crate) now: Nanos,
}

impl<'a> Scene<'a> {
    /// A route that a policy keeps at some position, as one of the scene's if it has the same position
    /// there, as it does unless routes come or go.
    pub(crate) fn chosen(&self, position: usize, route: &SharedRoute) -> Chosen<'a> {
        match self.routes {
            Routes::Few(few) => match few.get(position) {
                Some(known) if SharedRoute::ptr_eq(known, route) => Chosen::Lent(known),
                _ => Chosen::Own(SharedRoute::clone(route)),
            },
            Routes::Many(_) => Chosen::Own(SharedRoute::clone(route)),
        }
    }

    /// Whether all routes are candidates, as they usually are.
    #[inline]
    pub(crate) fn admits_all(&self) -> bool {
        self.tried.is_empty() && !self.healthy_only
    }

    /// Whether the route is a candidate.
    #[inline]
    pub(crate) fn admits(&self, route: &Route) -> bool {
        #[cfg(test)]
        crate::routes::looks::count();
        let destination = route.destination();
        (self.tried.is_empty() || !self.tried.contains(destination.id()))
            && (!self.healthy_only || route.is_open())
    }
}

/// Uniform in `0..n`, 0 if there is nothing to index; the bias of the multiplication is below n / 2^32.
pub(crate) fn any_index(n: usize, rng: &mut dyn Rng) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}
