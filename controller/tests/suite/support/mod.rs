//! A stranger's router that records what it is told, and a controller to tell it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests end when something fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

#[path = "../../../../transport/tests/suite/support/certificates.rs"]
mod certificates;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) use certificates::certificates;
use edge_controller::{Config, Controller, Handle};
use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_proto::rpc::edge_router_conf::{Action, Filling};
use edge_proto::rpc::edge_router_server::{EdgeRouter, EdgeRouterServer};
use edge_proto::rpc::forwarding_table::Entry;
use edge_proto::rpc::{
    ComputerInfo, EdgeRouterConf, ForwardingTable, NumTables, Return, RouterInfo, TableId, Void,
    computer_info::Container,
};
use edge_transport::tls::TlsFiles;
use edge_transport::{Cores, Listener, control};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How long to wait for what has to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < give_up, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A configuration with short intervals and free ports. Computers are not
/// probed: most of those announced here are not there.
pub(crate) fn quick() -> Config {
    let mut config = Config::default();
    config.server.endpoint = "127.0.0.1:0".parse().unwrap();
    config.admin.endpoint = "127.0.0.1:0".parse().unwrap();
    config.push.reconcile_interval = Duration::from_millis(50);
    config.push.first_retry = Duration::from_millis(10);
    config.push.last_retry = Duration::from_millis(50);
    config.liveness.probe_interval = Duration::from_secs(3600);
    config
}

/// As [`quick`], but computers are probed, and none gets more time to announce itself to a controller
/// that has started than the probes take.
pub(crate) fn quick_with_probes() -> Config {
    let mut config = quick();
    config.liveness.probe_interval = Duration::from_millis(20);
    config.liveness.grace = Duration::ZERO;
    config
}

/// As [`quick`], but tables are not compared on their own accord.
pub(crate) fn without_reconciliation() -> Config {
    let mut config = quick();
    config.push.reconcile_interval = Duration::from_secs(3600);
    config
}

pub(crate) async fn start(config: Config) -> Handle {
    Controller::start(config).await.unwrap()
}

/// A client of the controller, as peers have one.
#[derive(Clone)]
pub(crate) struct Announcer(EdgeControllerClient<control::Channel>);

impl Announcer {
    pub(crate) fn to(controller: SocketAddr) -> Self {
        let channel = control::channel(&controller.into(), None, DEADLINE);
        Self(EdgeControllerClient::new(channel))
    }

    /// One that shows a certificate.
    pub(crate) fn encrypted(controller: SocketAddr, tls: &TlsFiles) -> Self {
        let tls = tls.client_config().unwrap();
        let channel = control::channel(&controller.into(), Some(tls), DEADLINE);
        Self(EdgeControllerClient::new(channel))
    }

    pub(crate) async fn computer(&self, info: ComputerInfo) -> Result<(), Status> {
        self.0.clone().announce_computer(info).await.map(drop)
    }

    pub(crate) async fn remove(&self, info: ComputerInfo) -> Result<(), Status> {
        self.0.clone().remove_computer(info).await.map(drop)
    }

    pub(crate) async fn router(&self, info: RouterInfo) -> Result<(), Status> {
        self.0.clone().announce_router(info).await.map(drop)
    }
}

/// A computer of the reference: no lease, no generation.
pub(crate) fn computer(at: &str, lambdas: &[&str]) -> ComputerInfo {
    let container = |lambda: &&str| Container {
        name: "cont0".to_owned(),
        processor: "cpu0".to_owned(),
        lambda: (*lambda).to_owned(),
        num_workers: 2,
    };
    ComputerInfo {
        edge_server_endpoint: at.to_owned(),
        containers: lambdas.iter().map(container).collect(),
        ..ComputerInfo::default()
    }
}

/// A computer of ours.
pub(crate) fn leased(at: &str, lambdas: &[&str], lease_ms: u32) -> ComputerInfo {
    ComputerInfo {
        lease_ms,
        generation: 1,
        ..computer(at, lambdas)
    }
}

/// Who would forward requests to a router that is not there: nobody listens at port 1.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

#[derive(Debug, Clone)]
struct Stored {
    weight: f32,
    is_final: bool,
    owner: String,
}

#[derive(Debug, Default)]
struct Inner {
    table: BTreeMap<(String, String), Stored>,
    has_owners: bool,
    log: Vec<String>,
    /// How far the table was filled, by each operation.
    fillings: Vec<Filling>,
    readings: usize,
    page: Option<usize>,
    /// Shows so many empty entries instead of the table.
    lies: Option<usize>,
    refused: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Service(Arc<Mutex<Inner>>);

impl Service {
    fn set(&self, lambda: &str, destination: &str, weight: f32, is_final: bool) {
        let key = (lambda.to_owned(), destination.to_owned());
        let mut inner = self.0.lock().unwrap();
        let stored = Stored {
            weight,
            is_final,
            owner: String::new(),
        };
        inner.table.insert(key, stored);
    }
}

#[tonic::async_trait]
impl EdgeRouter for Service {
    async fn configure(
        &self,
        request: Request<EdgeRouterConf>,
    ) -> Result<Response<Return>, Status> {
        let conf = request.into_inner();
        let mut inner = self.0.lock().unwrap();
        let key = (conf.lambda.clone(), conf.destination.clone());
        let route = format!("{},{}", conf.lambda, conf.destination);
        inner.fillings.push(conf.filling());
        match conf.action() {
            Action::Flush => panic!("the controller never flushes"),
            Action::Change => {
                inner
                    .log
                    .push(format!("add {route},{},{}", conf.weight, conf.r#final));
                if inner.refused.as_ref() == Some(&conf.lambda) {
                    let msg = "Error: not this one".to_owned();
                    return Ok(Response::new(Return { msg }));
                }
                let stored = Stored {
                    weight: conf.weight,
                    is_final: conf.r#final,
                    owner: conf.owner,
                };
                inner.table.insert(key, stored);
            }
            Action::Remove => {
                inner.log.push(format!("del {route}"));
                let owner = inner.table.get(&key).map(|stored| &stored.owner);
                let is_others = owner.is_some_and(|owner| *owner != conf.owner);
                if !(inner.has_owners && is_others && !conf.owner.is_empty()) {
                    inner.table.remove(&key);
                }
            }
        }
        let msg = "OK".to_owned();
        Ok(Response::new(Return { msg }))
    }

    async fn get_table(
        &self,
        request: Request<TableId>,
    ) -> Result<Response<ForwardingTable>, Status> {
        let id = request.into_inner();
        let mut inner = self.0.lock().unwrap();
        inner.readings += 1;
        if let Some(lies) = inner.lies {
            return Ok(Response::new(ForwardingTable {
                entries: vec![Entry::default(); lies],
                ..ForwardingTable::default()
            }));
        }
        let entries = inner
            .table
            .iter()
            .map(|((lambda, destination), entry)| Entry {
                lambda: lambda.clone(),
                destination: destination.clone(),
                weight: entry.weight,
                r#final: entry.is_final,
                owner: match inner.has_owners {
                    true => entry.owner.clone(),
                    false => String::new(),
                },
            });
        let has_owners = inner.has_owners;
        let table = match inner.page {
            None => ForwardingTable {
                entries: entries.collect(),
                total: 0,
                has_owners,
            },
            Some(page) => ForwardingTable {
                entries: entries
                    .skip(usize::try_from(id.offset).unwrap())
                    .take(page)
                    .collect(),
                total: inner.table.len() as u64,
                has_owners,
            },
        };
        Ok(Response::new(table))
    }

    async fn get_num_tables(&self, _: Request<Void>) -> Result<Response<NumTables>, Status> {
        Ok(Response::new(NumTables { value: 2 }))
    }
}

/// A router served by tonic's own server, on a thread of its own that dies with it.
pub(crate) struct Router {
    service: Service,
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Router {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), &[])
    }

    /// Starts with a table of final entries of weight 0.5.
    pub(crate) fn start_at(address: SocketAddr, table: &[(&str, &str)]) -> Self {
        let service = Service::default();
        for (lambda, destination) in table {
            service.set(lambda, destination, 0.5, true);
        }
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let served = service.clone();
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let serving = Server::builder()
                .add_service(EdgeRouterServer::new(served))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                served = serving => served.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            // Connections end with the runtime.
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(serve);
        });
        Self {
            service,
            address,
            running: Some((stop, thread)),
        }
    }

    /// A router whose table is served on our own server, on `cores`, to peers
    /// that show a certificate. It ends with the cores.
    pub(crate) fn encrypted(tls: &TlsFiles, cores: &Arc<Cores>) -> Self {
        let service = Service::default();
        let routes = Routes::new(EdgeRouterServer::new(service.clone()));
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let handle = edge_transport::Server::new(routes)
            .with_tls(Some(tls.server_config().unwrap()))
            .serve(listener, cores);
        Self {
            service,
            address: handle.local_addr(),
            running: None,
        }
    }

    /// Ends at once, with all connections.
    pub(crate) fn die(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }

    /// How a router of the reference announces itself.
    pub(crate) fn legacy(&self) -> RouterInfo {
        self.leased(0)
    }

    pub(crate) fn leased(&self, lease_ms: u32) -> RouterInfo {
        RouterInfo {
            edge_server_endpoint: format!("127.0.0.1:{}", self.address.port()),
            forwarding_table_endpoint: self.address.to_string(),
            lease_ms,
            generation: 0,
        }
    }

    /// The table as `lambda,destination`, sorted.
    pub(crate) fn table(&self) -> Vec<String> {
        let inner = self.service.0.lock().unwrap();
        let keys = inner.table.keys();
        keys.map(|(lambda, destination)| format!("{lambda},{destination}"))
            .collect()
    }

    /// What the router was told, in order.
    pub(crate) fn log(&self) -> Vec<String> {
        self.service.0.lock().unwrap().log.clone()
    }

    /// How far the table was filled, as each operation said.
    pub(crate) fn fillings(&self) -> Vec<Filling> {
        self.service.0.lock().unwrap().fillings.clone()
    }

    pub(crate) fn clear_log(&self) {
        self.service.0.lock().unwrap().log.clear();
    }

    /// Puts an entry into the table by another hand than the controller's.
    pub(crate) fn set(&self, lambda: &str, destination: &str, weight: f32, is_final: bool) {
        self.service.set(lambda, destination, weight, is_final);
    }

    /// Loses an entry.
    pub(crate) fn lose(&self, lambda: &str, destination: &str) {
        let key = (lambda.to_owned(), destination.to_owned());
        self.service.0.lock().unwrap().table.remove(&key);
    }

    /// Weight and finality of an entry.
    pub(crate) fn entry(&self, lambda: &str, destination: &str) -> Option<(f32, bool)> {
        let key = (lambda.to_owned(), destination.to_owned());
        let inner = self.service.0.lock().unwrap();
        let stored = inner.table.get(&key)?;
        Some((stored.weight, stored.is_final))
    }

    /// Knows whom entries belong to, as routers of ours do.
    pub(crate) fn with_owners(self) -> Self {
        self.service.0.lock().unwrap().has_owners = true;
        self
    }

    /// Whom an entry belongs to.
    pub(crate) fn owner(&self, lambda: &str, destination: &str) -> Option<String> {
        let key = (lambda.to_owned(), destination.to_owned());
        let inner = self.service.0.lock().unwrap();
        inner.table.get(&key).map(|stored| stored.owner.clone())
    }

    /// Shows the table in pages of this size, as routers of ours do.
    pub(crate) fn show_pages_of(&self, entries: usize) {
        self.service.0.lock().unwrap().page = Some(entries);
    }

    /// Shows so many empty entries instead of the table.
    pub(crate) fn lie(&self, entries: usize) {
        self.service.0.lock().unwrap().lies = Some(entries);
    }

    /// Refuses entries of this lambda.
    pub(crate) fn refuse(&self, lambda: &str) {
        self.service.0.lock().unwrap().refused = Some(lambda.to_owned());
    }

    pub(crate) fn readings(&self) -> usize {
        self.service.0.lock().unwrap().readings
    }

    /// Waits until the table is this one.
    pub(crate) async fn shows(&self, table: &[&str]) {
        let what = format!("table {table:?}");
        eventually(&what, || self.table() == table).await;
    }

    /// Waits until the table was compared a few times more.
    pub(crate) async fn is_compared(&self) {
        let before = self.readings();
        eventually("table read", || self.readings() >= before + 3).await;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.end();
    }
}

/// A page of the admin endpoint.
pub(crate) async fn page(controller: &Handle, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = controller.admin_address().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

pub(crate) async fn state(controller: &Handle) -> serde_json::Value {
    serde_json::from_str(&page(controller, "/state").await).unwrap()
}

/// A running `edgecontroller`; killed when the test ends before it does.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// What it writes to standard error; dropped, it cannot write any more.
    pub(crate) lines: Lines<BufReader<ChildStderr>>,
}

impl Program {
    /// Starts it on free ports and waits until it listens.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = program(&["--server-endpoint", "127.0.0.1:0"])
            .args(["--admin-endpoint", "127.0.0.1:0"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("controller listens address=")?;
            Some(address.trim().parse().unwrap())
        });
        Self {
            child,
            address: address.unwrap(),
            lines,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs `edgecontroller`.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("edgecontroller"));
    command.args(arguments).env("NO_COLOR", "1");
    command
}

/// Waits until `/state` shows at `pointer` what is expected.
pub(crate) async fn state_shows(controller: &Handle, pointer: &str, expected: serde_json::Value) {
    let give_up = Instant::now() + DEADLINE;
    loop {
        let state = state(controller).await;
        if state.pointer(pointer) == Some(&expected) {
            return;
        }
        assert!(
            Instant::now() < give_up,
            "{pointer} is not {expected} in {state}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Attempts to reach the first router that have failed in a row.
pub(crate) async fn attempts(controller: &Handle) -> u64 {
    let state = state(controller).await;
    let attempts = state.pointer("/routers/0/contact/attempts");
    attempts.and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Waits for two more failed attempts, the second of which began after now.
pub(crate) async fn has_tried_more_than(controller: &Handle, so_far: u64) {
    let give_up = Instant::now() + DEADLINE;
    while attempts(controller).await <= so_far + 1 {
        assert!(Instant::now() < give_up, "the router is not tried any more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
