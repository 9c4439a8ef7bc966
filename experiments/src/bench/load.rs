//! A closed loop: so many requests in flight, each followed by the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::ResponseView;
use edge_transport::{ClientOptions, Core, DEFAULT_DEADLINE, Endpoint, LambdaCall, LambdaClient};
use hdrhistogram::Histogram;
use prost::Message as _;

/// What a loop has measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Answers.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Latencies, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Measured {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of the latencies, in microseconds.
    pub(crate) fn percentile_us(&self, percentile: f64) -> f64 {
        self.latencies.value_at_percentile(percentile) as f64 / 1e3
    }
}

/// Keeps `in_flight` requests of `bytes` bytes of input in flight for a while.
/// Any error ends the benchmark: a figure of a run with errors is none.
pub(crate) async fn closed_loop(
    endpoint: &Endpoint,
    in_flight: usize,
    bytes: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let client = Arc::new(LambdaClient::new(
        Core::current(),
        Arc::new(ClientOptions::default()),
    ));
    let request = LambdaRequest::new("bench", "A".repeat(bytes));
    let message = Bytes::from(request.encode_to_vec());
    let started = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let worker = worker(
                client.clone(),
                endpoint.clone(),
                message.clone(),
                started + duration,
            );
            tokio::spawn(worker)
        })
        .collect();
    let mut latencies = Histogram::new(3)?;
    for worker in workers {
        latencies.add(worker.await??)?;
    }
    Ok(Measured {
        requests: latencies.len(),
        elapsed: started.elapsed(),
        latencies,
    })
}

async fn worker(
    client: Arc<LambdaClient>,
    endpoint: Endpoint,
    message: Bytes,
    until: Instant,
) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    loop {
        let sent = Instant::now();
        if sent >= until {
            return Ok(latencies);
        }
        let call = LambdaCall {
            message: message.clone(),
            metadata: edge_transport::Metadata::new(),
            deadline: sent + DEFAULT_DEADLINE,
        };
        let reply = client.call(&endpoint, &call).await?;
        latencies.record(u64::try_from(sent.elapsed().as_nanos())?)?;
        let view = ResponseView::parse(&reply.message)?;
        anyhow::ensure!(view.is_ok(), "the answer is '{}'", view.retcode);
    }
}
