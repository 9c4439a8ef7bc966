//! The program itself: flags, exit codes, signals, memory.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Client, PATIENCE, Platform};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wskproxy"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error of a run that ends by itself.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A running proxy; killed if the test fails.
struct Program {
    child: Child,
    address: SocketAddr,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        Self::start_for("--open", arguments)
    }

    /// For those whom `access` lets in.
    fn start_for(access: &str, arguments: &[&str]) -> Self {
        let own = [access, "--admin-endpoint=", "--log-format=json"];
        let root = "--wsk-api-root=http://127.0.0.1:0";
        let mut child = command(&[&own[..], &[root], arguments].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("proxy listens"))
            .unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = find(&line, "address").unwrap().parse().unwrap();
        Self {
            child,
            address,
            lines,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Largest part of memory that it has used, in kilobytes.
    fn peak_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(line: &serde_json::Value, key: &str) -> Option<String> {
    let own = line.get(key).or_else(|| line.get("fields")?.get(key));
    own.and_then(|value| value.as_str()).map(str::to_owned)
}

#[test]
fn without_credentials_it_serves_nobody_but_the_loopback_and_only_if_told_so() {
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("--auth-file") && stderr.contains("--open"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&["--open", "--wsk-api-root", "http://0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("loopback"), "{stderr}");
    let (code, _, stderr) = run(&["--open", "--auth-file", "x"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("exclude"), "{stderr}");
}

#[test]
fn files_of_the_configuration_that_cannot_be_read_are_errors_of_configuration() {
    let certificate = [
        "--open",
        "--wsk-api-root=https://127.0.0.1:0",
        "--tls-certificate=/does/not/exist",
        "--tls-key=/does/not/exist",
    ];
    for arguments in [&["--auth-file", "/does/not/exist"][..], &certificate] {
        let (code, _, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("/does/not/exist"), "{stderr}");
    }
}

#[tokio::test]
async fn credentials_are_never_in_the_log_nor_in_what_is_printed() {
    let access = "--wsk-auth=somebody:so-secret-a-key";
    let (_, printed, _) = run(&[access, "--print-config"]);
    assert!(printed.contains("key = \"(hidden)\""), "{printed}");
    let (code, _, refused) = run(&["--wsk-auth=so-secret-a-key"]);
    assert_eq!(code, Some(2), "{refused}");
    let mut program = Program::start_for(access, &["--log=trace", "--table-endpoint="]);
    let client = Client::of(program.address);
    for (key, status) in [
        ("somebody:so-secret-a-key", 200),
        ("somebody:so-secret", 401),
    ] {
        let answer = client.with_key(key).get("_/limits").await;
        assert_eq!(answer.status, status);
    }
    program.signal("-TERM");
    let lines: Vec<_> = program.lines.by_ref().map(Result::unwrap).collect();
    assert!(!lines.is_empty());
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode("somebody:so-secret");
    for secret in ["so-secret", &encoded[..20]] {
        for shown in lines.iter().chain([&printed, &refused]) {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    for arguments in [
        &["--open", "--wsk-api-root", "nowhere"][..],
        &["--open", "--server-endpoint", "nowhere"],
        &["--open", "--names", "other"],
        &["--open", "--num-threads", "0"],
        &["--no-such-option"],
    ] {
        assert_eq!(run(arguments).0, Some(2), "{arguments:?}");
    }
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("--wsk-api-root"), "{stdout}");
}

#[test]
fn options_of_the_reference_and_their_abbreviations_are_accepted() {
    let (code, stdout, stderr) = run(&[
        "--wsk",
        "http://127.0.0.1:7",
        "--server",
        "127.0.0.1:8",
        "--num=3",
        "--secure",
        "--open",
        "--print-config",
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    for line in [
        "api-root = \"http://127.0.0.1:7\"",
        "endpoints = [\"127.0.0.1:8\"]",
        "num-threads = 3",
        "secure = true",
    ] {
        assert!(stdout.contains(line), "{line} is not in {stdout}");
    }
}

#[test]
fn the_example_is_a_valid_configuration() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wskproxy.toml");
    let (code, stdout, stderr) = run(&["--conf", example, "--check-config"]);
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "configuration OK\n"),
        "{stderr}"
    );
}

#[test]
fn a_port_in_use_ends_it_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", taken.local_addr().unwrap());
    let (code, _, stderr) = run(&["--open", "--wsk-api-root", &root, "--admin-endpoint="]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("could not bind"), "{stderr}");
}

#[tokio::test]
async fn a_signal_lets_what_is_in_flight_end_and_nobody_else_in() {
    for signal in ["-TERM", "-INT"] {
        let platform = Platform::start();
        let server = platform.endpoint().to_string();
        let mut running = Program::start(&["--server-endpoint", &server, "--table-endpoint="]);
        let client = Client::of(running.address);
        let path = "_/actions/slow?blocking=true&result=true";
        let call = tokio::spawn(async move { client.post(path, r#"{"a":1}"#).await });
        platform.wait_for_slow(1).await;
        running.signal(signal);
        let mut said = running.lines.by_ref().map(Result::unwrap);
        assert!(said.any(|line| line.contains("draining")));
        let address = running.address;
        let closed = async || TcpStream::connect(address).await.is_err();
        crate::support::eventually("nobody else is let in", closed).await;
        platform.release();
        let answer = call.await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, r#"{"a":1}"#));
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn five_thousand_blocking_calls_are_in_flight_in_bounded_memory() {
    const CONNECTIONS: usize = 10;
    const STREAMS: usize = 500;
    let platform = Platform::start();
    let server = platform.endpoint().to_string();
    let running = Program::start(&["--server-endpoint", &server, "--table-endpoint="]);
    let before = running.peak_kb();
    let body = Bytes::from(format!(r#"{{"a":"{}"}}"#, "x".repeat(1000)));
    let mut calls = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (requests, connection) = shaken.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        for _ in 0..STREAMS {
            let (mut requests, body) = (requests.clone(), body.clone());
            let path = "/api/v1/namespaces/_/actions/slow?blocking=true";
            let request = Request::post(format!("http://{}{path}", running.address));
            let request = request.body(Full::new(body)).unwrap();
            calls.spawn(async move {
                let response = requests.send_request(request).await.unwrap();
                let status = response.status();
                response.into_body().collect().await.unwrap();
                status
            });
        }
    }
    platform.wait_for_slow(CONNECTIONS * STREAMS).await;
    let during = running.peak_kb();
    platform.release();
    while let Some(status) = tokio::time::timeout(PATIENCE, calls.join_next())
        .await
        .unwrap()
    {
        assert_eq!(status.unwrap(), 200);
    }
    println!(
        "{} kB before, {during} kB with 5,000 calls in flight, {} kB after",
        before,
        running.peak_kb()
    );
    assert!(running.peak_kb() < 200_000);
}
