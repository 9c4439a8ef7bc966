//! What a request that was sent takes along, and what its end tells.

use crate::health::Ticket;
use crate::outlier::stands_out;
use crate::pick::Reason;
use crate::policy::{Choice, Executed, Forecast, Predicted, Wanted};
use crate::route::SharedRoute;
use crate::table::Lambda;
use crate::terms::LambdaTicket;
use crate::{Destination, Nanos, Report, Request};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::sync::Arc;

/// Who counts requests in flight.
pub(crate) trait Counting {
    /// Counts one more, which is expected to take so many seconds, and tells how many there are.
    fn begin(to: &Arc<Destination>, expected: impl FnOnce() -> f32, now: Nanos) -> u32;

    /// Counts one less.
    fn end(to: &Destination);
}

/// All threads of a broker.
#[derive(Debug)]
pub(crate) enum Threads {}

/// A single thread, that of somebody who simulates a broker.
#[derive(Debug)]
pub(crate) enum OneThread {}

impl Counting for Threads {
    #[inline]
    fn begin(to: &Arc<Destination>, expected: impl FnOnce() -> f32, now: Nanos) -> u32 {
        to.begin(expected(), now)
    }

    #[inline]
    fn end(to: &Destination) {
        to.end();
    }
}

impl Counting for OneThread {
    #[inline]
    fn begin(to: &Arc<Destination>, _expected: impl FnOnce() -> f32, now: Nanos) -> u32 {
        to.begin_alone(now)
    }

    #[inline]
    fn end(to: &Destination) {
        to.end_alone();
    }
}

/// What is known of a request that counts as in flight at the destination of a route, beside which
/// route that is: whoever has it keeps the route and its lambda in one way or another, so that
/// [`Ending`] gets all of it.
#[derive(Debug)]
pub(crate) struct Sent {
    ticket: Ticket,
    lambda_ticket: LambdaTicket,
    pub(crate) reason: Reason,
    /// Nanoseconds.
    max_wait: Option<NonZeroU64>,
    pub(crate) predicted: Option<Predicted>,
    /// Requests of this broker there when this one was sent, this one included.
    company: u32,
    input_bytes: usize,
    /// Elsewhere, since few policies have any and picks are moved about.
    pub(crate) forecast: Option<Box<Forecast>>,
    ended: bool,
}

impl Sent {
    /// The request goes where the policy wants it. The choice is not moved, nor is what is made of it: it takes
    /// long to copy in large pieces what has just been written in small ones.
    #[inline(always)]
    pub(crate) fn of<C: Counting>(
        choice: &mut Choice<'_>,
        request: &Request<'_>,
        any_healthy: bool,
        now: Nanos,
    ) -> Self {
        let Choice {
            ref route,
            max_wait,
            predicted,
            explored,
            spare: _,
            ref mut forecast,
        } = *choice;
        let reason = match (any_healthy, explored) {
            (false, _) => Reason::LastResort,
            (true, true) => Reason::Exploration,
            (true, false) => Reason::Best,
        };
        let route = route.route();
        let ticket = route.destination().health().ticket();
        let lambda_ticket = route.terms().ticket();
        let expected = || predicted.map_or_else(|| route.expected(), |predicted| predicted.seconds);
        let company = C::begin(route.destination(), expected, now);
        Sent {
            ticket,
            lambda_ticket,
            reason,
            max_wait,
            predicted,
            company,
            input_bytes: request.input_bytes,
            forecast: forecast.take(),
            ended: false,
        }
    }

    /// The trial of a destination that is set aside, for this lambda or altogether, if this request
    /// may be it. It is unconditional: a destination on trial is to show that it executes.
    pub(crate) fn trial<C: Counting>(
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
        Sent::on_trial::<C>(request, route, ticket, now)
    }

    /// The same for one that is badly needed, before its time.
    pub(crate) fn early_trial<C: Counting>(
        request: &Request<'_>,
        route: &SharedRoute,
        now: Nanos,
    ) -> Option<Self> {
        let ticket = route.destination().health().try_early_trial(now)?;
        Sent::on_trial::<C>(request, route, ticket, now)
    }

    fn on_trial<C: Counting>(
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
        let company = C::begin(route.destination(), || route.expected(), now);
        Some(Sent {
            ticket,
            lambda_ticket,
            reason: Reason::Trial,
            max_wait: None,
            predicted: None,
            company,
            input_bytes: request.input_bytes,
            forecast: None,
            ended: false,
        })
    }

    pub(crate) fn is_trial(&self) -> bool {
        self.ticket.is_trial() || self.lambda_ticket.is_trial()
    }

    pub(crate) fn max_wait(&self) -> Option<Nanos> {
        self.max_wait.map(|nanos| Nanos(nanos.get()))
    }
}

/// The end of a request, of which there is one: what there is to know of it, once for all who hold picks
/// in their own ways. See [`Pick`](crate::Pick) for what the methods mean. After any of them, or
/// without one if the request was abandoned, [`over`](Ending::over) is to be called.
pub(crate) struct Ending<'a, C> {
    pub(crate) lambda: &'a Lambda,
    pub(crate) route: &'a SharedRoute,
    pub(crate) sent: &'a mut Sent,
    /// What is to be learnt.
    pub(crate) wanted: Wanted,
    pub(crate) counting: PhantomData<C>,
}

impl<C: Counting> Ending<'_, C> {
    #[inline]
    pub(crate) fn succeeded(&mut self, latency: Nanos, report: &Report, now: Nanos) {
        let report = report.credible(latency);
        self.end(&report, now);
        let health = self.route.destination().health();
        let is_typical = health.is_current(self.sent.ticket);
        health.succeeded(self.sent.ticket, now);
        self.lambda.answered(self.route, self.sent.lambda_ticket);
        if !is_typical {
            // It has sat out a stall, or an ejection: others will not.
            return;
        }
        self.lambda.learn(
            self.route,
            &Executed {
                input_bytes: self.sent.input_bytes,
                company: self.sent.company,
                latency,
                report: &report,
                now,
            },
            self.wanted,
        );
    }

    pub(crate) fn answered(&mut self, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        self.serves(now);
    }

    pub(crate) fn refused(&mut self, report: &Report, now: Nanos) {
        let report = report.credible(Nanos::MAX);
        self.end(&report, now);
        self.lambda.broker().refusals().spend();
        if self.route.destination().load().refused(&report) || self.sent.is_trial() {
            self.eject(now);
        } else {
            self.serves(now);
        }
    }

    pub(crate) fn failed(&mut self, now: Nanos) {
        self.route.destination().health().count_failure();
        self.eject(now);
    }

    pub(crate) fn misbehaved(&mut self, now: Nanos) {
        let health = self.route.destination().health();
        health.count_failure();
        if self.sent.is_trial()
            || self
                .lambda
                .with_routes(|routes| stands_out(self.route, routes))
        {
            self.eject(now);
        } else {
            self.lambda.failed(self.route, now);
        }
    }

    pub(crate) fn overloaded(&mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        // A platform that answers works.
        self.route
            .destination()
            .health()
            .succeeded(self.sent.ticket, now);
        let ticket = self.sent.lambda_ticket;
        self.lambda.pushed_back(self.route, ticket, push_back, now);
    }

    pub(crate) fn all_overloaded(&mut self, push_back: Option<Nanos>, report: &Report, now: Nanos) {
        self.end(&report.credible(Nanos::MAX), now);
        let destination = self.route.destination();
        destination
            .health()
            .pushed_back(self.sent.ticket, push_back, now);
        if let Some(limit) = destination.adaptive_limit() {
            limit.overloaded(now);
        }
    }

    pub(crate) fn outrun(&mut self, now: Nanos) {
        let destination = self.route.destination();
        if self.sent.ticket.is_trial() {
            destination.health().failed(self.sent.ticket, now);
        } else if destination.silence().was_outrun() {
            destination.health().stall(now);
        }
    }

    fn serves(&self, now: Nanos) {
        self.route
            .destination()
            .health()
            .succeeded(self.sent.ticket, now);
        self.lambda.answered(self.route, self.sent.lambda_ticket);
    }

    fn eject(&self, now: Nanos) {
        if let Some(limit) = self.route.destination().adaptive_limit() {
            limit.lost(now);
        }
        self.route
            .destination()
            .health()
            .failed(self.sent.ticket, now);
        self.lambda.failed(self.route, now);
    }

    #[inline]
    fn end(&mut self, report: &Report, now: Nanos) {
        self.sent.ended = true;
        let destination = self.route.destination();
        C::end(destination);
        if self.wanted.load {
            destination.silence().broken();
            destination
                .load()
                .heard(report, destination.in_flight(), now);
        }
    }

    /// Nothing more is to be told.
    #[inline]
    pub(crate) fn over(&mut self) {
        let destination = self.route.destination();
        // No effect after an answer or a failure, which ended the trial already.
        destination.health().abandoned(self.sent.ticket);
        self.route.terms().abandoned(self.sent.lambda_ticket);
        if !self.sent.ended {
            C::end(destination);
        }
    }
}
