//! What the tests of this crate share: a router on free ports and computers that obey.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "each test file uses its part; a failing helper is a failing test"
)]

#[path = "../../../transport/tests/suite/support/certificates.rs"]
pub mod certificates;
pub mod process;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_broker::config::{DispatcherConfig, EstimatorConfig};
use edge_broker::{Config, Dispatcher, Router, RouterHandle};
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest, LambdaResponse, Outcome};
use edge_transport::control::Channel;
use edge_transport::{
    CallError, ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaReply,
    LambdaService, Limits, Listener, Peer, Server, ServerHandle, control, pushback, unexecuted,
};
use prost::Message as _;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::service::Routes;

/// Long enough for anything that is going to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a computer does with a request.
#[derive(Debug, Clone)]
pub enum Conduct {
    /// Answers with the input, after a while.
    Echo(Duration),
    /// Answers with the input as soon as this is true.
    Await(Arc<AtomicBool>),
    /// Answers with this.
    Say(LambdaResponse),
    /// Answers with this, and that the request was not executed.
    TurnDown(LambdaResponse),
    /// Answers with this, after a while.
    Work(Duration, LambdaResponse),
    /// Answers with this, after a while; refuses what comes with a condition.
    Accept(Duration, LambdaResponse),
    /// Answers with these bytes, after a while; they need not be a valid message.
    Utter(Duration, Bytes),
    /// Never answers.
    Hang,
    /// Whoever sets this first waits for a permit before it answers with the input; everybody else
    /// answers at once, with this if there is something.
    HoldOne(Arc<AtomicBool>, Arc<Semaphore>, Option<LambdaResponse>),
    /// Takes a permit for each answer, and waits for it.
    Gate(Arc<Semaphore>, LambdaResponse),
    /// Turns requests down, with this as the hint when to come back.
    PushBack(&'static str),
    /// The same whatever the lambda.
    PushBackAll(&'static str),
    /// Answers with a gRPC status.
    Fail(tonic::Code),
    /// Stops the whole computer, as SIGSTOP does, as long as this is true.
    Freeze(Arc<AtomicBool>),
}

/// A computer that records what it gets and does as it is told.
#[derive(Debug)]
pub struct Computer {
    pub endpoint: Endpoint,
    pub server: ServerHandle,
    inner: Arc<Inner>,
    _cores: Arc<Cores>,
}

#[derive(Debug)]
struct Inner {
    conduct: Mutex<Conduct>,
    received: Mutex<Vec<LambdaRequest>>,
    metadata: Mutex<Vec<edge_transport::Metadata>>,
    arrivals: Mutex<Vec<Instant>>,
    cancelled: AtomicUsize,
}

/// A request that is being answered; counts as cancelled if it is dropped before.
struct Answering<'a> {
    cancelled: Option<&'a AtomicUsize>,
}

impl Answering<'_> {
    fn done(mut self) {
        self.cancelled = None;
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if let Some(cancelled) = self.cancelled {
            cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl LambdaService for Inner {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let request = LambdaRequest::decode(call.message).unwrap();
        let mut response = LambdaResponse {
            retcode: "OK".into(),
            output: request.input.clone(),
            hops: request.hops + 1,
            outcome: Outcome::Ok as i32,
            ..LambdaResponse::default()
        };
        let conditional = request.max_wait_us > 0;
        self.received.lock().unwrap().push(request);
        self.metadata.lock().unwrap().push(call.metadata);
        self.arrivals.lock().unwrap().push(Instant::now());
        let conduct = self.conduct.lock().unwrap().clone();
        let answering = Answering {
            cancelled: Some(&self.cancelled),
        };
        let mut trailers = edge_transport::Metadata::new();
        let name = http::HeaderName::from_static("x-computer");
        trailers.insert(&name, &"present".parse().unwrap());
        match conduct {
            Conduct::Echo(pause) => tokio::time::sleep(pause).await,
            Conduct::Await(released) => {
                while !released.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            Conduct::Say(answer) => response = answer,
            Conduct::TurnDown(answer) => {
                unexecuted::mark(&mut trailers);
                response = answer;
            }
            Conduct::Work(pause, answer) => {
                tokio::time::sleep(pause).await;
                response = answer;
            }
            Conduct::Accept(_, answer) if conditional => {
                let LambdaResponse {
                    in_flight, workers, ..
                } = answer;
                response = LambdaResponse {
                    in_flight,
                    workers,
                    ..LambdaResponse::error(Outcome::Refused, "refused: would wait too long")
                };
            }
            Conduct::Accept(pause, answer) => {
                tokio::time::sleep(pause).await;
                response = answer;
            }
            Conduct::Utter(pause, message) => {
                tokio::time::sleep(pause).await;
                return Ok(LambdaReply {
                    message,
                    trailers: edge_transport::Metadata::new(),
                });
            }
            Conduct::Hang => std::future::pending().await,
            Conduct::HoldOne(held, permits, answer) => {
                if !held.swap(true, Ordering::SeqCst) {
                    permits.acquire().await.unwrap().forget();
                } else if let Some(answer) = answer {
                    response = answer;
                }
            }
            Conduct::Gate(permits, answer) => {
                permits.acquire().await.unwrap().forget();
                response = answer;
            }
            Conduct::PushBack(hint) => {
                response = LambdaResponse::error(Outcome::Overloaded, "queue full");
                trailers.insert(&pushback::NAME, &hint.parse().unwrap());
            }
            Conduct::PushBackAll(hint) => {
                response = LambdaResponse::error(Outcome::Overloaded, "about to end");
                trailers.insert(&pushback::NAME, &hint.parse().unwrap());
                pushback::extend_to_all(&mut trailers);
            }
            // Blocks the only thread there is, PINGs included.
            Conduct::Freeze(frozen) => {
                while frozen.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Conduct::Fail(code) => return Err(Status::new(code, "as told")),
        }
        answering.done();
        Ok(LambdaReply {
            message: Bytes::from(response.encode_to_vec()),
            trailers,
        })
    }
}

impl Computer {
    pub fn start(conduct: Conduct) -> Self {
        Self::start_at(&"127.0.0.1:0".parse().unwrap(), conduct)
    }

    pub fn start_at(endpoint: &Endpoint, conduct: Conduct) -> Self {
        Self::start_within(Limits::default(), endpoint, conduct)
    }

    pub fn start_within(limits: Limits, endpoint: &Endpoint, conduct: Conduct) -> Self {
        let listener = Listener::bind(endpoint).unwrap();
        let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN).unwrap());
        let inner = Arc::new(Inner {
            conduct: Mutex::new(conduct),
            received: Mutex::default(),
            metadata: Mutex::default(),
            arrivals: Mutex::default(),
            cancelled: AtomicUsize::new(0),
        });
        let server = Server::new(Routes::default())
            .with_lambda(inner.clone())
            .with_limits(limits)
            .serve(listener, &cores);
        let endpoint = Endpoint::from(server.local_addr());
        Self {
            endpoint,
            server,
            inner,
            _cores: cores,
        }
    }

    pub fn echo() -> Self {
        Self::start(Conduct::Echo(Duration::ZERO))
    }

    pub fn conduct(&self, conduct: Conduct) {
        *self.inner.conduct.lock().unwrap() = conduct;
    }

    pub fn received(&self) -> Vec<LambdaRequest> {
        self.inner.received.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.inner.received.lock().unwrap().len()
    }

    /// When each request came.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.inner.arrivals.lock().unwrap().clone()
    }

    /// Requests that were not answered because the caller did not want them any more.
    pub fn cancelled(&self) -> usize {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    pub fn metadata(&self) -> Vec<edge_transport::Metadata> {
        self.inner.metadata.lock().unwrap().clone()
    }

    pub fn name(&self) -> String {
        self.endpoint.to_string()
    }
}

/// As [`config`], with an admin endpoint on a free port.
pub fn config_with_admin() -> Config {
    let mut config = config();
    config.admin.endpoint = "127.0.0.1:0".parse().unwrap();
    config
}

/// As [`config_with_admin`]; nobody is asked for anything but for requests, which computers could
/// hardly tell from probes.
pub fn config_without_probes() -> Config {
    let mut config = config_with_admin();
    let table = serde_json::json!({"type": "predicted-completion", "probes": 0});
    config.table = serde_json::from_value(table).unwrap();
    config
}

/// A router on free ports, without admin endpoint.
pub fn config() -> Config {
    let mut config = Config::default();
    config.server.endpoint = "127.0.0.1:0".parse().unwrap();
    config.tables.endpoint = "127.0.0.1:0".parse().unwrap();
    config.admin.endpoint = "".parse().unwrap();
    config
}

/// A router and the ways to talk to it.
pub struct Running {
    pub router: RouterHandle,
    pub client: Arc<LambdaClient>,
    pub endpoint: Endpoint,
    pub tables: EdgeRouterClient<Channel>,
}

/// A dispatcher on free ports, without admin endpoint.
pub fn dispatcher(estimator: EstimatorConfig) -> DispatcherConfig {
    let Config {
        server,
        tables,
        admin,
        ..
    } = config();
    DispatcherConfig {
        server,
        tables,
        admin,
        estimator,
        ..DispatcherConfig::default()
    }
}

pub async fn start(config: Config) -> Running {
    running(Router::start(config).await.unwrap())
}

pub async fn start_dispatcher(config: DispatcherConfig) -> Running {
    running(Dispatcher::start(config).await.unwrap())
}

/// A client with a connection of its own.
pub fn client() -> Arc<LambdaClient> {
    let limits = Limits {
        max_message_bytes: 256 << 20,
        ..Limits::default()
    };
    let options = Arc::new(ClientOptions {
        limits,
        ..ClientOptions::default()
    });
    Arc::new(LambdaClient::new(Core::current(), options))
}

fn running(router: RouterHandle) -> Running {
    let client = client();
    let endpoint = Endpoint::from(router.lambda_address());
    let table_endpoint = Endpoint::from(router.table_address());
    let tables = EdgeRouterClient::new(control::channel(&table_endpoint, None, PATIENCE))
        .max_decoding_message_size(64 << 20);
    Running {
        router,
        client,
        endpoint,
        tables,
    }
}

impl Running {
    pub async fn ask(&self, request: &LambdaRequest) -> LambdaResponse {
        self.try_ask(request).await.unwrap()
    }

    pub async fn try_ask(&self, request: &LambdaRequest) -> Result<LambdaResponse, CallError> {
        self.try_ask_with(request, edge_transport::Metadata::new())
            .await
    }

    pub async fn try_ask_with(
        &self,
        request: &LambdaRequest,
        metadata: edge_transport::Metadata,
    ) -> Result<LambdaResponse, CallError> {
        let reply = self.call(request, metadata).await?;
        Ok(LambdaResponse::decode(reply.message).unwrap())
    }

    /// The reply as it is, trailing metadata included.
    pub async fn call(
        &self,
        request: &LambdaRequest,
        metadata: edge_transport::Metadata,
    ) -> Result<LambdaReply, CallError> {
        let call = LambdaCall {
            message: Bytes::from(request.encode_to_vec()),
            metadata,
            deadline: Instant::now() + PATIENCE,
        };
        self.client.call(&self.endpoint, &call).await
    }

    /// The answer together with its trailing metadata.
    pub async fn ask_within(
        &self,
        request: &LambdaRequest,
        patience: Duration,
    ) -> Result<Told, CallError> {
        told(&self.client, &self.endpoint, request, patience).await
    }

    /// Asks in the background.
    pub fn spawn(&self, request: &LambdaRequest) -> JoinHandle<Told> {
        self.spawn_by(&self.client, request)
    }

    /// The same for another client.
    pub fn spawn_by(
        &self,
        client: &Arc<LambdaClient>,
        request: &LambdaRequest,
    ) -> JoinHandle<Told> {
        let (client, endpoint) = (client.clone(), self.endpoint.clone());
        let request = request.clone();
        tokio::spawn(async move { told(&client, &endpoint, &request, PATIENCE).await.unwrap() })
    }

    /// The metric of that name, the sum of all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics").await;
        let values = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_it = series.split('{').next() == Some(name);
            is_it.then(|| value.parse::<f64>().unwrap())
        });
        let values: Vec<_> = values.collect();
        assert!(!values.is_empty(), "no metric {name}: {page}");
        values.iter().sum()
    }

    /// Waits until the metric of that name is `value`.
    pub async fn until_metric(&self, name: &str, value: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is = self.metric(name).await;
            if (is - value).abs() < 0.5 {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {is}, never {value}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The body of the admin page at `path`.
    pub async fn page(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.router.admin_address().unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        body.to_owned()
    }

    pub async fn configure(&mut self, operation: EdgeRouterConf) -> String {
        self.tables
            .configure(operation)
            .await
            .unwrap()
            .into_inner()
            .msg
    }

    pub async fn route(&mut self, lambda: &str, destination: &str, is_final: bool) {
        assert_eq!(
            self.configure(change(lambda, destination, 1.0, is_final))
                .await,
            "OK"
        );
    }
}

/// What a caller is told.
#[derive(Debug)]
pub struct Told {
    pub response: LambdaResponse,
    pub trailers: edge_transport::Metadata,
}

impl Told {
    /// The trailing metadata of that name.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.text(name)
    }
}

async fn told(
    client: &LambdaClient,
    endpoint: &Endpoint,
    request: &LambdaRequest,
    patience: Duration,
) -> Result<Told, CallError> {
    let call = LambdaCall {
        message: Bytes::from(request.encode_to_vec()),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + patience,
    };
    let LambdaReply { message, trailers } = client.call(endpoint, &call).await?;
    let response = LambdaResponse::decode(message).unwrap();
    Ok(Told { response, trailers })
}

pub fn change(lambda: &str, destination: &str, weight: f32, is_final: bool) -> EdgeRouterConf {
    EdgeRouterConf {
        action: Action::Change as i32,
        lambda: lambda.into(),
        destination: destination.into(),
        weight,
        r#final: is_final,
        ..EdgeRouterConf::default()
    }
}

pub fn request(lambda: &str) -> LambdaRequest {
    LambdaRequest::new(lambda, "hello")
}

/// The answer of a computer that executed for `service` and says how busy it is.
pub fn report(service: Duration, in_flight: u32, workers: u32) -> LambdaResponse {
    let service_us = u64::try_from(service.as_micros()).unwrap();
    LambdaResponse {
        retcode: "OK".into(),
        outcome: Outcome::Ok as i32,
        in_flight,
        workers,
        service_us,
        residence_us: service_us,
        ..LambdaResponse::default()
    }
}

/// Sends `request` until `condition` holds, several at a time so that no destination is idle for
/// long; all are to be answered.
pub async fn ask_until(
    running: &Running,
    request: &LambdaRequest,
    what: &str,
    condition: impl Fn() -> bool,
) {
    const AT_A_TIME: usize = 8;
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        let asked = (0..AT_A_TIME).map(|_| running.ask(request));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.retcode, "OK", "until {what}");
        }
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
