//! What the tests of this crate share: a fake platform, servers on free ports, certificates.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    reason = "each test file uses its part; a failing helper is a failing test"
)]

mod certificates;
mod relay;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
pub use certificates::certificates;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{
    CallError, ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaHandler,
    Listener, Server, ServerHandle, Typed, TypedReply, pushback,
};
use prost::Message as _;
pub use relay::Relay;
use tokio::sync::Notify;
use tonic::service::Routes;

/// Long enough for anything that is going to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Upper-cases its input; knows a few lambdas.
#[derive(Debug, Default)]
pub struct Shouter {
    /// Calls of `never` and `held` that have not been cancelled.
    pub waiting: Arc<AtomicUsize>,
    /// Lets one call of `held` go on.
    pub release: Arc<Notify>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LambdaHandler for Shouter {
    async fn handle(
        &self,
        _: &Core,
        request: LambdaRequest,
        deadline: Instant,
    ) -> Result<TypedReply, String> {
        let response = match request.name.as_str() {
            "shout" => LambdaResponse {
                retcode: "OK".into(),
                output: request.input.to_uppercase(),
                dataout: request.datain,
                outcome: Outcome::Ok as i32,
                ..LambdaResponse::default()
            },
            "deadline" => LambdaResponse {
                retcode: "OK".into(),
                output: deadline
                    .saturating_duration_since(Instant::now())
                    .as_millis()
                    .to_string(),
                ..LambdaResponse::default()
            },
            "busy" => {
                let text = "come back later".to_owned();
                let mut reply = TypedReply::from(LambdaResponse::error(Outcome::Overloaded, text));
                pushback::set(&mut reply.trailers, Duration::from_millis(250));
                return Ok(reply);
            }
            "my-bomb" => panic!("exception raised"),
            "never" => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _waiting = Waiting(self.waiting.clone());
                std::future::pending().await
            }
            "held" => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let _waiting = Waiting(self.waiting.clone());
                self.release.notified().await;
                LambdaResponse {
                    retcode: "OK".into(),
                    outcome: Outcome::Ok as i32,
                    ..LambdaResponse::default()
                }
            }
            other => LambdaResponse::error(Outcome::NotFound, format!("no lambda {other}")),
        };
        Ok(response.into())
    }
}

/// A running server and its cores.
pub struct Running {
    pub handle: ServerHandle,
    pub waiting: Arc<AtomicUsize>,
    pub release: Arc<Notify>,
    _cores: Arc<Cores>,
}

impl Running {
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new("localhost", self.handle.local_addr().port())
    }
}

pub fn cores(count: usize) -> Arc<Cores> {
    Arc::new(Cores::start("test", NonZeroUsize::new(count).unwrap()).unwrap())
}

pub fn localhost() -> Listener {
    Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap()
}

pub fn serve(configure: impl FnOnce(Server<Typed<Shouter>>) -> Server<Typed<Shouter>>) -> Running {
    serve_on(localhost(), configure)
}

pub fn serve_on(
    listener: Listener,
    configure: impl FnOnce(Server<Typed<Shouter>>) -> Server<Typed<Shouter>>,
) -> Running {
    let cores = cores(2);
    let shouter = Shouter::default();
    let (waiting, release) = (shouter.waiting.clone(), shouter.release.clone());
    let server = Server::new(Routes::default()).with_lambda(Arc::new(Typed(shouter)));
    let handle = configure(server).serve(listener, &cores);
    Running {
        handle,
        waiting,
        release,
        _cores: cores,
    }
}

pub fn client(options: ClientOptions) -> LambdaClient {
    LambdaClient::new(Core::current(), Arc::new(options))
}

/// Options of a client that asks for what panics: whoever panics first finds out where that is in the
/// program, which may take seconds, and does nothing else meanwhile.
pub fn while_it_panics() -> ClientOptions {
    ClientOptions {
        ping_after: PATIENCE,
        ..ClientOptions::default()
    }
}

pub fn call(request: &LambdaRequest) -> LambdaCall {
    LambdaCall {
        message: Bytes::from(request.encode_to_vec()),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    }
}

pub async fn ask(
    client: &LambdaClient,
    endpoint: &Endpoint,
    request: &LambdaRequest,
) -> Result<LambdaResponse, CallError> {
    let reply = client.call(endpoint, &call(request)).await?;
    Ok(LambdaResponse::decode(reply.message).expect("a valid response"))
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
