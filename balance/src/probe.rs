//! Questions to destinations: how busy are you, and what would this request take?

use crate::policy::{Chosen, Wanted};
use crate::route::SharedRoute;
use crate::table::Lambda;
use crate::{Destination, Nanos, Report};
use smallvec::SmallVec;
use std::sync::Arc;

/// A probe that a policy wants sent, beside a request or before it. Say what came back with
/// [`answered`](Probe::answered); one that is dropped was lost, which ejects nobody: requests find
/// out soon enough.
#[derive(Debug)]
pub struct Probe {
    lambda: Arc<Lambda>,
    /// None after the answer.
    route: Option<SharedRoute>,
    /// Own requests at the destination when the probe was made.
    in_flight: u32,
    made: Nanos,
}

/// Probes to send at the occasion of one request. Usually there are none or a few, which need no
/// heap.
pub type Probes = SmallVec<[Probe; 4]>;

impl Probe {
    pub(crate) fn new(lambda: Arc<Lambda>, route: SharedRoute, now: Nanos) -> Self {
        let in_flight = route.destination().in_flight();
        Probe {
            lambda,
            route: Some(route),
            in_flight,
            made: now,
        }
    }

    fn route(&self) -> &SharedRoute {
        self.route.as_ref().expect("an answer consumes the probe")
    }

    /// Whom to ask.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        self.route().destination()
    }

    /// Whether the destination executes lambdas itself. Those that forward may take a probe for a
    /// request, so they are better left in peace.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.route().is_final()
    }

    /// The answer came after `latency`; `estimate` is how long the destination expects a request to
    /// take there, waiting included.
    pub fn answered(
        mut self,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
    ) {
        if let Some(route) = self.route.take() {
            let route = Chosen::Own(route);
            self.lambda
                .probed(route, latency, estimate, report, now, Wanted::ALL);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(route) = &self.route {
            self.lambda.unanswered(route, self.made);
        }
    }
}

/// What destinations say about one request, which has not been picked yet.
#[derive(Debug, Default)]
pub struct Answers {
    answers: Vec<Answer>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    route: SharedRoute,
    /// Until the answer came.
    pub(crate) latency: Nanos,
    /// How long the destination expects the request to take there, waiting included.
    pub(crate) estimate: Nanos,
    /// Own requests there when it was asked: what came since, the estimate may not know of.
    pub(crate) in_flight: u32,
}

impl Answers {
    /// Nobody was asked, or nobody answered.
    pub(crate) const NONE: &'static Answers = &Answers {
        answers: Vec::new(),
    };

    /// The answer came after `latency`; see [`Probe::answered`], which this implies.
    pub fn take(
        &mut self,
        probe: Probe,
        latency: Nanos,
        estimate: Nanos,
        report: &Report,
        now: Nanos,
    ) {
        self.answers.push(Answer {
            route: SharedRoute::clone(probe.route()),
            latency,
            estimate,
            in_flight: probe.in_flight,
        });
        probe.answered(latency, Some(estimate), report, now);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn of(&self, route: &SharedRoute) -> Option<&Answer> {
        self.answers
            .iter()
            .find(|answer| SharedRoute::ptr_eq(&answer.route, route))
    }
}
