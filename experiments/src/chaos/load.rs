//! An open loop of numbered requests: each leaves when it is due, whatever became of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_client::RequestError;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::{
    CallError, ClientOptions, Core, Endpoint, LambdaCall, LambdaClient, Metadata,
};
use prost::Message as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::Exp1;
use rand_pcg::Pcg64;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::request::{self, POISON};

/// Connections to each router: routers spread connections, not requests, over their threads.
const CONNECTIONS: usize = 4;
/// How long a client waits for an answer, from the moment at which the request was due.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// How much longer until a call that has not returned counts as lost.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// What a request carries.
const INPUT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the computers may do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// It may be executed twice.
    Idempotent,
    /// It must not.
    Once,
    /// Its function fails.
    Poison,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Idempotent, Self::Once, Self::Poison];

    /// Its name in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idempotent => "idempotent",
            Self::Once => "once",
            Self::Poison => "poison",
        }
    }
}

/// What is offered.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) routers: Vec<Endpoint>,
    /// Requests per second, on average; arrivals are Poisson.
    pub(super) rate: f64,
    pub(super) seed: u64,
    /// Share of the requests whose function fails.
    pub(super) poisoned: f64,
    pub(super) started: Instant,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// When it was due, from the beginning of the load.
    pub(super) due: Duration,
    /// How much later it was sent, which is this program's fault.
    pub(super) late: Duration,
    /// From the moment at which it was due to its end.
    pub(super) latency: Duration,
    pub(super) end: End,
}

/// How a request ended at the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should: an answer, or, for poison, the error of the function.
    Right,
    /// With that error.
    Error(&'static str),
    /// With the answer to another request.
    Mistaken,
    /// Not at all, long after its deadline.
    Lost,
}

/// A load that is being offered.
#[derive(Debug)]
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    pacing: JoinHandle<Vec<JoinHandle<Sample>>>,
}

impl Running {
    /// Sends nothing more, and waits for what becomes of all requests.
    pub(super) async fn finish(mut self) -> anyhow::Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut samples = Vec::new();
        for call in (&mut self.pacing).await? {
            samples.push(call.await?);
        }
        Ok(samples)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Begins to send from `core`.
    pub(super) fn start(self, core: Core) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // Timers of the runtime tick once per millisecond; a thread sleeps more precisely.
        let pacing = tokio::task::spawn_blocking(move || self.pace(&core, &stopped));
        Running { stop, pacing }
    }

    fn pace(&self, core: &Core, stop: &AtomicBool) -> Vec<JoinHandle<Sample>> {
        let mut random = Pcg64::seed_from_u64(self.seed);
        let clients = self.clients(core);
        let mut calls = Vec::new();
        let mut due = Duration::ZERO;
        for number in 0.. {
            let gap: f64 = random.sample(Exp1);
            due += Duration::from_secs_f64(gap / self.rate);
            let kind = self.kind(number, &mut random);
            let client = clients[random.random_range(0..clients.len())].clone();
            let at = self.started + due;
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            calls.push(core.spawn(async move {
                let late = at.elapsed();
                let asked = client.ask(number, kind, at + DEADLINE);
                let asked = tokio::time::timeout(DEADLINE + GRACE, asked);
                let end = asked.await.unwrap_or(End::Lost);
                Sample {
                    number,
                    kind,
                    due,
                    late,
                    latency: at.elapsed(),
                    end,
                }
            }));
        }
        calls
    }

    /// Every other request may be executed twice.
    fn kind(&self, number: u64, random: &mut Pcg64) -> Kind {
        if random.random_bool(self.poisoned) {
            Kind::Poison
        } else if number.is_multiple_of(2) {
            Kind::Idempotent
        } else {
            Kind::Once
        }
    }

    fn clients(&self, core: &Core) -> Vec<Client> {
        let each = 0..CONNECTIONS * self.routers.len();
        each.map(|number| {
            let mut routers = self.routers.clone();
            let count = routers.len();
            routers.rotate_left(number % count);
            Client::new(core, routers.into())
        })
        .collect()
    }
}

/// A client that knows all routers, in an order of its own.
#[derive(Debug, Clone)]
pub(super) struct Client {
    transport: Arc<LambdaClient>,
    routers: Arc<[Endpoint]>,
}

impl Client {
    /// A client with a connection of its own to each of `routers`.
    pub(super) fn new(core: &Core, routers: Arc<[Endpoint]>) -> Self {
        let options = Arc::new(ClientOptions::default());
        Self {
            transport: Arc::new(LambdaClient::new(core.clone(), options)),
            routers,
        }
    }

    /// Asks the first router, and the next one if the request did not get there or may be repeated.
    pub(super) async fn ask(&self, number: u64, kind: Kind, deadline: Instant) -> End {
        let idempotent = kind == Kind::Idempotent;
        let input = if kind == Kind::Poison { POISON } else { INPUT };
        let request = request::numbered(number, idempotent, input);
        let call = LambdaCall {
            message: request.encode_to_vec().into(),
            metadata: Metadata::new(),
            deadline,
        };
        let (last, others) = self.routers.split_last().expect("there is a router");
        for router in others {
            match self.transport.call(router, &call).await {
                Ok(reply) => return end(kind, &request.uuid, &reply.message),
                Err(error) if error.never_left() || idempotent => {}
                Err(error) => return failed(error),
            }
        }
        match self.transport.call(last, &call).await {
            Ok(reply) => end(kind, &request.uuid, &reply.message),
            Err(error) => failed(error),
        }
    }
}

/// What an answer means.
fn end(kind: Kind, uuid: &str, message: &[u8]) -> End {
    let Ok(response) = LambdaResponse::decode(message) else {
        return End::Error("invalid");
    };
    // Errors of routers carry no identity.
    let names_one = response.is_ok() || !response.uuid.is_empty();
    if names_one && response.uuid != uuid {
        return End::Mistaken;
    }
    let poisoned = response.outcome() == Outcome::ApplicationError;
    match kind {
        Kind::Poison if poisoned => End::Right,
        Kind::Poison if response.is_ok() => End::Error("not-poisoned"),
        _ if response.is_ok() => End::Right,
        _ => {
            let outcome = response.outcome();
            let response = Box::new(response);
            End::Error(RequestError::Retcode { outcome, response }.kind().name())
        }
    }
}

fn failed(error: CallError) -> End {
    End::Error(RequestError::Call(error).kind().name())
}
