//! Platforms, computers in front of them, and platforms that do not what they should.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_computer::config::WskConfig;
use edge_computer::executor::{Execution, ExecutionError, Executor as _, Invocation};
use edge_computer::openwhisk::OpenWhisk;
use edge_computer::server::{Handle, WskComputer};
use edge_computer::whisk::{User, Whisk, WhiskConfig, WhiskHandle};
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::{Core, Endpoint, LambdaCall, LambdaClient, LambdaReply};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Returns its parameters.
pub(crate) const ECHO: &str = "function main(params) { return params; }";

/// A platform without limits of rate.
pub(crate) async fn platform(configure: impl FnOnce(&mut WhiskConfig)) -> WhiskHandle {
    let mut config = WhiskConfig {
        invocations_per_minute: 1_000_000,
        ..WhiskConfig::default()
    };
    configure(&mut config);
    Whisk::start(config).await.unwrap()
}

/// Calls the API of a platform as `guest`.
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    url: String,
    pub(crate) user: User,
}

impl Api {
    pub(crate) fn of(platform: &WhiskHandle) -> Self {
        let http = reqwest::Client::builder();
        let http = http.no_proxy().tls_danger_accept_invalid_certs(true);
        Self {
            http: http.build().unwrap(),
            url: format!("{}/api/v1/", platform.url()),
            user: User::guest(),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.basic_auth(&self.user.uuid, Some(&self.user.key))
    }

    /// The status and the body of the answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut request = self.request(method, path);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    pub(crate) async fn put(&self, name: &str, code: &str) {
        let body = json!({ "exec": { "kind": "nodejs:default", "code": code } });
        let path = format!("namespaces/_/actions/{name}?overwrite=true");
        let (status, answer) = self.call("PUT", &path, &body).await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// A computer in front of what `toml` says, which lists every 50 ms unless it says otherwise.
pub(crate) async fn computer(toml: &str) -> Handle<OpenWhisk> {
    let mut config: WskConfig = toml::from_str(toml).unwrap();
    let own: Endpoint = "127.0.0.1:0".parse().unwrap();
    config.server.endpoint = own.clone();
    config.server.num_threads = Some(1);
    config.utilization.endpoint = own.into();
    config.admin.0.endpoint = "".parse().unwrap();
    WskComputer::start(config).await.unwrap()
}

/// The section that makes a computer front `platform`.
pub(crate) fn fronting(platform: &WhiskHandle, more: &str) -> String {
    let auth = User::guest().auth();
    format!(
        "[wsk]\napi-root = '{}'\nauth = '{auth}'\ninterval = '50ms'\n{more}\n",
        platform.url()
    )
}

/// Waits until `computer` serves `lambda`.
pub(crate) async fn serves(computer: &Handle<OpenWhisk>, lambda: &str) {
    eventually(&format!("{lambda} is served"), || {
        let containers = computer.executor().containers();
        containers
            .iter()
            .any(|container| container.lambda == lambda)
    })
    .await;
}

/// A platform with the action `f`, and a computer that serves it.
pub(crate) async fn serving(code: &str, more: &str) -> (WhiskHandle, Handle<OpenWhisk>) {
    let platform = platform(|_| {}).await;
    Api::of(&platform).put("f", code).await;
    let computer = computer(&fronting(&platform, more)).await;
    serves(&computer, "f").await;
    (platform, computer)
}

pub(crate) async fn reply(
    computer: &Handle<OpenWhisk>,
    request: &LambdaRequest,
    patience: Duration,
) -> (LambdaResponse, LambdaReply) {
    let client = LambdaClient::new(Core::current(), Arc::default());
    let call = LambdaCall {
        message: Bytes::from(request.encode_to_vec()),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + patience,
    };
    let endpoint = Endpoint::from(computer.address());
    let reply = client.call(&endpoint, &call).await.unwrap();
    (
        LambdaResponse::decode(reply.message.clone()).unwrap(),
        reply,
    )
}

pub(crate) async fn ask(computer: &Handle<OpenWhisk>, name: &str, input: &str) -> LambdaResponse {
    let request = LambdaRequest::new(name, input);
    reply(computer, &request, PATIENCE).await.0
}

/// What `f` comes to within `patience`, which no client cuts short.
pub(crate) async fn run(
    computer: &Handle<OpenWhisk>,
    patience: Duration,
) -> Result<Execution, ExecutionError> {
    let invocation = Invocation {
        lambda: "f".to_owned(),
        ..Invocation::default()
    };
    let executor = computer.executor();
    executor.run(invocation, Instant::now() + patience).await
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A request that a [`Stub`] got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// A platform that has one action in each namespace, `f`, and answers calls of it as a test wants.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) calls: Arc<Mutex<Vec<Got>>>,
    /// How often it was asked for its actions.
    pub(crate) listings: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

/// The answer to a call: status, headers, body; silence if there is none.
pub(crate) type StubAnswer = Option<(u16, HashMap<&'static str, &'static str>, String)>;

impl Stub {
    pub(crate) async fn start(answer: impl Fn(&Got) -> StubAnswer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let listings = Arc::new(AtomicUsize::new(0));
        let noted = Noted {
            calls: calls.clone(),
            listings: listings.clone(),
        };
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted) = (answer.clone(), noted.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        stubbed(answer.clone(), noted.clone(), request)
                    });
                    let serving = hyper::server::conn::http1::Builder::new();
                    let _ended = serving
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            calls,
            listings,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The section that makes a computer front it.
    pub(crate) fn fronting(&self, more: &str) -> String {
        format!(
            "[wsk]\napi-root = 'http://{}'\nauth = 'u:k'\ninterval = '50ms'\n{more}\n",
            self.address
        )
    }
}

/// What a [`Stub`] remembers.
#[derive(Clone)]
struct Noted {
    calls: Arc<Mutex<Vec<Got>>>,
    listings: Arc<AtomicUsize>,
}

async fn stubbed<F: Fn(&Got) -> StubAnswer>(
    answer: Arc<F>,
    noted: Noted,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let _read = body.collect().await;
    let got = Got {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
    };
    let listing = got.method == "GET" && got.path.contains("/actions?");
    let (status, headers, body) = if listing {
        noted.listings.fetch_add(1, Ordering::Relaxed);
        let named = got.path.split('/').nth(4).unwrap();
        let namespace = if named == "_" { "guest" } else { named };
        let list = json!([{ "namespace": namespace, "name": "f", "version": "0.0.1" }]);
        (200, HashMap::new(), list.to_string())
    } else {
        noted.calls.lock().unwrap().push(got.clone());
        match answer(&got) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}

/// The record of an execution that has gone well.
pub(crate) fn activation(result: &Value) -> String {
    json!({
        "activationId": "0".repeat(32),
        "duration": 7,
        "annotations": [],
        "response": { "status": "success", "success": true, "result": result },
    })
    .to_string()
}
