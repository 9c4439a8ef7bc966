//! `edgecomputerclient`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use super::support::{Computer, free_port, text};

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
fn the_client_ends_with_its_reader() {
    let server = free_port();
    let endpoint = server.local_addr().to_string();
    drop(server);
    let stream = format!("--utilization-endpoint={endpoint}");
    let computer = Computer::start(&[&stream]);
    computer.wait_for("edgecomputer listens");
    let mut client = Command::new(env!("CARGO_BIN_EXE_edgecomputerclient"))
        .args(["--server", &endpoint])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(client.stdout.take());
    let output = client.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
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
