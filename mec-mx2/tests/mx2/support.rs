//! A server on free ports, a client that sends exactly what it is told, and a receiver of
//! notifications that answers as it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge_transport::Endpoint;
use mec_mx2::model::AppInfo;
use mec_mx2::{ApiRoot, Config, Handle, Server};
use serde_json::{Value, json};

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.api.root = ApiRoot::plain(Endpoint::new("127.0.0.1", 0));
    config.server.endpoint = Endpoint::new("127.0.0.1", 0);
    config.admin.endpoint = "".parse().unwrap();
    config.notifications.first_retry = Duration::from_millis(10);
    config.notifications.last_retry = Duration::from_millis(20);
    config
}

pub(crate) async fn server(configure: impl FnOnce(&mut Config)) -> Handle {
    let mut config = config();
    configure(&mut config);
    Server::start(config).await.unwrap()
}

/// With the application `clambda0`, reached at 127.0.0.1:10000.
pub(crate) async fn serving() -> Handle {
    let handle = server(|_| {}).await;
    serve(&handle);
    handle
}

pub(crate) fn serve(handle: &Handle) {
    handle
        .state()
        .add_app(AppInfo::lambda("clambda0").unwrap())
        .unwrap();
    handle
        .state()
        .associate("", "clambda0", "127.0.0.1:10000")
        .unwrap();
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// That it is a problem of this status, as RFC 9457 says.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].is_string());
        problem
    }
}

/// Sends a request of any kind to the server.
pub(crate) async fn send(
    handle: &Handle,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Answer {
    send_to(
        handle.root().endpoint().as_str(),
        method,
        path,
        headers,
        body,
    )
    .await
}

/// As [`send`], to any address.
pub(crate) async fn send_to(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Answer {
    let (address, body) = (address.to_owned(), body.into());
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has read enough may answer before it has read everything.
        let _ = stream.write_all(&body);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        parse(&String::from_utf8(text).unwrap())
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

pub(crate) fn parse(text: &str) -> Answer {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {text:?}"));
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

const JSON: [(&str, &str); 2] = [
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
];

/// Sends JSON, as the conformance suites do.
pub(crate) async fn ask(handle: &Handle, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send(handle, method, path, &JSON, body).await
}

/// A request for a context of `clambda0`.
pub(crate) fn context(callback: &str) -> Value {
    json!({
        "associateDevAppId": "dev-1",
        "callbackReference": callback,
        "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appDVersion": "1.0",
            "userAppInstanceInfo": [{}]}
    })
}

/// Creates a context; returns its identifier.
pub(crate) async fn create(handle: &Handle, callback: &str) -> String {
    let answer = ask(
        handle,
        "POST",
        "/dev_app/v1/app_contexts",
        &context(callback),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["contextId"].as_str().unwrap().to_owned()
}

/// Receives notifications until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    /// Speaks it, if at all, with this.
    tls: Option<Arc<rustls::ServerConfig>>,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    /// Bytes of a body that answers announce, and never have.
    owed: usize,
    status: Arc<Mutex<Box<dyn StatusOf>>>,
}

/// What to answer the notification of this number, from 0.
pub(crate) trait StatusOf: Send + std::fmt::Debug {
    fn status(&self, number: usize) -> u16;
}

#[derive(Debug)]
pub(crate) struct Always(pub(crate) u16);

impl StatusOf for Always {
    fn status(&self, _: usize) -> u16 {
        self.0
    }
}

/// Refuses the first few.
#[derive(Debug)]
pub(crate) struct After(pub(crate) usize, pub(crate) u16);

impl StatusOf for After {
    fn status(&self, number: usize) -> u16 {
        if number < self.0 { self.1 } else { 204 }
    }
}

impl Receiver {
    pub(crate) fn start(status: impl StatusOf + 'static) -> Self {
        Self::with(status, None, 0)
    }

    /// One whose answers never end.
    pub(crate) fn endless(status: impl StatusOf + 'static) -> Self {
        Self::with(status, None, 10)
    }

    /// One that speaks `https`.
    pub(crate) fn encrypted(tls: Arc<rustls::ServerConfig>) -> Self {
        Self::with(Always(204), Some(tls), 0)
    }

    fn with(
        status: impl StatusOf + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
        owed: usize,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            tls,
            heard: Arc::default(),
            owed,
            status: Arc::new(Mutex::new(Box::new(status))),
        };
        let own = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || match &own.tls {
                    None => own.serve(stream),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(tls.clone()).unwrap();
                        own.serve(rustls::StreamOwned::new(session, stream));
                    }
                });
            }
        });
        receiver
    }

    fn serve(&self, mut stream: impl Read + Write) {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            // One request after the other.
            let complete = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = complete.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse::<usize>().unwrap())
                });
                let length = length.unwrap_or(0);
                if body.len() >= length {
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    let value = serde_json::from_str(&body[..length]).unwrap();
                    let number = {
                        let mut heard = self.heard.lock().unwrap();
                        heard.push((path, value));
                        heard.len() - 1
                    };
                    let status = self.status.lock().unwrap().status(number);
                    let owed = self.owed;
                    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {owed}\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    text.drain(..head.len() + 4 + length);
                    continue;
                }
            }
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(read) => text.extend_from_slice(&chunk[..read]),
            }
        }
    }

    pub(crate) fn answer(&self, status: impl StatusOf + 'static) {
        *self.status.lock().unwrap() = Box::new(status);
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{path}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }

    /// How many notifications came.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// What came to `path`, of which there have to be `count`.
    pub(crate) async fn wait(&self, path: &str, count: usize) -> Vec<Value> {
        let path = format!("/{path}");
        let of_path = || -> Vec<_> {
            let heard = self.heard().into_iter().filter(|(to, _)| *to == path);
            heard.map(|(_, value)| value).collect()
        };
        eventually(&format!("{count} notifications at {path}"), || {
            of_path().len() >= count
        })
        .await;
        of_path()
    }
}

/// A port of the loopback that accepts connections and never answers.
pub(crate) fn black_hole() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    (listener, uri)
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
