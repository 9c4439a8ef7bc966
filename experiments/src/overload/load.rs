//! An open loop of many clients: each request leaves when it is due, on its client's connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_client::{Client, RequestError};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient};
use tokio::task::JoinHandle;

use super::arrivals::Arrival;
use super::clients::Clients;
use super::fate::Fate;

/// What is offered to the router.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) router: Endpoint,
    pub(super) clients: Clients,
    pub(super) lambdas: &'static [&'static str],
    pub(super) arrivals: Vec<Arrival>,
    /// When the load begins.
    pub(super) started: Instant,
    /// How long a client waits, from the moment at which the request was due.
    pub(super) deadline: Duration,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it was due, from the beginning of the load.
    pub(super) due: Duration,
    pub(super) client: usize,
    pub(super) lambda: usize,
    /// How much later it was sent, which is this program's fault.
    pub(super) late: Duration,
    /// From the moment at which it was due until its fate was known.
    pub(super) latency: Duration,
    pub(super) fate: Fate,
}

/// What became of all requests.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// One for each, in the order in which they were due.
    pub(super) samples: Vec<Sample>,
    /// What the first failure of each kind said.
    pub(super) examples: BTreeMap<&'static str, String>,
}

impl Load {
    /// Sends all requests from `core`, and waits for what becomes of them. The load ends early on
    /// `shutdown`.
    pub(super) async fn offer(self, core: Core, shutdown: Shutdown) -> anyhow::Result<Offered> {
        // Timers of the runtime tick once per millisecond; a thread sleeps more precisely.
        let pacing = tokio::task::spawn_blocking(move || self.pace(&core, &shutdown));
        let mut offered = Offered::default();
        for call in pacing.await? {
            let (sample, error) = call.await?;
            if let (Fate::Failed(kind), Some(error)) = (sample.fate, error) {
                let example = offered.examples.entry(kind.name());
                example.or_insert_with(|| error.to_string());
            }
            offered.samples.push(sample);
        }
        Ok(offered)
    }

    fn pace(&self, core: &Core, shutdown: &Shutdown) -> Vec<JoinHandle<Ended>> {
        let clients: Vec<Client> = (0..self.clients.count)
            .map(|client| {
                let options = ClientOptions {
                    source: self.clients.source(client),
                    ..ClientOptions::default()
                };
                let transport = LambdaClient::new(core.clone(), Arc::new(options));
                Client::new(Arc::new(transport), self.router.clone())
            })
            .collect();
        self.arrivals
            .iter()
            .take_while(|_| !shutdown.is_requested())
            .map(|arrival| {
                let due = self.started + arrival.due;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let client = clients[arrival.client].clone();
                let lambda = self.lambdas[arrival.lambda];
                core.spawn(ask(client, lambda, *arrival, due, self.deadline))
            })
            .collect()
    }
}

/// What became of a request, and why if it was not answered.
type Ended = (Sample, Option<RequestError>);

async fn ask(
    client: Client,
    lambda: &'static str,
    arrival: Arrival,
    due: Instant,
    deadline: Duration,
) -> Ended {
    let request = LambdaRequest::new(lambda, "A");
    let late = due.elapsed();
    let answered = client.call(&request, deadline.saturating_sub(late)).await;
    let latency = due.elapsed();
    let error = answered.err();
    let fate = error.as_ref().map_or(Fate::Answered, |error| {
        Fate::of_failure(error, latency, deadline)
    });
    let sample = Sample {
        due: arrival.due,
        client: arrival.client,
        lambda: arrival.lambda,
        late,
        latency,
        fate,
    };
    (sample, error)
}
