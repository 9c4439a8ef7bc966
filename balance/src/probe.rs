//! A question to a destination that no request waits for: how busy are you?

use crate::route::Route;
use crate::table::Lambda;
use crate::{Destination, Nanos, Report};
use std::sync::Arc;

/// A probe that a policy wants sent. Say what came back with [`answered`](Probe::answered); one that
/// is dropped was lost, which teaches nothing: requests find out soon enough.
#[derive(Debug)]
pub struct Probe {
    lambda: Arc<Lambda>,
    route: Arc<Route>,
}

impl Probe {
    pub(crate) fn new(lambda: Arc<Lambda>, route: Arc<Route>) -> Self {
        Probe { lambda, route }
    }

    /// Whom to ask.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        self.route.destination()
    }

    /// Whether the destination executes lambdas itself. Those that forward may take a probe for a
    /// request, so they are better left in peace.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.route.is_final()
    }

    /// The answer came after `latency`; `estimate` is how long the destination expects a request to
    /// take there, waiting included.
    pub fn answered(self, latency: Nanos, estimate: Option<Nanos>, report: &Report, now: Nanos) {
        self.lambda
            .probed(&self.route, latency, estimate, report, now);
    }
}
