//! The programs as processes: options, exit codes, signals, ports.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use edge_proto::rpc::edge_controller_server::{EdgeController, EdgeControllerServer};
use edge_proto::rpc::{ComputerInfo, RouterInfo, Void};
use edge_transport::{Cores, Endpoint, Listener, Server, ServerHandle};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgecomputer"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The options that keep a computer of a test on ports of its own.
const OWN_PORTS: [&str; 4] = [
    "--server-endpoint=127.0.0.1:0",
    "--utilization-endpoint=127.0.0.1:0",
    "--admin-endpoint=",
    "--log-format=json",
];

/// `arguments`, and [`OWN_PORTS`] where they do not say otherwise.
fn with_own_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let option = |argument: &str| argument.split('=').next().map(str::to_owned);
    let given: Vec<_> = arguments.iter().map(|argument| option(argument)).collect();
    let own = OWN_PORTS.into_iter();
    own.filter(|own| !given.contains(&option(own)))
        .chain(arguments.iter().copied())
        .collect()
}

/// A running computer; killed if the test fails.
struct Computer {
    child: Child,
    log: Receiver<String>,
}

impl Computer {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(with_own_ports(arguments))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            let mut lines = stderr.lines().map_while(Result::ok);
            lines.try_for_each(|line| send.send(line))
        });
        Self { child, log }
    }

    /// The first line of the log that has `part` in it.
    fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("never logged: {part}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the computer does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, PartialEq)]
enum Said {
    Announced(ComputerInfo),
    Removed(ComputerInfo),
}

/// A controller that remembers what it is told.
struct Recorder(Sender<Said>);

#[tonic::async_trait]
impl EdgeController for Recorder {
    async fn announce_computer(
        &self,
        info: Request<ComputerInfo>,
    ) -> Result<Response<Void>, Status> {
        self.0.send(Said::Announced(info.into_inner())).unwrap();
        Ok(Response::new(Void {}))
    }

    async fn announce_router(&self, _: Request<RouterInfo>) -> Result<Response<Void>, Status> {
        Err(Status::unimplemented("no routers here"))
    }

    async fn remove_computer(&self, info: Request<ComputerInfo>) -> Result<Response<Void>, Status> {
        self.0.send(Said::Removed(info.into_inner())).unwrap();
        Ok(Response::new(Void {}))
    }
}

struct Controller {
    endpoint: Endpoint,
    said: Receiver<Said>,
    _server: ServerHandle,
    _cores: Arc<Cores>,
}

impl Controller {
    fn start(listener: Listener) -> Self {
        let (send, said) = channel();
        let cores = Arc::new(Cores::start("controller", NonZeroUsize::MIN).unwrap());
        let routes = Routes::new(EdgeControllerServer::new(Recorder(send)));
        let server = Server::new(routes).serve(listener, &cores);
        Self {
            endpoint: server.local_addr().into(),
            said,
            _server: server,
            _cores: cores,
        }
    }

    fn next(&self) -> Said {
        self.said
            .recv_timeout(PATIENCE)
            .expect("word from the computer")
    }
}

fn free_port() -> Listener {
    Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap()
}

#[test]
fn v3_v4_both_signals_deregister_what_was_announced_with_its_workers() {
    for signal in ["INT", "TERM"] {
        let controller = Controller::start(free_port());
        let option = format!("--controller-e={}", controller.endpoint);
        let mut computer = Computer::start(&[&option]);
        let Said::Announced(info) = controller.next() else {
            panic!("removed before it was announced");
        };
        assert!(info.edge_server_endpoint.starts_with("127.0.0.1:"));
        assert!(!info.edge_server_endpoint.ends_with(":0"));
        let containers: Vec<_> = info
            .containers
            .iter()
            .map(|c| (&*c.name, &*c.processor, &*c.lambda, c.num_workers))
            .collect();
        let expected = [
            ("ccontainer0", "arm", "clambda0", 4),
            ("gcontainer0", "bm2837", "glambda0", 2),
        ];
        assert_eq!(containers, expected);
        assert_eq!(info.lease_ms, 10_000);
        assert!(info.generation > 0);

        computer.signal(signal);
        let last = loop {
            match controller.next() {
                Said::Announced(renewed) => assert_eq!(renewed, info),
                Said::Removed(removed) => break removed,
            }
        };
        assert_eq!(last.edge_server_endpoint, info.edge_server_endpoint);
        assert_eq!(computer.wait().code(), Some(0));
    }
}

#[test]
fn announcements_are_renewed_and_advertise_what_they_are_told() {
    let controller = Controller::start(free_port());
    let option = format!("--controller-endpoint={}", controller.endpoint);
    let _computer = Computer::start(&[&option, "--advertise=edge.example:7000"]);
    let first = controller.next();
    let Said::Announced(info) = &first else {
        panic!("removed before it was announced");
    };
    assert_eq!(info.edge_server_endpoint, "edge.example:7000");
    assert_eq!(controller.next(), first);
}

#[test]
fn v23_a_controller_that_comes_later_is_waited_for() {
    let listener = free_port();
    let endpoint = Endpoint::from(listener.local_addr());
    drop(listener);
    let option = format!("--controller-endpoint={endpoint}");
    let computer = Computer::start(&[&option]);
    computer.wait_for("cannot be announced, trying on");
    let controller = Controller::start(Listener::bind(&endpoint).unwrap());
    assert!(matches!(controller.next(), Said::Announced(_)));
    let line = computer.wait_for("\"announced\"");
    assert!(line.contains("INFO"), "{line}");
}

#[test]
fn a_controller_that_is_gone_does_not_keep_the_computer_from_ending() {
    let mut computer = Computer::start(&["--controller-endpoint=127.0.0.1:1"]);
    computer.wait_for("cannot be announced, trying on");
    computer.signal("TERM");
    assert_eq!(computer.wait().code(), Some(0));
}

#[test]
fn a_port_in_use_ends_the_process_at_once_and_nothing_is_announced() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let controller = Controller::start(free_port());
    let to_controller = format!("--controller-endpoint={}", controller.endpoint);
    for option in [
        "--server-endpoint",
        "--utilization-endpoint",
        "--state-endpoint",
        "--admin-endpoint",
    ] {
        let taken = format!("{option}={address}");
        let output = output(&with_own_ports(&[&taken, &to_controller]));
        assert_eq!(output.status.code(), Some(1), "{option}");
        let message = text(&output.stderr);
        assert!(message.contains(&address), "{message}");
        assert!(message.contains("in use"), "{message}");
    }
    assert!(controller.said.try_recv().is_err());
}

#[test]
fn help_version_and_the_example_exit_with_0() {
    for option in [
        "--help",
        "-h",
        "--version",
        "-v",
        "--json-example",
        "--json",
    ] {
        let output = output(&[option]);
        assert_eq!(output.status.code(), Some(0), "{option}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty());
    }
    let example = output(&["--json-example"]);
    assert!(text(&example.stdout).contains(r#""name": "clambda@1""#));
}

#[test]
fn the_prefixes_of_the_reference_are_understood() {
    let output = output(&[
        "--server-e=127.0.0.1:10000",
        "--utilization=",
        "--controller=127.0.0.1:6475",
        "--num-thread=3",
        "--sec",
        "--companion=127.0.0.1:6473",
        "--state=127.0.0.1:10100",
        "--computer=sim",
        "--server-c=type=grpc",
        "--conf=type=intel-server,num-containers=2,num-workers=7",
        "--print-config",
    ]);
    let config = text(&output.stdout);
    for line in [
        "endpoint = \"127.0.0.1:10000\"",
        "num-threads = 3",
        "secure = true",
        "companion = \"127.0.0.1:6473\"",
        "endpoint = \"127.0.0.1:6475\"",
        "endpoint = \"127.0.0.1:10100\"",
        "type = \"intel-server\"",
        "num-workers = 7",
    ] {
        assert!(
            config.lines().any(|shown| shown == line),
            "{line} is missing in {config}"
        );
    }
    let ambiguous = command(["--server=127.0.0.1:1"]).output().unwrap();
    assert_eq!(ambiguous.status.code(), Some(2));
}

#[test]
fn conf_is_a_platform_or_a_file_and_both_may_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("computer.toml");
    std::fs::write(
        &path,
        "[server]\nnum-threads = 2\n[platform]\nnum-cpu-workers = 9\n",
    )
    .unwrap();
    let file = path.to_str().unwrap();
    let printed = |arguments: &[&str]| {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let config = printed(&["--conf", file, "--print-config"]);
    assert!(config.contains("num-cpu-workers = 9\n") && config.contains("num-gpu-workers = 2\n"));
    let conf = "type=intel-server,num-containers=1,num-workers=1";
    let config = printed(&["--conf", file, "--conf", conf, "--print-config"]);
    assert!(config.contains("num-threads = 2\n") && config.contains("type = \"intel-server\"\n"));
    assert!(!config.contains("num-cpu-workers"));
}

#[test]
fn the_shipped_examples_are_valid() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let toml = format!("{root}/computer.toml");
    let json = format!("type=file,path={root}/raspberry.json");
    for conf in [&toml, &json] {
        let output = output(&["--conf", conf, "--check-config"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "configuration OK\n");
    }
}

#[test]
fn wrong_usage_and_unusable_configurations_exit_with_2_and_say_why() {
    for (arguments, reason) in [
        (
            &["--computer-type=http"][..],
            "not available in this version",
        ),
        (
            &["--http-conf=num-clients=1"],
            "not available in this version",
        ),
        (&["--computer-type=magic"], "there is sim"),
        (&["--num-threads=0"], "from 1 to 512"),
        (&["--num-threads=100000"], "from 1 to 512"),
        (&["--no-state-server"], "--state-endpoint"),
        (&["--server-endpoint=nonsense"], "expected host:port"),
        (&["--server-conf=type=quic"], "quic"),
        (&["--conf=type=mainframe"], "intel-server"),
        (
            &["--conf=type=file,path=/does/not/exist"],
            "/does/not/exist",
        ),
        (&["--conf=/does/not/exist.toml"], "/does/not/exist.toml"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = text(&output.stderr);
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn missing_certificates_are_told() {
    let output = output(&with_own_ports(&["--secure"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("SERVER_CRT"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_client_prints_the_stream_until_it_breaks() {
    let server = free_port();
    let endpoint = server.local_addr().to_string();
    drop(server);
    let stream = format!("--utilization-endpoint={endpoint}");
    let mut computer = Computer::start(&[&stream]);
    computer.wait_for("edgecomputer listens");
    let mut client = Command::new(env!("CARGO_BIN_EXE_edgecomputerclient"))
        .args(["--server", &endpoint])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    for processor in ["arm", "bm2837", "arm"] {
        let line = lines.next().unwrap().unwrap();
        let columns: Vec<_> = line.split(' ').collect();
        assert_eq!(columns[1..], [processor, "0.000000"], "{line}");
        columns[0].parse::<f64>().unwrap();
    }
    computer.signal("TERM");
    assert_eq!(computer.wait().code(), Some(0));
    let mut message = String::new();
    client
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut message)
        .unwrap();
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert!(message.contains(&endpoint), "{message}");
}

#[test]
fn the_client_needs_a_server_and_explains_itself() {
    let client = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_edgecomputerclient");
        Command::new(program)
            .args(arguments)
            .env_clear()
            .output()
            .unwrap()
    };
    assert_eq!(client(&["--help"]).status.code(), Some(0));
    assert_eq!(client(&["--server-endpoint="]).status.code(), Some(2));
    let refused = client(&["--server-endpoint=127.0.0.1:1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("127.0.0.1:1"));
}
