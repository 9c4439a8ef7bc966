//! Measures what `docs/mx2.md` promises: how fast contexts are created, and how long it takes until
//! all of them know of a new default route. Clients, server and receivers share this machine.
//!
//! ```sh
//! cargo run --release -p mec-mx2 --example goals -- [CONTEXTS] [STATE-FOLDER]
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_transport::{Cores, Endpoint};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mec_mx2::model::AppInfo;
use mec_mx2::{ApiRoot, Config, Server};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that create contexts.
const CONNECTIONS: usize = 64;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let contexts: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let mut config = Config::default();
    config.api.root = ApiRoot::plain(Endpoint::new("127.0.0.1", 0));
    config.server.endpoint = Endpoint::new("127.0.0.1", 0);
    config.admin.endpoint = "".parse()?;
    config.state.folder = arguments.next().map(Into::into);
    let kept = config.state.folder.is_some();
    let server = Server::start(config).await?;
    let state = server.state().clone();
    let app = AppInfo::lambda("clambda0").ok_or_else(|| anyhow::anyhow!("no application"))?;
    state.add_app(app)?;
    state.associate("", "clambda0", "127.0.0.1:1")?;

    let heard = Arc::new(AtomicUsize::new(0));
    let receivers = Cores::start("receiver", Cores::available())?;
    let receiver = receive(&receivers, heard.clone()).await?;
    let before = rss_kb();
    let begin = Instant::now();
    create(server.root().endpoint(), contexts, &receiver).await?;
    let took = begin.elapsed();
    let grown = rss_kb().saturating_sub(before);
    println!(
        "created {contexts} contexts in {took:.2?}: {:.0} a second, {CONNECTIONS} connections, {}",
        per_second(contexts, took),
        if kept {
            "each on the disk"
        } else {
            "in memory"
        }
    );
    println!(
        "resident memory grew by {grown} kB: {:.1} kB for each",
        per_each(grown, contexts)
    );

    for round in 2..5 {
        heard.store(0, Ordering::Relaxed);
        let begin = Instant::now();
        state.associate("", "clambda0", &format!("127.0.0.1:{round}"))?;
        let changed = begin.elapsed();
        while heard.load(Ordering::Relaxed) < contexts {
            anyhow::ensure!(
                begin.elapsed() < Duration::from_secs(120),
                "not all were notified"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = begin.elapsed();
        println!(
            "a new default route: decided for all in {changed:.2?}, all notified in {took:.2?}, {:.0} a second",
            per_second(contexts, took)
        );
    }
    let grown = rss_kb().saturating_sub(before);
    println!(
        "resident memory after all: {grown} kB more than before, {:.1} kB for each",
        per_each(grown, contexts)
    );
    server.kill().await;
    receivers.join().await;
    Ok(())
}

/// Takes notifications, and counts them.
async fn receive(cores: &Cores, heard: Arc<AtomicUsize>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    let spread: Vec<_> = cores.all().to_vec();
    tokio::spawn(async move {
        for turn in 0_usize.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let Ok(stream) = stream.into_std() else {
                continue;
            };
            let heard = heard.clone();
            spread[turn % spread.len()].spawn(async move {
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let heard = heard.clone();
                    async move {
                        request.into_body().collect().await?;
                        heard.fetch_add(1, Ordering::Relaxed);
                        let mut response = Response::new(Full::new(Bytes::new()));
                        *response.status_mut() = StatusCode::NO_CONTENT;
                        Ok::<_, hyper::Error>(response)
                    }
                });
                if let Ok(stream) = TcpStream::from_std(stream) {
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    // Whoever closes it has had enough.
                    let _ = served.await;
                }
            });
        }
    });
    Ok(uri)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement that hangs is seen to hang"
)]
async fn create(server: &Endpoint, contexts: usize, receiver: &str) -> anyhow::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect((server.host(), server.port())).await?;
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (next, receiver, host) = (next.clone(), receiver.to_owned(), server.to_string());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= contexts {
                    return anyhow::Ok(());
                }
                let body = json!({
                    "associateDevAppId": format!("dev-{number}"),
                    "callbackReference": format!("{receiver}/dev-{number}"),
                    "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
                        "userAppInstanceInfo": [{}]}
                });
                let request = Request::post("/dev_app/v1/app_contexts")
                    .header("host", &host)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(body.to_string())))?;
                requests.ready().await?;
                let response = requests.send_request(request).await?;
                anyhow::ensure!(response.status() == StatusCode::CREATED, "{}", response.status());
                response.into_body().collect().await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next());
    kb.and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_each(kb: u64, count: usize) -> f64 {
    kb as f64 / count as f64
}
