//! Probes: dry requests that ask destinations how busy they are, beside the requests of clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_balance::{Nanos, Probe};
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::ResponseView;
use edge_transport::{LambdaCall, LambdaClient};
use http::HeaderMap;
use prost::Message as _;

use crate::clock::Clock;
use crate::metrics::Counters;
use crate::report::report;

/// Probes under way at the same time, per core; what is beyond is not sent.
const MOST_UNDER_WAY: usize = 64;
/// A probe that takes longer tells nothing any more.
const DEADLINE: Duration = Duration::from_secs(1);

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
    /// Sends `probe` about `lambda` on its own task, if its destination executes lambdas itself and
    /// there are not too many under way.
    pub(crate) fn send(
        &self,
        probe: Probe,
        lambda: &str,
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
        let call = LambdaCall {
            message: dry(lambda),
            metadata: HeaderMap::new(),
            deadline: Instant::now() + DEADLINE,
        };
        let client = client.clone();
        tokio::spawn(async move {
            let _under_way = under_way;
            let sent = Instant::now();
            let answered = client.call_by_name(probe.destination().name(), &call);
            // What goes wrong with a probe, requests will find out for themselves.
            let Ok(Ok(reply)) = tokio::time::timeout(DEADLINE, answered).await else {
                return;
            };
            let Ok(view) = ResponseView::parse(&reply.message) else {
                return;
            };
            if view.is_ok() {
                let estimate = Nanos::from_millis(view.ptime_ms.into());
                let latency = Nanos::from(sent.elapsed());
                let report = report(&view, latency);
                probe.answered(latency, Some(estimate), &report, clock.now());
            }
        });
    }
}

fn dry(lambda: &str) -> Bytes {
    let request = LambdaRequest {
        name: lambda.to_owned(),
        dry: true,
        forward: true,
        hops: 1,
        ..LambdaRequest::default()
    };
    request.encode_to_vec().into()
}
