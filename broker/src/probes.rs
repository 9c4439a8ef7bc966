//! Probes: what would this request, which went elsewhere, take at your place, and how busy are you?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_balance::{Nanos, Probe};
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::{RequestView, ResponseView};
use edge_transport::{LambdaClient, Metadata};
use prost::Message as _;

use crate::clock::Clock;
use crate::metrics::Counters;
use crate::report::report;

/// Probes under way at the same time, per core; what is beyond is not sent.
const MOST_UNDER_WAY: usize = 64;
/// Larger requests, in bytes, are not sent twice, just to ask: the question is about none then.
const LARGEST_QUESTION: usize = 4096;
/// A probe that takes longer tells nothing any more.
const DEADLINE: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    message: Bytes,
    /// Whether it has the input on which the time depends that a destination expects.
    about_request: bool,
}

impl Question {
    /// What `message`, which `view` shows, would take.
    pub(crate) fn about(view: &RequestView<'_>, message: &Bytes) -> Self {
        let about_request = message.len() <= LARGEST_QUESTION;
        let message = if about_request {
            view.asking(message)
        } else {
            let request = LambdaRequest {
                name: view.name.to_owned(),
                dry: true,
                forward: true,
                hops: 1,
                ..LambdaRequest::default()
            };
            request.encode_to_vec().into()
        };
        Question {
            message,
            about_request,
        }
    }
}

/// Sends the probes of one core.
#[derive(Debug, Default)]
pub(crate) struct Prober {
    under_way: Arc<AtomicUsize>,
}

/// Counts one probe as under way while it lives.
#[derive(Debug)]
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Prober {
    /// Sends `probe` with a question on its own task, if its destination executes lambdas itself
    /// and there are not too many under way.
    pub(crate) fn send(
        &self,
        probe: Probe,
        question: &Question,
        client: &Arc<LambdaClient>,
        clock: Clock,
        counters: &Counters,
    ) {
        // Brokers of other make pass a dry request on as a real one.
        if !probe.is_final() || self.under_way.load(Ordering::Relaxed) >= MOST_UNDER_WAY {
            return;
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(self.under_way.clone());
        counters.probed();
        let message = question.message.clone();
        let about_request = question.about_request;
        let client = client.clone();
        tokio::spawn(async move {
            let _under_way = under_way;
            let sent = Instant::now();
            let name = probe.destination().name();
            let (message, metadata) = (std::slice::from_ref(&message), Metadata::new());
            let answered = client.send(name, message, &metadata, sent + DEADLINE, sent);
            // What goes wrong with a probe, requests will find out for themselves.
            let Ok(reply) = answered.await else {
                return;
            };
            let over = Instant::now();
            let Ok(view) = ResponseView::parse(&reply.message) else {
                return;
            };
            if view.is_ok() {
                let estimate = about_request.then(|| Nanos::from_millis(view.ptime_ms.into()));
                let latency = Nanos::from(over.saturating_duration_since(sent));
                let report = report(&view);
                probe.answered(latency, estimate, &report, clock.at(over));
            }
        });
    }
}
