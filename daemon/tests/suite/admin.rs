//! The admin endpoint over a real socket.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    time::Duration,
};

use edge_daemon::admin::{Admin, AdminConfig, RunningAdmin, json_response};
use prometheus_client::metrics::counter::Counter;
use tokio::{sync::Notify, task::spawn_blocking};

fn anywhere() -> AdminConfig {
    AdminConfig::on_port(0)
}

async fn start(admin: Admin) -> RunningAdmin {
    admin
        .start(&anywhere())
        .await
        .unwrap()
        .expect("it is not off")
}

/// Sends bytes and reads until the server closes: status line with headers, and body.
async fn exchange(address: SocketAddr, request: impl Into<Vec<u8>>) -> (String, String) {
    let request = request.into();
    let answer = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let mut admin = Admin::new("edgerouter", "1.2.3");
    let requests: Counter = Counter::default();
    admin
        .metrics()
        .register("requests", "Requests", requests.clone());
    requests.inc_by(3);
    let running = start(admin).await;
    let (head, body) = get(running.address(), "/metrics").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.contains("requests_total 3\n"), "{body}");
    assert!(
        body.contains("edge_build_info{program=\"edgerouter\",version=\"1.2.3\"} 1\n"),
        "{body}"
    );
    assert!(body.ends_with("# EOF\n"), "{body}");
    requests.inc();
    assert!(
        get(running.address(), "/metrics")
            .await
            .1
            .contains("requests_total 4\n")
    );
}

#[tokio::test]
async fn health_is_life_and_readiness_has_a_reason() {
    let admin = Admin::new("edgerouter", "1.2.3");
    let readiness = admin.readiness();
    let running = start(admin).await;
    let address = running.address();

    assert!(get(address, "/healthz").await.0.starts_with("http/1.1 200"));
    let (head, body) = get(address, "/readyz").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    assert_eq!(body, "not ready: starting\n");

    readiness.ready();
    let (head, body) = get(address, "/readyz").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "ready\n");

    readiness.not_ready("draining");
    assert_eq!(get(address, "/readyz").await.1, "not ready: draining\n");
    assert!(get(address, "/healthz").await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn the_version_is_json() {
    let running = start(Admin::new("edgerouter", "1.2.3")).await;
    let (head, body) = get(running.address(), "/version").await;
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, "{\"name\":\"edgerouter\",\"version\":\"1.2.3\"}\n");
}

#[tokio::test]
async fn programs_add_pages() {
    let mut admin = Admin::new("edgerouter", "1.2.3");
    admin.json("/table", || [("clambda0", 2)]);
    let page =
        |axum::extract::Path(id): axum::extract::Path<String>| async move { json_response(&id) };
    admin.route("/decisions/{id}", axum::routing::get(page));
    let running = start(admin).await;
    assert_eq!(
        get(running.address(), "/table").await.1,
        "[[\"clambda0\",2]]\n"
    );
    assert_eq!(get(running.address(), "/decisions/7f").await.1, "\"7f\"\n");
}

/// Everything of the endpoint runs on one thread here.
#[tokio::test]
async fn a_page_that_takes_long_holds_up_neither_others_nor_the_end() {
    let (begun, beginning) = mpsc::sync_channel(1);
    let (release, released) = mpsc::sync_channel::<()>(1);
    let released = Arc::new(std::sync::Mutex::new(released));
    let mut admin = Admin::new("edgerouter", "1.2.3");
    admin.json("/large", move || {
        begun.send(()).unwrap();
        // Ends when the other side is dropped.
        let _released = released.lock().unwrap().recv();
    });
    let running = start(admin).await;
    let address = running.address();
    let large = tokio::spawn(get(address, "/large"));
    spawn_blocking(move || beginning.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(get(address, "/healthz").await.0.starts_with("http/1.1 200"));
    running.stop().await;
    large.abort();
    drop(release);
}

#[tokio::test]
async fn what_is_not_there_is_a_404_that_lists_what_is() {
    let mut admin = Admin::new("edgerouter", "1.2.3");
    admin.json("/table", || 0);
    let running = start(admin).await;
    let (head, body) = get(running.address(), "/metric").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert_eq!(
        body,
        "no page /metric; there are: /healthz /metrics /readyz /table /version\n"
    );
}

#[tokio::test]
async fn pages_are_only_read() {
    let running = start(Admin::new("edgerouter", "1.2.3")).await;
    let address = running.address();
    let (head, body) = exchange(address, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert_eq!(body, "/metrics does not take DELETE\n");
    let (head, body) = exchange(address, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn a_request_with_a_body_is_refused_unread() {
    let running = start(Admin::new("edgerouter", "1.2.3")).await;
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let (head, _) = exchange(running.address(), request).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (head, _) = exchange(running.address(), request).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let running = start(Admin::new("edgerouter", "1.2.3")).await;
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(20_000));
    let address = running.address();
    // The server closes before it has read everything, so that its answer may be lost to
    // a reset; what counts is that the page is not served and that others still are.
    let served = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut answer = String::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    });
    let answer = served.await.unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    assert!(!answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(get(address, "/healthz").await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let admin = Admin::new("edgerouter", "1.2.3");
    let error = admin.start(&AdminConfig::on_port(port)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on 127.0.0.1:{port} for the admin endpoint")
    );
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn an_empty_endpoint_is_off() {
    let admin = Admin::new("edgerouter", "1.2.3");
    assert!(
        admin
            .start(&AdminConfig::default())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn it_stops_despite_an_idle_connection_and_frees_the_port() {
    let running = start(Admin::new("edgerouter", "1.2.3")).await;
    let address = running.address();
    let mut idle = TcpStream::connect(address).unwrap();
    // The connection is accepted for certain once a later one was answered.
    get(address, "/healthz").await;
    running.stop().await;
    idle.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    TcpListener::bind(address).unwrap();
}

#[tokio::test]
async fn an_answer_under_way_is_finished_before_it_stops() {
    let mut admin = Admin::new("edgerouter", "1.2.3");
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (arrived.clone(), release.clone());
    let page = move || async move {
        tell.notify_one();
        wait.notified().await;
        "late\n"
    };
    admin.route("/slow", axum::routing::get(page));
    let running = start(admin).await;
    let address = running.address();
    let answer = tokio::spawn(async move { get(address, "/slow").await });
    arrived.notified().await;
    let stopping = tokio::spawn(running.stop());
    release.notify_one();
    assert_eq!(answer.await.unwrap().1, "late\n");
    stopping.await.unwrap();
}

#[tokio::test]
async fn it_stops_although_a_client_does_not_read_its_answer() {
    let mut admin = Admin::new("edgerouter", "1.2.3");
    // More than the buffers of both ends hold.
    let page = || async { "x".repeat(64 << 20) };
    admin.route("/large", axum::routing::get(page));
    let running = start(admin).await;
    let address = running.address();
    let begun = spawn_blocking(move || {
        let mut client = TcpStream::connect(address).unwrap();
        let request = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(request).unwrap();
        client.read_exact(&mut [0]).unwrap();
        client
    });
    let _client = begun.await.unwrap();
    let stopping = tokio::time::timeout(Duration::from_secs(10), running.stop());
    stopping.await.expect("long before a connection is too old");
}
