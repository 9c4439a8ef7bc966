//! Questions before a pick: what would this request take at your place?

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_balance::{Answers, Nanos, Probe};
use edge_proto::view::ResponseView;
use edge_transport::{LambdaCall, LambdaClient, Metadata};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::pending::PendingLimit;
use crate::clock::Clock;
use crate::metrics::Counters;
use crate::report::report;

/// Asks destinations, as many as the table says and all at the same time.
#[derive(Debug)]
pub(super) struct Inquirer {
    patience: Duration,
    /// Questions under way to one destination.
    places: Option<PendingLimit>,
}

impl Inquirer {
    /// Waits for answers no longer than `patience`, asking each destination at
    /// most `most` questions at the same time.
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        Self {
            patience,
            places: PendingLimit::new(most),
        }
    }

    /// What the destinations say about `question` until all have answered or
    /// time is up. Questions that are open then are cancelled.
    pub(super) async fn ask(
        &self,
        probes: Vec<Probe>,
        question: &Bytes,
        deadline: Instant,
        client: &Arc<LambdaClient>,
        clock: Clock,
        counters: &Counters,
    ) -> Answers {
        let call = LambdaCall {
            message: question.clone(),
            metadata: Metadata::new(),
            deadline: deadline.min(Instant::now() + self.patience),
        };
        let mut open: FuturesUnordered<_> = probes
            .into_iter()
            .map(|probe| self.ask_one(probe, &call, client, counters))
            .collect();
        let until = tokio::time::Instant::from_std(call.deadline);
        let mut answers = Answers::default();
        while let Ok(Some(answered)) = tokio::time::timeout_at(until, open.next()).await {
            if let Some((probe, latency, reply)) = answered
                && let Ok(view) = ResponseView::parse(&reply)
                && view.is_ok()
            {
                let estimate = Nanos::from_millis(view.ptime_ms.into());
                let report = report(&view);
                answers.take(probe, latency, estimate, &report, clock.now());
            }
        }
        answers
    }

    /// None if it does not answer: requests find out why.
    async fn ask_one(
        &self,
        probe: Probe,
        call: &LambdaCall,
        client: &LambdaClient,
        counters: &Counters,
    ) -> Option<(Probe, Nanos, Bytes)> {
        let name = probe.destination().name();
        let _place = match &self.places {
            None => None,
            Some(places) => Some(places.acquire(name, call.deadline).await.ok()?),
        };
        counters.probed();
        let asked = Instant::now();
        let reply = client.call_by_name(name, call).await.ok()?;
        Some((probe, Nanos::from(asked.elapsed()), reply.message))
    }

    /// Forgets destinations that are not in `used`.
    pub(super) fn retain(&self, used: &std::collections::HashSet<&str>) {
        if let Some(places) = &self.places {
            places.retain(used);
        }
    }
}
