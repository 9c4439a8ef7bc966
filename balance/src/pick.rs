//! A request's hold on the destination that was picked for it, until it tells how it ended.

use crate::health::Ticket;
use crate::route::Route;
use crate::{Destination, Nanos};
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
}

/// The destination of one request. While it lives the request counts as in flight there; say how it
/// ended with [`succeeded`](Pick::succeeded), [`answered`](Pick::answered) or
/// [`failed`](Pick::failed). Dropping it instead means that the request was abandoned (cancelled,
/// its client gone), which teaches nothing.
#[derive(Debug)]
#[must_use = "dropping a pick tells that its request was abandoned"]
pub struct Pick {
    route: Arc<Route>,
    ticket: Ticket,
}

impl Pick {
    pub(crate) fn new(route: Arc<Route>) -> Self {
        let ticket = route.destination().health().ticket();
        Pick::with_ticket(route, ticket)
    }

    /// The trial of an ejected destination, if this request may be it.
    pub(crate) fn trial(route: &Arc<Route>, now: Nanos) -> Option<Self> {
        let ticket = route.destination().health().try_trial(now)?;
        Some(Pick::with_ticket(Arc::clone(route), ticket))
    }

    fn with_ticket(route: Arc<Route>, ticket: Ticket) -> Self {
        route.destination().begin();
        Pick { route, ticket }
    }

    /// Where the request goes.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        self.route.destination()
    }

    /// Whether this request finds out if an ejected destination is back. It is likelier than others
    /// to fail, so it deserves protection (trying elsewhere when it never left).
    #[must_use]
    pub fn is_trial(&self) -> bool {
        self.ticket.is_trial()
    }

    /// The answer is fine and took `latency`, which becomes a sample.
    pub fn succeeded(self, latency: Nanos, now: Nanos) {
        self.route.learn(latency, now);
        self.answered(now);
    }

    /// The destination answered, but the time it took says nothing: an application error, the
    /// acknowledgement of an asynchronous request. Only its health profits.
    pub fn answered(self, _now: Nanos) {
        self.destination().health().succeeded(self.ticket);
    }

    /// The transport failed, or the destination said that it is overloaded: it is ejected. An error
    /// of the application is no failure in this sense.
    pub fn failed(self, now: Nanos) {
        self.destination().health().failed(self.ticket, now);
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let destination = self.route.destination();
        // No effect after an answer or a failure, which ended the trial already.
        destination.health().abandoned(self.ticket);
        destination.end();
    }
}
