//! Requests to one end-point: so many in flight, each followed by the next, or so many per second.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_client::pacer::Pacer;
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::ResponseView;
use edge_transport::tls::ClientConfig;
use edge_transport::{ClientOptions, Core, DEFAULT_DEADLINE, Endpoint, LambdaCall, LambdaClient};
use hdrhistogram::Histogram;
use prost::Message as _;
use rand::SeedableRng as _;
use rand_distr::{Distribution as _, Exp};
use rand_pcg::Pcg64Mcg;

/// What a load has measured.
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

/// An encoded request for `lambda` with `bytes` bytes of input.
pub(crate) fn message(lambda: &str, bytes: usize) -> Bytes {
    let request = LambdaRequest::new(lambda, "A".repeat(bytes));
    Bytes::from(request.encode_to_vec())
}

/// Connections to one end-point, which stay open from one load to the next.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    clients: Arc<[LambdaClient]>,
    endpoint: Endpoint,
}

impl Caller {
    /// So many connections, encrypted with `tls`.
    pub(crate) fn new(
        endpoint: Endpoint,
        connections: usize,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let options = Arc::new(ClientOptions {
            tls,
            ..ClientOptions::default()
        });
        let client = |_| LambdaClient::new(Core::current(), options.clone());
        Self {
            clients: (0..connections).map(client).collect(),
            endpoint,
        }
    }

    /// Sends one request over each connection, so that all are open.
    pub(crate) async fn open_all(&self, message: &Bytes) -> anyhow::Result<()> {
        for client in &*self.clients {
            self.ask(client, message).await?;
        }
        Ok(())
    }

    /// Keeps `in_flight` requests in flight for a while, each of one connection; `messages` are
    /// sent in turn. Any error ends the benchmark: a figure of a run with errors is none.
    pub(crate) async fn closed_loop(
        &self,
        messages: &Arc<[Bytes]>,
        in_flight: usize,
        duration: Duration,
    ) -> anyhow::Result<Measured> {
        let until = Instant::now() + duration;
        let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        measured(async |latencies| {
            let workers: Vec<_> = (0..in_flight)
                .map(|number| {
                    let (caller, messages) = (self.clone(), messages.clone());
                    let (next, latencies) = (next.clone(), latencies.clone());
                    tokio::spawn(async move {
                        let client = &caller.clients[number % caller.clients.len()];
                        loop {
                            let sent = Instant::now();
                            if sent >= until {
                                return anyhow::Ok(());
                            }
                            let turn = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            caller.ask(client, &messages[turn % messages.len()]).await?;
                            latencies.record(sent.elapsed())?;
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.await??;
            }
            Ok(())
        })
        .await
    }

    /// Sends `rate` requests per second for a while, at random intervals (Poisson) that depend on
    /// `seed` only. Latency counts from when a request was due.
    pub(crate) async fn open_loop(
        &self,
        message: &Bytes,
        rate: f64,
        duration: Duration,
        seed: u64,
    ) -> anyhow::Result<Measured> {
        /// Requests under way beyond which the rate is too high for whoever answers.
        const MOST_UNDER_WAY: usize = 10_000;
        let intervals = Exp::new(rate)?;
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let pacer = Pacer::new()?;
        let started = Instant::now();
        measured(async |latencies| {
            let mut calls = tokio::task::JoinSet::new();
            let mut due = Duration::ZERO;
            for number in 0.. {
                due += Duration::from_secs_f64(intervals.sample(&mut random));
                if due > duration {
                    break;
                }
                let due = started + due;
                pacer.until(due).await?;
                let (caller, message) = (self.clone(), message.clone());
                let latencies = latencies.clone();
                calls.spawn(async move {
                    let client = &caller.clients[number % caller.clients.len()];
                    caller.ask(client, &message).await?;
                    latencies.record(due.elapsed())
                });
                while let Some(done) = calls.try_join_next() {
                    done??;
                }
                anyhow::ensure!(
                    calls.len() < MOST_UNDER_WAY,
                    "{rate:.0} requests/s are more than can be answered"
                );
            }
            while let Some(done) = calls.join_next().await {
                done??;
            }
            Ok(())
        })
        .await
    }

    async fn ask(&self, client: &LambdaClient, message: &Bytes) -> anyhow::Result<()> {
        let call = LambdaCall {
            message: message.clone(),
            metadata: http::HeaderMap::new(),
            deadline: Instant::now() + DEFAULT_DEADLINE,
        };
        let reply = client.call(&self.endpoint, &call).await?;
        let view = ResponseView::parse(&reply.message)?;
        anyhow::ensure!(view.is_ok(), "the answer is '{}'", view.retcode);
        Ok(())
    }
}

/// Latencies that all requests of a load put together.
#[derive(Debug, Clone)]
struct Latencies(Arc<Mutex<Histogram<u64>>>);

impl Latencies {
    fn record(&self, latency: Duration) -> anyhow::Result<()> {
        let nanos = u64::try_from(latency.as_nanos())?;
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(histogram.record(nanos)?)
    }
}

/// Runs a load and tells what it has measured.
async fn measured<F>(load: impl FnOnce(Latencies) -> F) -> anyhow::Result<Measured>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let latencies = Latencies(Arc::new(Mutex::new(Histogram::new(3)?)));
    let started = Instant::now();
    load(latencies.clone()).await?;
    let elapsed = started.elapsed();
    let histogram = latencies.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Measured {
        requests: histogram.len(),
        elapsed,
        latencies: histogram.clone(),
    })
}
