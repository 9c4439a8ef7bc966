//! What a blocking call costs in the proxy beside a bare bridge from HTTP to gRPC that knows nothing
//! of OpenWhisk, in CPU time, both in one run: `cargo bench -p wsk-proxy --bench bridge`.
//!
//! Both have one thread and the same backend, which answers at once; the clients keep their
//! connections. CPU time is what the system counts for the threads of each process.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement ends when something fails"
)]

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{
    ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaReply, LambdaService,
    Listener, Metadata, Peer, Server,
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tonic::Status;
use tonic::service::Routes;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls of one measurement.
const CALLS: usize = 20_000;
const ROUNDS: usize = 3;
const IN_FLIGHT: [usize; 3] = [1, 16, 64];
const BODY: &[u8] = br#"{"name":"edge","numbers":[1,2,3,4,5,6,7,8],"text":"a hundred bytes of input, roughly, as usual"}"#;
const PATHS: [(&str, &str); 2] = [
    (
        "result",
        "/api/v1/namespaces/_/actions/echo?blocking=true&result=true",
    ),
    (
        "activation",
        "/api/v1/namespaces/_/actions/echo?blocking=true",
    ),
];

fn main() {
    let role = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    match role.as_str() {
        "backend" => runtime.block_on(backend()),
        "bare" => runtime.block_on(bare(std::env::args().nth(2).unwrap().parse().unwrap())),
        _ => runtime.block_on(measure()),
    }
}

/// Answers everything at once.
struct Instantly(Bytes);

impl LambdaService for Instantly {
    async fn run(&self, _: &Core, _: Peer, _: LambdaCall) -> Result<LambdaReply, Status> {
        Ok(LambdaReply {
            message: self.0.clone(),
            trailers: Metadata::new(),
        })
    }
}

async fn backend() {
    let response = LambdaResponse {
        retcode: "OK".to_owned(),
        outcome: Outcome::Ok as i32,
        output: String::from_utf8(BODY.to_vec()).unwrap(),
        responder: "127.0.0.1:10000".to_owned(),
        hops: 2,
        ptime: 1,
        ..LambdaResponse::default()
    };
    let cores = Arc::new(Cores::start("backend", NonZeroUsize::MIN).unwrap());
    let listener = Listener::bind(&Endpoint::new("127.0.0.1", 0)).unwrap();
    println!("{}", listener.local_addr());
    let service = Arc::new(Instantly(response.encode_to_vec().into()));
    let server = Server::new(Routes::default()).with_lambda(service);
    let _serving = server.serve(listener, &cores);
    std::future::pending::<()>().await;
}

/// The least that a bridge can do.
async fn bare(router: Endpoint) {
    let client = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
    let bridge = Arc::new((client, router));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let bridge = bridge.clone();
        let service = service_fn(move |request| cross(bridge.clone(), request));
        tokio::spawn(async move {
            let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

async fn cross(
    bridge: Arc<(LambdaClient, Endpoint)>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let request = LambdaRequest::new("echo", String::from_utf8(body.to_vec()).unwrap());
    let call = LambdaCall {
        message: request.encode_to_vec().into(),
        metadata: Metadata::new(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    let reply = bridge.0.call(&bridge.1, &call).await.unwrap();
    let response = LambdaResponse::decode(reply.message).unwrap();
    Ok(Response::new(Full::new(response.output.into())))
}

/// A process that is measured.
struct Measured {
    child: Child,
    address: SocketAddr,
}

impl Measured {
    fn own(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }

    fn proxy(router: SocketAddr) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wskproxy"))
            .args([
                "--open",
                "--num-threads",
                "1",
                "--wsk-api-root",
                "http://127.0.0.1:0",
            ])
            .args([
                "--server-endpoint",
                &router.to_string(),
                "--table-endpoint",
                "",
            ])
            .args(["--admin-endpoint", "", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("proxy listens"));
        let line: serde_json::Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        let fields = line.get("fields").unwrap_or(&line);
        let address = fields["address"].as_str().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// CPU time of all its threads.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = tasks.map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            stat.split_whitespace()
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// CPU microseconds of one call, of `CALLS` with so many in flight.
    async fn per_call(&self, path: &'static str, in_flight: usize) -> f64 {
        let before = self.cpu();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..in_flight {
            clients.spawn(calls(self.address, path, CALLS / in_flight));
        }
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
        let calls = (CALLS / in_flight * in_flight) as f64;
        (self.cpu() - before).as_secs_f64() * 1e6 / calls
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

async fn calls(address: SocketAddr, path: &'static str, count: usize) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut requests, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for _ in 0..count {
        let request = Request::post(path)
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .header("authorization", "Basic dTprZXk=")
            .body(Full::new(Bytes::from_static(BODY)))
            .unwrap();
        let response = requests.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
}

async fn measure() {
    let backend = Measured::own(&["backend"]);
    let router = backend.address.to_string();
    let bare = Measured::own(&["bare", &router]);
    let proxy = Measured::proxy(backend.address);
    println!("CPU microseconds per blocking call, {CALLS} calls, median of {ROUNDS} rounds");
    println!(
        "{:<12}{:>10}{:>10}{:>10}{:>8}",
        "answer", "in flight", "bare", "wskproxy", "ratio"
    );
    for (name, path) in PATHS {
        for in_flight in IN_FLIGHT {
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                without.push(bare.per_call(path, in_flight).await);
                with.push(proxy.per_call(path, in_flight).await);
            }
            let (without, with) = (median(without), median(with));
            let ratio = with / without;
            println!("{name:<12}{in_flight:>10}{without:>10.1}{with:>10.1}{ratio:>8.2}");
        }
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
