//! `lab doctor`, `lab impair` and `lab run`, each in a few seconds: what is asserted is what was
//! carried and what can be told, and no figure against time.

use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lab"))
}

fn lab(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

/// Runs an experiment with the programs that the test run has built beside this one.
fn run(arguments: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(program())
        .arg("run")
        .args(arguments)
        .arg("--json")
        .arg(format!("--out={}", folder.path().display()))
        .arg(format!(
            "--programs={}",
            program().parent().unwrap().display()
        ))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}{said}");
    let page = folder.path().join(format!("{}.html", arguments[0]));
    assert!(std::fs::read_to_string(page).unwrap().contains("<svg"));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// True if packets can pass through links here; else says why not.
fn fabric_works() -> bool {
    let said = lab(&["doctor", "--json"]);
    let found: Value = serde_json::from_slice(&said.stdout).unwrap();
    if found["backend"] == "fabric" {
        return true;
    }
    eprintln!("skipped: no packet fabric here: {}", found["fabric_fails"]);
    false
}

fn is_measured(line: &Value) -> bool {
    ["p50_ms", "p90_ms", "p99_ms", "throughput"]
        .iter()
        .all(|key| line[key].as_f64().is_some_and(|value| value > 0.0))
}

const SHORT: [&str; 2] = ["--warm-up=0.3", "--seconds=1.5"];

#[test]
fn the_doctor_says_what_is_possible_and_why_not() {
    let said = lab(&["doctor"]);
    assert!(said.status.success());
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        text.contains("packet fabric:") && text.contains("experiments use"),
        "{text}"
    );
}

#[test]
fn without_a_fabric_cells_of_tcp_with_losses_are_null() {
    let arguments = [
        "quic-302",
        "--backend=proxy",
        "--links=fast",
        "--losses=0,3",
    ];
    let lines = run(&[&arguments[..], &["--modes=grpc,grpc-tls,quic"], &SHORT].concat());
    assert_eq!(lines.len(), 6);
    for line in &lines {
        assert_eq!(line["experiment"], "quic-302");
        assert_eq!(line["link"], "fast");
        let lossless = line["loss"] == 0.0 || line["mode"] == "quic";
        assert_eq!(is_measured(line), lossless, "{line}");
        assert_eq!(line["p90_ms"].is_null(), !lossless, "{line}");
    }
}

#[test]
fn on_the_fabric_both_protocols_lose_packets() {
    if !fabric_works() {
        return;
    }
    let arguments = [
        "quic-302",
        "--backend=fabric",
        "--links=fast",
        "--losses=20",
    ];
    let lines = run(&[&arguments[..], &["--modes=grpc,quic0rtt"], &SHORT].concat());
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(is_measured(line), "{line}");
        assert!(line["packets_lost"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn a_router_stands_between_client_and_computer() {
    let lines = run(&[
        &["quic-303", "--links=fast", "--modes=grpc,quic"][..],
        &SHORT,
    ]
    .concat());
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(is_measured), "{lines:?}");
}

#[test]
fn a_first_call_takes_round_trips() {
    let arguments = [
        "run",
        "quic-cold",
        "--calls=2",
        "--round-trip-ms=30",
        "--json",
    ];
    let programs = format!("--programs={}", program().parent().unwrap().display());
    let said = lab(&[&arguments[..], &[&programs]].concat());
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        said.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let modes: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let modes: Vec<_> = modes
        .iter()
        .map(|line| line["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes, ["grpc", "grpc-tls", "quic", "quic0rtt"]);
}

#[test]
fn a_proxy_tells_where_it_listens_carries_and_counts() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = server.local_addr().unwrap();
    let mut proxy = Command::new(program())
        .args(["impair", "--carries=udp", "--link=delay=1ms"])
        .arg(format!("--target={target}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"datagram", address).unwrap();
    assert_eq!(server.recv_from(&mut [0; 16]).unwrap().0, 8);
    let pid = rustix::process::Pid::from_child(&proxy);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let counted: Vec<Value> = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(proxy.wait().unwrap().success());
    assert_eq!(counted.len(), 2);
    let up = &counted[0];
    assert_eq!(
        (&up["protocol"], &up["direction"]),
        (&"udp".into(), &"up".into())
    );
    assert_eq!((&up["packets"], &up["bytes"]), (&1.into(), &8.into()));
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let mut proxy = Command::new(program())
        .args(["impair", "--target=127.0.0.1:1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let pid = rustix::process::Pid::from_child(&proxy);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(proxy.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_shown_is_a_usage_error() {
    for wrong in [
        &[
            "impair",
            "--target=127.0.0.1:1",
            "--carries=tcp",
            "--link=loss=1%",
        ][..],
        &["impair", "--target=127.0.0.1:1", "--link=loss=2"],
        &["run", "quic-302", "--losses=51"],
        &["run", "quic-302", "--losses=some"],
        &["run", "quic-302", "--seconds=0"],
        &["run", "quic-304", "--jobs=0"],
        &["run", "quic-goal", "--in-flight=0"],
        &["run", "quic-cold", "--calls=0"],
    ] {
        assert_eq!(lab(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
