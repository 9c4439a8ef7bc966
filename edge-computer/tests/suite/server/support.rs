//! Computers on free ports, and fakes of those they talk to: callers, routers, controllers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_computer::config::Config;
use edge_computer::server::{EdgeComputer, Handle};
use edge_proto::rpc::callback_server_server::{CallbackServer, CallbackServerServer};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, State, Void};
use edge_transport::{
    CallError, ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaHandler,
    Listener, Server, ServerHandle, Typed, TypedReply,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A deadline that none of the lambdas misses.
pub(crate) const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Lambdas `f0`, `f1` and `f2` take some milliseconds, `slow` takes hours, `large` needs more memory
/// than there is, `fixed` always answers `robin`.
pub(crate) fn platform(folder: &Path, workers: u32) -> String {
    let container = |name: &str, coefficients: &str| {
        format!(
            r#"{{"name": "c-{name}", "processor": "cpu", "num-workers": {workers}, "lambda":
            {{"name": "{name}", "requirements": "proportional", {coefficients}}}}}"#
        )
    };
    let brief = r#""op-coeff": 1e6, "op-offset": 4e6, "mem-coeff": 100, "mem-offset": 0"#;
    let containers = [
        container("f0", brief),
        container("f1", brief),
        container("f2", brief),
        container(
            "slow",
            r#""op-coeff": 0, "op-offset": 1e14, "mem-coeff": 0, "mem-offset": 1"#,
        ),
        container(
            "large",
            r#""op-coeff": 0, "op-offset": 1, "mem-coeff": 0, "mem-offset": 1e18"#,
        ),
        container(
            "fixed",
            &format!(r#"{brief}, "output-type": "fixed", "output-value": "robin""#),
        ),
    ];
    let text = format!(
        r#"{{"version": "1.0", "processors": [{{"name": "cpu", "type": "GenericCpu",
        "speed": 4e9, "cores": 20, "memory": 1e9}}], "containers": [{}]}}"#,
        containers.join(", ")
    );
    let path = folder.join("platform.json");
    std::fs::write(&path, text).unwrap();
    format!(
        "platform = {{type = 'file', path = '{}'}}\n",
        path.display()
    )
}

/// A computer on free ports of the loopback, configured by `toml` besides. Unless that bounds it,
/// requests may wait for a worker as long as it takes.
pub(crate) async fn computer_of(toml: &str) -> Handle {
    let mut config: Config = toml::from_str(toml).unwrap();
    let own: Endpoint = "127.0.0.1:0".parse().unwrap();
    config.server.endpoint = own.clone();
    config.server.num_threads = Some(2);
    config.utilization.endpoint = own.into();
    config.admin.0.endpoint = "0".parse().unwrap();
    if !toml.contains("max-wait") {
        config.limits.max_wait = FOREVER;
    }
    EdgeComputer::start(config).await.unwrap()
}

/// As [`computer_of`], with the lambdas of [`platform`] and four workers for each of them.
pub(crate) async fn computer(toml: &str) -> Handle {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("{}{toml}", platform(folder.path(), 4));
    computer_of(&toml).await
}

pub(crate) fn client() -> LambdaClient {
    LambdaClient::new(Core::current(), Arc::default())
}

pub(crate) fn call_of(request: &LambdaRequest, patience: Duration) -> LambdaCall {
    LambdaCall {
        message: Bytes::from(request.encode_to_vec()),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + patience,
    }
}

pub(crate) async fn try_ask(
    client: &LambdaClient,
    endpoint: &Endpoint,
    request: &LambdaRequest,
) -> Result<LambdaResponse, CallError> {
    let call = call_of(request, FOREVER);
    let reply = tokio::time::timeout(PATIENCE, client.call(endpoint, &call)).await;
    let reply = reply.expect("an answer")?;
    Ok(LambdaResponse::decode(reply.message).unwrap())
}

pub(crate) async fn ask(computer: &Handle, request: &LambdaRequest) -> LambdaResponse {
    try_ask(&client(), computer.endpoint(), request)
        .await
        .unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The admin page at `path`.
pub(crate) async fn page(computer: &Handle, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = computer.admin_address().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// True if `line` is one of the metrics of `computer`.
pub(crate) async fn shows(computer: &Handle, line: &str) -> bool {
    page(computer, "/metrics")
        .await
        .lines()
        .any(|shown| shown == line)
}

/// Waits until `count` requests for `slow` run or wait.
pub(crate) async fn slow_in_flight(computer: &Handle, count: u32) {
    let dry = LambdaRequest {
        dry: true,
        ..LambdaRequest::new("slow", "")
    };
    eventually("requests in flight", || async {
        ask(computer, &dry).await.in_flight == count
    })
    .await;
}

pub(crate) fn embedded(name: &str, content: &'static str) -> (String, State) {
    let state = State {
        name: name.to_owned(),
        content: Bytes::from(content),
        ..State::default()
    };
    (name.to_owned(), state)
}

pub(crate) fn two_states() -> BTreeMap<String, State> {
    BTreeMap::from([embedded("s0", "zero"), embedded("s1", "one")])
}

/// Serves `routes` on a free port, on a core of its own.
pub(crate) struct Served {
    pub(crate) endpoint: Endpoint,
    _server: ServerHandle,
    _cores: Arc<Cores>,
}

impl Served {
    pub(crate) fn start(routes: Routes) -> Self {
        Self::serve(Server::new(routes))
    }

    fn serve<S: edge_transport::LambdaService>(server: Server<S>) -> Self {
        let cores = Arc::new(Cores::start("fake", NonZeroUsize::MIN).unwrap());
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let server = server.serve(listener, &cores);
        Self {
            endpoint: server.local_addr().into(),
            _server: server,
            _cores: cores,
        }
    }
}

/// Somebody who waits for callbacks.
pub(crate) struct Caller {
    pub(crate) served: Served,
    callbacks: mpsc::UnboundedReceiver<LambdaResponse>,
}

struct Callbacks(mpsc::UnboundedSender<LambdaResponse>);

#[tonic::async_trait]
impl CallbackServer for Callbacks {
    async fn receive_response(
        &self,
        response: Request<LambdaResponse>,
    ) -> Result<Response<Void>, Status> {
        self.0.send(response.into_inner()).unwrap();
        Ok(Response::new(Void {}))
    }
}

impl Caller {
    pub(crate) fn start() -> Self {
        let (sender, callbacks) = mpsc::unbounded_channel();
        let service = CallbackServerServer::new(Callbacks(sender));
        Self {
            served: Served::start(Routes::new(service)),
            callbacks,
        }
    }

    /// A request that is to be answered here.
    pub(crate) fn request(&self, lambda: &str, input: &str) -> LambdaRequest {
        LambdaRequest {
            callback: self.served.endpoint.to_string(),
            ..LambdaRequest::new(lambda, input)
        }
    }

    pub(crate) fn callbacks_so_far(&mut self) -> Vec<LambdaResponse> {
        std::iter::from_fn(|| self.callbacks.try_recv().ok()).collect()
    }

    pub(crate) async fn next(&mut self) -> LambdaResponse {
        let next = tokio::time::timeout(PATIENCE, self.callbacks.recv()).await;
        next.expect("a callback").unwrap()
    }
}

/// A router that knows one computer per lambda, and counts what it forwards.
pub(crate) struct Router {
    pub(crate) served: Served,
    routes: Arc<Mutex<BTreeMap<String, Endpoint>>>,
}

struct Forwarder {
    routes: Arc<Mutex<BTreeMap<String, Endpoint>>>,
}

impl LambdaHandler for Forwarder {
    async fn handle(
        &self,
        core: &Core,
        request: LambdaRequest,
        _: Instant,
    ) -> Result<TypedReply, String> {
        let to = self.routes.lock().unwrap().get(&request.name).cloned();
        let Some(to) = to else {
            let nowhere = LambdaResponse {
                retcode: "No destinations found for the entry".to_owned(),
                ..LambdaResponse::default()
            };
            return Ok(nowhere.into());
        };
        let client = LambdaClient::new(core.clone(), Arc::<ClientOptions>::default());
        let answer = try_ask(&client, &to, &request.one_more_hop()).await;
        answer
            .map(TypedReply::from)
            .map_err(|error| error.to_string())
    }
}

impl Router {
    pub(crate) fn start() -> Self {
        let routes = Arc::default();
        let forwarder = Forwarder {
            routes: Arc::clone(&routes),
        };
        let server = Server::new(Routes::default()).with_lambda(Arc::new(Typed(forwarder)));
        Self {
            served: Served::serve(server),
            routes,
        }
    }

    pub(crate) fn route(&self, lambda: &str, computer: &Handle) {
        let to = computer.endpoint().clone();
        self.routes.lock().unwrap().insert(lambda.to_owned(), to);
    }
}
