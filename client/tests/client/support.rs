//! A computer that behaves as a test wants it to.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge_client::Config;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::tls::TlsFiles;
use edge_transport::{
    ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaReply, LambdaService,
    Listener, Peer, Server,
};
use prost::Message as _;
use tonic::Status;
use tonic::service::Routes;

/// Far more than anything here takes on a machine that is merely busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

type Behaviour =
    dyn Fn(LambdaRequest) -> Pin<Box<dyn Future<Output = LambdaResponse> + Send>> + Send + Sync;

/// A computer.
pub(crate) struct Computer {
    endpoint: Endpoint,
    service: Arc<Service>,
    _cores: Arc<Cores>,
}

struct Service {
    behaviour: Box<Behaviour>,
    running: AtomicUsize,
    seen: Mutex<Vec<LambdaRequest>>,
}

impl Computer {
    /// A computer at a free port.
    pub(crate) fn start<F>(behaviour: impl Fn(LambdaRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = LambdaResponse> + Send + 'static,
    {
        Self::start_at(&Endpoint::new("127.0.0.1", 0), behaviour)
    }

    pub(crate) fn start_at<F>(
        endpoint: &Endpoint,
        behaviour: impl Fn(LambdaRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = LambdaResponse> + Send + 'static,
    {
        Self::serve(
            endpoint,
            None,
            Box::new(move |request| Box::pin(behaviour(request))),
        )
    }

    /// A computer that speaks TLS with the certificates of `files`.
    pub(crate) fn secure(files: &TlsFiles) -> Self {
        Self::serve(
            &Endpoint::new("127.0.0.1", 0),
            Some(files),
            Box::new(|request| Box::pin(async move { echo(&request) })),
        )
    }

    fn serve(endpoint: &Endpoint, files: Option<&TlsFiles>, behaviour: Box<Behaviour>) -> Self {
        let service = Arc::new(Service {
            behaviour,
            running: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN).unwrap());
        let listener = Listener::bind(endpoint).unwrap();
        let endpoint = Endpoint::from(listener.local_addr());
        Server::new(Routes::default())
            .with_lambda(service.clone())
            .with_tls(files.map(|files| files.server_config().unwrap()))
            .serve(listener, &cores);
        Self {
            endpoint,
            service,
            _cores: cores,
        }
    }

    /// A computer that knows `clambda0`, and returns its input after `delay`.
    pub(crate) fn echo(delay: Duration) -> Self {
        Self::start(move |request| async move {
            tokio::time::sleep(delay).await;
            echo(&request)
        })
    }

    /// A computer that never answers.
    pub(crate) fn silent() -> Self {
        Self::start(|_| std::future::pending())
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// All requests that have arrived.
    pub(crate) fn seen(&self) -> Vec<LambdaRequest> {
        self.service.seen.lock().unwrap().clone()
    }

    /// How many requests have arrived.
    pub(crate) fn count(&self) -> usize {
        self.service.seen.lock().unwrap().len()
    }

    /// Requests that are being executed.
    pub(crate) fn running(&self) -> usize {
        self.service.running.load(Ordering::SeqCst)
    }
}

/// The answer of a computer that knows `clambda0`: the input, one more hop, no
/// responder, and 250 ms as the estimate of dry requests.
pub(crate) fn echo(request: &LambdaRequest) -> LambdaResponse {
    if request.name != "clambda0" {
        let retcode = format!("No container for lambda {}", request.name);
        return LambdaResponse::error(Outcome::NotFound, retcode);
    }
    LambdaResponse {
        retcode: edge_proto::OK.to_owned(),
        output: request.input.clone(),
        hops: request.hops + 1,
        load1: 42,
        ptime: if request.dry { 250 } else { 0 },
        ..LambdaResponse::default()
    }
}

impl LambdaService for Service {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let _running = Running::enter(&self.running);
        let request = LambdaRequest::decode(call.message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.seen.lock().unwrap().push(request.clone());
        let response = (self.behaviour)(request).await;
        Ok(LambdaReply {
            message: response.encode_to_vec().into(),
            ..LambdaReply::default()
        })
    }
}

struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An end-point at which nobody listens.
pub(crate) fn nobody() -> Endpoint {
    let listener = Listener::bind(&Endpoint::new("127.0.0.1", 0)).unwrap();
    Endpoint::from(listener.local_addr())
}

/// Connections of the current runtime.
pub(crate) fn transport() -> Arc<LambdaClient> {
    let options = Arc::new(ClientOptions::default());
    Arc::new(LambdaClient::new(Core::current(), options))
}

/// A configuration that calls `computers`.
pub(crate) fn config(computers: &[&Computer]) -> Config {
    Config {
        server_endpoints: computers.iter().map(|c| c.endpoint()).collect(),
        ..Config::default()
    }
}

/// Waits until `condition` holds, for as long as a test may.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
