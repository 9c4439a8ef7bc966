//! The requests of a simulation, sent to real routers when they are due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edge_client::{Client, payload};
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, LambdaClient};
use tokio::task::JoinSet;

use super::super::arrivals::ArrivalStream;
use super::super::scenario::Scenario;
use super::world::{LAMBDA, SECONDS_PER_BYTE, World};

/// Figures of a run, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) mean: f64,
    pub(super) p95: f64,
}

/// How long a client waits for an answer; all of them come far earlier.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Requests that measure the overhead, and the bytes of each.
const SAMPLES: usize = 41;
const SAMPLE_BYTES: usize = 200;

/// Sends the requests of a scenario, each when it is due, and measures those after the warm-up.
/// Any error ends the run: a figure of a run with errors is none.
pub(super) async fn run(
    world: &World,
    scenario: &Scenario,
    seed: u64,
    answered: impl Fn(),
) -> anyhow::Result<Measured> {
    let clients = clients(world);
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(scenario.requests)));
    let uncounted = (scenario.warm_up * scenario.requests as f64) as usize;
    let mut arrivals = ArrivalStream::new(scenario, seed);
    let mut calls: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let started = Instant::now();
    for number in 0..scenario.requests {
        let arrival = arrivals.next();
        tokio::time::sleep_until((started + Duration::from_nanos(arrival.at)).into()).await;
        let client = clients[arrival.router as usize].clone();
        let latencies = Arc::clone(&latencies);
        calls.spawn(async move {
            let latency = call(&client, bytes(arrival.work)).await?;
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
    let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
    latencies.sort_by(f64::total_cmp);
    Ok(Measured {
        mean: latencies.iter().sum::<f64>() / latencies.len() as f64,
        p95: latencies[latencies.len() * 95 / 100],
    })
}

/// Seconds that a request takes beside its execution, when nobody else is there: the median of
/// some, one after the other, over all routers.
pub(super) async fn overhead(world: &World) -> anyhow::Result<f64> {
    let clients = clients(world);
    let mut overheads = Vec::new();
    for number in 0..SAMPLES {
        let client = &clients[number % clients.len()];
        let request = LambdaRequest::new(LAMBDA, payload::of_size(SAMPLE_BYTES));
        let answer = client.call(&request, TIMEOUT).await?;
        let execution = answer.response.service_us as f64 * 1e-6;
        overheads.push(answer.latency.as_secs_f64() - execution);
    }
    overheads.sort_by(f64::total_cmp);
    Ok(overheads[SAMPLES / 2].max(0.0))
}

fn clients(world: &World) -> Vec<Client> {
    let transport = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
    let transport = Arc::new(transport);
    let routers = world.routers().into_iter();
    routers
        .map(|router| Client::new(Arc::clone(&transport), router))
        .collect()
}

async fn call(client: &Client, bytes: usize) -> anyhow::Result<Duration> {
    let request = LambdaRequest {
        idempotent: true,
        ..LambdaRequest::new(LAMBDA, payload::of_size(bytes))
    };
    Ok(client.call(&request, TIMEOUT).await?.latency)
}

/// The input that is so much work.
fn bytes(work: f64) -> usize {
    (work / SECONDS_PER_BYTE).round().max(1.0) as usize
}
