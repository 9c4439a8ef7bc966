//! A request's hold on the destination that was picked for it, until it tells how it ended.

use crate::health::Ticket;
use crate::outlier::stands_out;
use crate::policy::{Choice, Executed, Forecast, Predicted};
use crate::route::{Route, SharedRoute};
use crate::table::Lambda;
use crate::terms::LambdaTicket;
use crate::{Destination, HedgeDelay, Nanos, Probes, Report, Request};
use rand::Rng;
use std::num::NonZeroU64;
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
    ticket: Ticket,
    lambda_ticket: LambdaTicket,
    reason: Reason,
    /// Nanoseconds.
    max_wait: Option<NonZeroU64>,
    predicted: Option<Predicted>,
    /// Requests of this broker there when this one was sent, this one included.
    company: u32,
    input_bytes: usize,
    /// Elsewhere, since few policies have any and picks are moved about.
    forecast: Option<Box<Forecast>>,
    ended: bool,
}

/// The [`HedgeDelay`] of the lambda of a [`Pick`], which may end meanwhile.
#[derive(Clone, Debug)]
pub struct SharedHedgeDelay(Arc<Lambda>);

impl Deref for SharedHedgeDelay {
    type Target = HedgeDelay;

    fn deref(&self) -> &HedgeDelay {
        self.0.hedge_delay()
    }
}

impl Pick {
    pub(crate) fn new(
        lambda: &Arc<Lambda>,
        request: &Request<'_>,
        choice: Choice,
        any_healthy: bool,
        now: Nanos,
    ) -> Self {
        let Choice {
            route,
            max_wait,
            predicted,
            explored,
            spare: _,
            forecast,
        } = choice;
        let reason = match (any_healthy, explored) {
            (false, _) => Reason::LastResort,
            (true, true) => Reason::Exploration,
            (true, false) => Reason::Best,
        };
        let ticket = route.destination().health().ticket();
        let lambda_ticket = route.terms().ticket();
        let expected = predicted.map_or_else(|| route.expected(), |predicted| predicted.seconds);
        let company = route.destination().begin(expected, now);
        Pick {
            company,
            lambda: Arc::clone(lambda),
            route,
            ticket,
            lambda_ticket,
            reason,
            max_wait,
            predicted,
            input_bytes: request.input_bytes,
            forecast,
            ended: false,
        }
    }

    /// The trial of a destination that is set aside, for this lambda or altogether, if this request
    /// may be it. It is unconditional: a destination on trial is to show that it executes.
    pub(crate) fn trial(
        lambda: &Arc<Lambda>,
        request: &Request<'_>,
        route: &SharedRoute,
        now: Nanos,
    ) -> Option<Self> {
        if !route.is_trial_due(now) {
            return None;
        }
        let health = route.destination().health();
        let ticket = if health.is_healthy() {
            health.ticket()
        } else {
            health.try_trial(now)?
        };
        Pick::on_trial(lambda, request, route, ticket, now)
    }

    /// The same for one that is badly needed, before its time.
    pub(crate) fn early_trial(
        lambda: &Arc<Lambda>,
        request: &Request<'_>,
        route: &SharedRoute,
        now: Nanos,
    ) -> Option<Self> {
        let ticket = route.destination().health().try_early_trial(now)?;
        Pick::on_trial(lambda, request, route, ticket, now)
    }

    fn on_trial(
        lambda: &Arc<Lambda>,
        request: &Request<'_>,
        route: &SharedRoute,
        ticket: Ticket,
        now: Nanos,
    ) -> Option<Self> {
        let terms = route.terms();
        let lambda_ticket = if terms.is_closed() {
            let trial = terms.try_trial(now);
            if trial.is_none() {
                // Another one is a bit earlier.
                route.destination().health().abandoned(ticket);
            }
            trial?
        } else {
            terms.ticket()
        };
        let company = route.destination().begin(route.expected(), now);
        Some(Pick {
            company,
            lambda: Arc::clone(lambda),
            route: SharedRoute::clone(route),
            ticket,
            lambda_ticket,
            reason: Reason::Trial,
            max_wait: None,
            predicted: None,
            input_bytes: request.input_bytes,
            forecast: None,
            ended: false,
        })
    }

    /// Where the request goes.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        self.route.destination()
    }

    /// When to send a copy of a request of this lambda elsewhere, if it may be executed twice.
    #[must_use]
    pub fn hedge_delay(&self) -> SharedHedgeDelay {
        SharedHedgeDelay(Arc::clone(&self.lambda))
    }

    /// The same as [`ForwardingTable::probes`](crate::ForwardingTable::probes), without looking for
    /// the lambda again.
    pub fn probes(&self, now: Nanos, rng: &mut dyn Rng) -> Probes {
        self.lambda.probes(&Request::OF_KNOWN_LAMBDA, now, rng)
    }

    /// The lambda that is asked for.
    pub(crate) fn lambda(&self) -> &str {
        self.lambda.name()
    }

    /// Sets the weight of the route to what `weigh` makes of it, a finite number above 0.
    pub(crate) fn weigh(&self, now: Nanos, weigh: impl FnOnce(&Route) -> f32) {
        self.route.set_weight(weigh(&self.route));
        self.lambda.weight_set(&self.route, now);
    }

    /// Why it goes there.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether this request finds out if a destination that was set aside is back. It is likelier than others
    /// to fail, so it deserves protection (trying elsewhere when it never left).
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.ticket.is_trial() || self.lambda_ticket.is_trial()
    }

    /// What to tell the destination: turn the request down rather than let it wait longer than this
    /// for its turn, since then another destination is likely to be quicker. None: however long.
    #[must_use]
    pub fn max_wait(&self) -> Option<Nanos> {
        self.max_wait.map(|nanos| Nanos(nanos.get()))
    }

    /// The time until the answer, where the policy predicts it.
    #[must_use]
    pub fn predicted(&self) -> Option<Nanos> {
        let forecast = || self.forecast.as_ref()?.span();
        let predicted = self.predicted.map(|predicted| span(predicted.seconds));
        predicted.or_else(forecast)
    }

    /// The share of [`Pick::predicted`] that is not execution: under way and in line.
    #[must_use]
    pub fn predicted_wait(&self) -> Option<Nanos> {
        self.predicted.map(|predicted| span(predicted.wait))
    }

    /// What an estimator predicted; none for other policies, and for a trial.
    #[must_use]
    pub fn forecast(&self) -> Option<&Forecast> {
        self.forecast.as_deref()
    }

    /// The answer is fine and took `latency`, which becomes a sample.
    pub fn succeeded(mut self, latency: Nanos, report: &Report, now: Nanos) {
        let report = report.credible(latency);
        self.end(&report, now);
        let health = self.destination().health();
        let is_typical = health.is_current(self.ticket);
        health.succeeded(self.ticket, now);
        self.lambda.answered(&self.route, self.lambda_ticket);
        if !is_typical {
            // It has sat out a stall, or an ejection: others will not.
            return;
        }
        self.lambda.learn(
            &self.route,
            &Executed {
                input_bytes: self.input_bytes,
                company: self.company,
                latency,
                report: &report,
                now,
            },
        );
    }

    /// The destination answered, but the time it took says nothing: an application error, the
    /// acknowledgement of an asynchronous request. Only its health and what is known of its queue
    /// profit.
    pub fn answered(mut self, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        self.serves(now);
    }

    /// The destination turned the request down, unexecuted, because the wait would exceed
    /// [`Pick::max_wait`]: try elsewhere, nothing is wrong with it. Turning down everything, or a
    /// trial, which has no such condition, is a fault, though, and ends in its ejection.
    pub fn refused(mut self, report: &Report, now: Nanos) {
        let report = report.credible(Nanos::MAX);
        self.end(&report, now);
        self.lambda.broker().refusals().spend();
        if self.destination().load().refused(&report) || self.is_trial() {
            self.eject(now);
        } else {
            self.serves(now);
        }
    }

    /// The way to the destination is broken: it cannot be reached, or does not answer any more. It is
    /// ejected.
    pub fn failed(self, now: Nanos) {
        self.destination().health().count_failure();
        self.eject(now);
    }

    /// The destination can be reached but answered with nonsense, or that it cannot serve. It is
    /// ejected if it [stands out](crate::Health) by that. An error of the application is no failure
    /// in this sense.
    pub fn misbehaved(self, now: Nanos) {
        let health = self.destination().health();
        health.count_failure();
        if self.is_trial()
            || self
                .lambda
                .with_routes(|routes| stands_out(&self.route, routes))
        {
            self.eject(now);
        } else {
            self.lambda.failed(&self.route, now);
        }
    }

    /// The destination turned the request down, unexecuted, because it has too much to do, at least
    /// for this lambda, which leaves it alone for `push_back`, between a millisecond and two seconds;
    /// if it does not say, for longer each time. Others may well find room there: a computer has a
    /// queue for each lambda.
    pub fn overloaded(mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        // A platform that answers works.
        self.destination().health().succeeded(self.ticket, now);
        let ticket = self.lambda_ticket;
        self.lambda.pushed_back(&self.route, ticket, push_back, now);
    }

    /// The same where the destination says so of itself as a whole: all lambdas leave it alone.
    pub fn all_overloaded(mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        let destination = self.destination();
        destination
            .health()
            .pushed_back(self.ticket, push_back, now);
        if let Some(limit) = destination.adaptive_limit() {
            limit.overloaded(now);
        }
    }

    /// Another destination answered the same request first, although this one had more time than it
    /// usually takes. A few of those in a row, without an answer in between, set the destination aside
    /// as [stalled](crate::Health); a trial that ends so has failed.
    pub fn outrun(self, now: Nanos) {
        let destination = self.destination();
        if self.ticket.is_trial() {
            destination.health().failed(self.ticket, now);
        } else if destination.silence().was_outrun() {
            destination.health().stall(now);
        }
    }

    /// It answered.
    fn serves(&self, now: Nanos) {
        self.destination().health().succeeded(self.ticket, now);
        self.lambda.answered(&self.route, self.lambda_ticket);
    }

    fn eject(&self, now: Nanos) {
        if let Some(limit) = self.destination().adaptive_limit() {
            limit.lost(now);
        }
        self.destination().health().failed(self.ticket, now);
        self.lambda.failed(&self.route, now);
    }

    fn end(&mut self, report: &Report, now: Nanos) {
        self.ended = true;
        let destination = self.route.destination();
        destination.end();
        destination.silence().broken();
        destination
            .load()
            .heard(report, destination.in_flight(), now);
    }
}

fn span(seconds: f32) -> Nanos {
    Nanos::from_secs_f64(f64::from(seconds))
}

impl Drop for Pick {
    fn drop(&mut self) {
        let destination = self.route.destination();
        // No effect after an answer or a failure, which ended the trial already.
        destination.health().abandoned(self.ticket);
        self.route.terms().abandoned(self.lambda_ticket);
        if !self.ended {
            destination.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_about_is_small() {
        assert!(size_of::<Choice>() <= 48);
        assert!(size_of::<Pick>() <= 64);
        // With what says whether there is one.
        assert_eq!(size_of::<Option<Pick>>(), size_of::<Pick>());
    }
}
