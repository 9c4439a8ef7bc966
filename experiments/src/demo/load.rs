//! The demo's client: requests at a steady rate, whatever becomes of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge_client::{Client, payload};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient};
use tokio_util::task::TaskTracker;

use super::ledger::Ledger;
use super::world::LAMBDA;

/// Bytes of input, which decide how long the simulated lambda takes.
const INPUT_BYTES: usize = 100;
/// How long the client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends requests for `length`, at `rate` per second, and writes each into the
/// ledger. Latency counts from the moment at which a request was due.
pub(crate) async fn run(
    router: Endpoint,
    rate: f64,
    length: Duration,
    ledger: Arc<Mutex<Ledger>>,
    shutdown: Shutdown,
) {
    let transport = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
    let client = Client::new(Arc::new(transport), router);
    let tasks = TaskTracker::new();
    let started = Instant::now();
    for number in 0u32.. {
        let due = Duration::from_secs_f64(f64::from(number) / rate);
        if due >= length {
            break;
        }
        let intended = started + due;
        tokio::select! {
            _ = shutdown.requested() => break,
            () = tokio::time::sleep_until(intended.into()) => {}
        }
        let (client, ledger) = (client.clone(), ledger.clone());
        tasks.spawn(async move {
            let request = LambdaRequest {
                idempotent: true,
                ..LambdaRequest::new(LAMBDA, payload::of_size(INPUT_BYTES))
            };
            let answered = client.call(&request, TIMEOUT).await;
            let latency = intended.elapsed();
            super::lock(&ledger).record(due, latency, answered);
        });
    }
    tasks.close();
    tasks.wait().await;
}
