//! An open loop: each request leaves when it is due, whatever became of those before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_client::{Client, ErrorKind, payload};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient};

use super::arrivals::Arrival;
use super::cell::COMPUTERS;
use super::computer::LAMBDA;

/// Connections to each broker: brokers spread connections, not requests, over their threads.
const CONNECTIONS: usize = 4;

/// What is offered to the brokers of one peer.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) brokers: Vec<Endpoint>,
    pub(super) arrivals: Arc<[Arrival]>,
    /// When the load begins.
    pub(super) started: Instant,
    /// How long a client waits, from the moment at which the request was due.
    pub(super) deadline: Duration,
    pub(super) idempotent: bool,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it was due, from the beginning of the load.
    pub(super) due: Duration,
    /// How much later it was sent, which is this program's fault.
    pub(super) late: Duration,
    /// From the moment at which it was due to its answer or error.
    pub(super) latency: Duration,
    /// Which computer executed it, or why none did.
    pub(super) answer: Result<usize, ErrorKind>,
}

impl Load {
    /// Sends all requests from `core`, and waits for what becomes of them. The load ends early on
    /// `shutdown`.
    pub(super) async fn offer(self, core: Core, shutdown: Shutdown) -> anyhow::Result<Vec<Sample>> {
        // Timers of the runtime tick once per millisecond; a thread sleeps more precisely.
        let pacing = tokio::task::spawn_blocking(move || self.pace(&core, &shutdown));
        let mut samples = Vec::new();
        for call in pacing.await? {
            samples.push(call.await??);
        }
        Ok(samples)
    }

    fn pace(
        &self,
        core: &Core,
        shutdown: &Shutdown,
    ) -> Vec<tokio::task::JoinHandle<anyhow::Result<Sample>>> {
        let options = Arc::new(ClientOptions::default());
        let clients: Vec<Client> = (0..CONNECTIONS)
            .flat_map(|_| &self.brokers)
            .map(|broker| {
                let transport = LambdaClient::new(core.clone(), options.clone());
                Client::new(Arc::new(transport), broker.clone())
            })
            .collect();
        self.arrivals
            .iter()
            .take_while(|_| !shutdown.is_requested())
            .map(|arrival| {
                let due = self.started + arrival.due;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let client = clients[arrival.lane as usize % clients.len()].clone();
                core.spawn(ask(client, *arrival, due, self.deadline, self.idempotent))
            })
            .collect()
    }
}

async fn ask(
    client: Client,
    arrival: Arrival,
    due: Instant,
    deadline: Duration,
    idempotent: bool,
) -> anyhow::Result<Sample> {
    let request = LambdaRequest {
        idempotent,
        ..LambdaRequest::new(LAMBDA, payload::of_size(arrival.bytes))
    };
    let late = due.elapsed();
    let answered = client.call(&request, deadline.saturating_sub(late)).await;
    let latency = due.elapsed();
    let answer = match answered {
        Ok(answer) => {
            let output = &answer.response.output;
            let computer = output.parse().ok().filter(|number| *number < COMPUTERS);
            Ok(computer
                .ok_or_else(|| anyhow::anyhow!("'{output}' is the answer of no computer"))?)
        }
        Err(error) => Err(error.kind()),
    };
    Ok(Sample {
        due: arrival.due,
        late,
        latency,
        answer,
    })
}
