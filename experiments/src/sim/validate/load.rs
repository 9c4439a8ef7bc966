//! The requests of a simulation, sent to real routers when they are due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edge_client::{Client, payload};
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, LambdaClient};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::arrivals::ArrivalStream;
use super::super::scenario::Scenario;
use super::world::{ALONE, LAMBDA, SECONDS_PER_BYTE, World};

/// Figures of a run, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) mean: f64,
    pub(super) p95: f64,
}

/// What a run comes to: its figures, and the mean of what a request took beside its execution at a
/// computer where it was alone, measured all along because it depends on how busy the host is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) figures: Measured,
    pub(super) overhead: f64,
}

/// Which requests, and what they declare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests {
    /// Where their randomness starts.
    pub(super) seed: u64,
    /// Whether they may be executed twice.
    pub(super) idempotent: bool,
}

/// How long a client waits for an answer; all of them come far earlier.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two requests that measure the overhead, and the bytes of each.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
const SAMPLE_BYTES: usize = 200;

/// Sends the requests of a scenario, each when it is due, and measures those after the warm-up.
/// Any error ends the run: a figure of a run with errors is none.
pub(super) async fn run(
    world: &World,
    scenario: &Scenario,
    requests: Requests,
    answered: impl Fn(),
) -> anyhow::Result<Run> {
    let clients = clients(world);
    let end = CancellationToken::new();
    let overhead = tokio::spawn(overhead(clients.clone(), end.clone()));
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(scenario.requests)));
    let uncounted = (scenario.warm_up * scenario.requests as f64) as usize;
    let mut arrivals = ArrivalStream::new(scenario, requests.seed);
    let mut calls: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let started = Instant::now();
    for number in 0..scenario.requests {
        let arrival = arrivals.next();
        tokio::time::sleep_until((started + Duration::from_nanos(arrival.at)).into()).await;
        let client = clients[arrival.router as usize].clone();
        let latencies = Arc::clone(&latencies);
        calls.spawn(async move {
            let latency = call(&client, bytes(arrival.work), requests.idempotent).await?;
            if number >= uncounted {
                let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
                latencies.push(latency.as_secs_f64());
            }
            Ok(())
        });
        while let Some(ended) = calls.try_join_next() {
            ended??;
            answered();
        }
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
        answered();
    }
    end.cancel();
    let mut latencies =
        std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
    latencies.sort_by(f64::total_cmp);
    let figures = Measured {
        mean: latencies.iter().sum::<f64>() / latencies.len() as f64,
        p95: latencies[latencies.len() * 95 / 100],
    };
    Ok(Run {
        figures,
        overhead: overhead.await??,
    })
}

/// Mean seconds that a request takes beside its execution, over all routers, until the end.
async fn overhead(clients: Vec<Client>, end: CancellationToken) -> anyhow::Result<f64> {
    let (mut sum, mut samples) = (0.0, 0.0);
    for client in clients.iter().cycle() {
        let request = LambdaRequest::new(ALONE, payload::of_size(SAMPLE_BYTES));
        let answer = client.call(&request, TIMEOUT).await?;
        let execution = answer.response.service_us as f64 * 1e-6;
        sum += (answer.latency.as_secs_f64() - execution).max(0.0);
        samples += 1.0;
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(SAMPLE_EVERY) => {}
        }
    }
    Ok(sum / samples)
}

fn clients(world: &World) -> Vec<Client> {
    let transport = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
    let transport = Arc::new(transport);
    let routers = world.routers().into_iter();
    routers
        .map(|router| Client::new(Arc::clone(&transport), router))
        .collect()
}

async fn call(client: &Client, bytes: usize, idempotent: bool) -> anyhow::Result<Duration> {
    let request = LambdaRequest {
        idempotent,
        ..LambdaRequest::new(LAMBDA, payload::of_size(bytes))
    };
    Ok(client.call(&request, TIMEOUT).await?.latency)
}

/// The input that is so much work.
fn bytes(work: f64) -> usize {
    (work / SECONDS_PER_BYTE).round().max(1.0) as usize
}
