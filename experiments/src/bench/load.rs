//! Requests to one end-point: so many in flight, each followed by the next, or so many per second.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_client::pacer::Pacer;
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::ResponseView;
use edge_transport::tls::ClientConfig;
use edge_transport::{
    ClientOptions, Core, DEFAULT_DEADLINE, Endpoint, LambdaCall, LambdaClient, Metadata, quic,
};
use hdrhistogram::Histogram;
use prost::Message as _;
use rand::SeedableRng as _;
use rand_distr::{Distribution as _, Exp};
use rand_pcg::Pcg64Mcg;

/// Before the next request after one that has failed.
const BREATH: Duration = Duration::from_millis(1);

/// Whoever is asked does not keep up.
#[derive(Debug, thiserror::Error)]
#[error("{rate:.0} requests/s are more than can be answered")]
pub(crate) struct TooMany {
    rate: f64,
}

/// What a load has measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Answers.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Latencies of answers, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Requests without an answer, or with a wrong one.
    pub(crate) errors: u64,
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
            quic: quic::Options {
                tls: tls.clone(),
                ..quic::Options::default()
            },
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

    /// Keeps `in_flight` requests in flight for a while; `messages` are sent, and connections used,
    /// in turn. Errors are counted: not everybody stands every load.
    pub(crate) async fn closed_loop(
        &self,
        messages: &Arc<[Bytes]>,
        in_flight: usize,
        duration: Duration,
    ) -> anyhow::Result<Measured> {
        let until = Instant::now() + duration;
        let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        measured(async |record| {
            let workers: Vec<_> = (0..in_flight)
                .map(|_| {
                    let (caller, messages) = (self.clone(), messages.clone());
                    let (next, record) = (next.clone(), record.clone());
                    tokio::spawn(async move {
                        loop {
                            let sent = Instant::now();
                            if sent >= until {
                                return anyhow::Ok(());
                            }
                            let turn = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            let client = &caller.clients[turn % caller.clients.len()];
                            let message = &messages[turn % messages.len()];
                            let answered = caller.ask(client, message).await.is_ok();
                            record.outcome(answered, sent)?;
                            if !answered {
                                tokio::time::sleep(BREATH).await;
                            }
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
        measured(async |record| {
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
                let record = record.clone();
                calls.spawn(async move {
                    let client = &caller.clients[number % caller.clients.len()];
                    record.outcome(caller.ask(client, &message).await.is_ok(), due)
                });
                while let Some(done) = calls.try_join_next() {
                    done??;
                }
                anyhow::ensure!(calls.len() < MOST_UNDER_WAY, TooMany { rate });
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
            metadata: Metadata::new(),
            deadline: Instant::now() + DEFAULT_DEADLINE,
        };
        let reply = client.call(&self.endpoint, &call).await?;
        let view = ResponseView::parse(&reply.message)?;
        anyhow::ensure!(view.is_ok(), "the answer is '{}'", view.retcode);
        Ok(())
    }
}

/// What all requests of a load put together.
#[derive(Debug, Clone)]
struct Record(Arc<Mutex<Outcomes>>);

#[derive(Debug)]
struct Outcomes {
    latencies: Histogram<u64>,
    errors: u64,
}

impl Record {
    /// One that was to leave at `since` has ended.
    fn outcome(&self, answered: bool, since: Instant) -> anyhow::Result<()> {
        let nanos = u64::try_from(since.elapsed().as_nanos())?;
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            outcomes.latencies.record(nanos)?;
        } else {
            outcomes.errors += 1;
        }
        Ok(())
    }
}

/// Runs a load and tells what it has measured.
async fn measured<F>(load: impl FnOnce(Record) -> F) -> anyhow::Result<Measured>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let record = Record(Arc::new(Mutex::new(Outcomes {
        latencies: Histogram::new(3)?,
        errors: 0,
    })));
    let started = Instant::now();
    load(record.clone()).await?;
    let elapsed = started.elapsed();
    let outcomes = record.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Measured {
        requests: outcomes.latencies.len(),
        elapsed,
        latencies: outcomes.latencies.clone(),
        errors: outcomes.errors,
    })
}
