//! A request's hold on the destination that was picked for it, until it tells how it ended.

use crate::policy::{Forecast, Wanted};
use crate::route::{Route, SharedRoute};
use crate::sent::{Ending, Sent, Threads};
use crate::table::Lambda;
use crate::{Destination, Hedging, Nanos, Probes, Report, Request};
use rand::Rng;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// Why nothing could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoDestination {
    /// The table has no route for the lambda.
    #[error("No destinations found for the entry")]
    UnknownLambda,
    /// The request has already been to all destinations of the lambda.
    #[error("No destinations left for the entry: all of them have been tried")]
    AllTried,
    /// There are destinations that work, but all of those are full or have asked to be left alone.
    #[error("all destinations for the entry are busy")]
    Saturated,
}

/// Why a destination was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The policy found it the best of those that may be chosen.
    Best,
    /// It has been set aside, and this request finds out if it is back.
    Trial,
    /// Nothing is known of it that is recent, and this request finds out.
    Exploration,
    /// All that were not tried yet are set aside, so any of them will do.
    LastResort,
}

impl Reason {
    /// In one word or two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Best => "best",
            Reason::Trial => "trial",
            Reason::Exploration => "exploration",
            Reason::LastResort => "last-resort",
        }
    }
}

/// The destination of one request. While it lives the request counts as in flight there; say how it
/// ended with [`succeeded`](Pick::succeeded), [`answered`](Pick::answered),
/// [`refused`](Pick::refused) or [`failed`](Pick::failed). Dropping it instead means that the
/// request was abandoned (cancelled, its client gone), which teaches nothing.
#[derive(Debug)]
#[must_use = "dropping a pick tells that its request was abandoned"]
pub struct Pick {
    lambda: Arc<Lambda>,
    route: SharedRoute,
    sent: Sent,
}

/// The route that a request was sent by: what an [`Optimizer`](crate::Optimizer) wants to know of a
/// pick.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    pub(crate) lambda: &'a Lambda,
    pub(crate) route: &'a SharedRoute,
}

impl<'a> Picked<'a> {
    /// Where the request goes.
    #[must_use]
    pub fn destination(self) -> &'a Arc<Destination> {
        self.route.destination()
    }

    /// The lambda that is asked for.
    pub(crate) fn lambda(self) -> &'a str {
        self.lambda.name()
    }

    /// Sets the weight of the route to what `weigh` makes of it, a finite number above 0.
    pub(crate) fn weigh(self, now: Nanos, weigh: impl FnOnce(&Route) -> f32) {
        self.route.set_weight(weigh(self.route));
        self.lambda.weight_set(self.route, now);
    }
}

impl<'a> From<&'a Pick> for Picked<'a> {
    fn from(pick: &'a Pick) -> Self {
        Picked {
            lambda: &pick.lambda,
            route: &pick.route,
        }
    }
}

/// The [`Hedging`] of the lambda of a [`Pick`], which may end meanwhile.
#[derive(Clone, Debug)]
pub struct SharedHedging(Arc<Lambda>);

impl Deref for SharedHedging {
    type Target = Hedging;

    fn deref(&self) -> &Hedging {
        self.0.hedging()
    }
}

impl Pick {
    pub(crate) fn new(lambda: &Arc<Lambda>, route: SharedRoute, sent: Sent) -> Self {
        Pick {
            lambda: Arc::clone(lambda),
            route,
            sent,
        }
    }

    /// Where the request goes.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        self.route.destination()
    }

    /// When to send a copy of a request of this lambda elsewhere, if it may be executed twice.
    #[must_use]
    pub fn hedging(&self) -> SharedHedging {
        SharedHedging(Arc::clone(&self.lambda))
    }

    /// The same as [`ForwardingTable::probes`](crate::ForwardingTable::probes), without looking for
    /// the lambda again.
    pub fn probes(&self, now: Nanos, rng: &mut dyn Rng) -> Probes {
        self.lambda.probes(&Request::OF_KNOWN_LAMBDA, now, rng)
    }

    /// Why it goes there.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.sent.reason
    }

    /// Whether this request finds out if a destination that was set aside is back. It is likelier than others
    /// to fail, so it deserves protection (trying elsewhere when it never left).
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.sent.is_trial()
    }

    /// What to tell the destination: turn the request down rather than let it wait longer than this
    /// for its turn, since then another destination is likely to be quicker. None: however long.
    #[must_use]
    pub fn max_wait(&self) -> Option<Nanos> {
        self.sent.max_wait()
    }

    /// The time until the answer, where the policy predicts it.
    #[must_use]
    pub fn predicted(&self) -> Option<Nanos> {
        let forecast = || self.sent.forecast.as_ref()?.span();
        let predicted = self.sent.predicted.map(|predicted| span(predicted.seconds));
        predicted.or_else(forecast)
    }

    /// The share of [`Pick::predicted`] that is not execution: under way and in line.
    #[must_use]
    pub fn predicted_wait(&self) -> Option<Nanos> {
        self.sent.predicted.map(|predicted| span(predicted.wait))
    }

    /// What an estimator predicted; none for other policies, and for a trial.
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        self.sent.forecast.as_deref()
    }

    /// The answer is fine and took `latency`, which becomes a sample.
    pub fn succeeded(mut self, latency: Nanos, report: &Report, now: Nanos) {
        self.ending().succeeded(latency, report, now);
    }

    /// The destination answered, but the time it took says nothing: an application error, the
    /// acknowledgement of an asynchronous request. Only its health and what is known of its queue
    /// profit.
    pub fn answered(mut self, report: &Report, now: Nanos) {
        self.ending().answered(report, now);
    }

    /// The destination turned the request down, unexecuted, because the wait would exceed
    /// [`Pick::max_wait`]: try elsewhere, nothing is wrong with it. Turning down everything, or a
    /// trial, which has no such condition, is a fault, though, and ends in its ejection.
    pub fn refused(mut self, report: &Report, now: Nanos) {
        self.ending().refused(report, now);
    }

    /// The way to the destination is broken: it cannot be reached, or does not answer any more. It is
    /// ejected.
    pub fn failed(mut self, now: Nanos) {
        self.ending().failed(now);
    }

    /// The destination can be reached but answered with nonsense, or that it cannot serve. It is
    /// ejected if it [stands out](crate::Health) by that. An error of the application is no failure
    /// in this sense.
    pub fn misbehaved(mut self, now: Nanos) {
        self.ending().misbehaved(now);
    }

    /// The destination turned the request down, unexecuted, because it has too much to do, at least
    /// for this lambda, which leaves it alone for `push_back`, between a millisecond and two seconds;
    /// if it does not say, for longer each time. Others may well find room there: a computer has a
    /// queue for each lambda.
    pub fn overloaded(mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.ending().overloaded(push_back, report, now);
    }

    /// The same where the destination says so of itself as a whole: all lambdas leave it alone.
    pub fn all_overloaded(mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.ending().all_overloaded(push_back, report, now);
    }

    /// Another destination answered the same request first, although this one had more time than it
    /// usually takes. A few of those in a row, without an answer in between, set the destination aside
    /// as [stalled](crate::Health); a trial that ends so has failed.
    pub fn outrun(mut self, now: Nanos) {
        self.ending().outrun(now);
    }

    fn ending(&mut self) -> Ending<'_, Threads> {
        Ending {
            lambda: &self.lambda,
            route: &self.route,
            sent: &mut self.sent,
            wanted: Wanted::ALL,
            counting: PhantomData,
        }
    }
}

fn span(seconds: f32) -> Nanos {
    Nanos::from_secs_f64(f64::from(seconds))
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.ending().over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Choice;

    #[test]
    fn what_is_moved_about_is_small() {
        assert!(size_of::<Choice<'_>>() <= 56);
        assert!(size_of::<Pick>() <= 64);
        // With what says whether there is one.
        assert_eq!(size_of::<Option<Pick>>(), size_of::<Pick>());
    }
}
