//! The programs: their options, their exit codes, and a conversation.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use mec_mx2::model::AppInfo;

use crate::support::{PATIENCE, ask, context, eventually, send_to, serving};

fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(cargo_bin(program))
        .args(arguments)
        .output()
        .unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[test]
fn help_is_a_success_and_nonsense_is_wrong_usage() {
    for program in ["ueapplcmproxy", "ueapplcmproxyclient", "etsimeccli"] {
        assert_eq!(run(program, &["--help"]).0, Some(0), "{program}");
        assert_eq!(run(program, &["--nonsense"]).0, Some(2), "{program}");
    }
    for root in ["", "nonsense", "ftp://a"] {
        assert_eq!(run("ueapplcmproxy", &["--etsi-api-root", root]).0, Some(2));
    }
    assert_eq!(
        run("etsimeccli", &["--verbose", "--mattermost-output"]).0,
        Some(2)
    );
    let (code, text) = run(
        "ueapplcmproxy",
        &["--etsi-api-root", "http://127.0.0.1:1", "--print-config"],
    );
    assert_eq!(code, Some(0));
    assert!(text.contains("http://127.0.0.1:1"), "{text}");
}

#[test]
fn files_of_the_configuration_that_cannot_be_read_are_errors_of_configuration() {
    for option in ["--file", "--tokens-file", "--jwks-file"] {
        let root = "--etsi-api-root=http://127.0.0.1:0";
        let arguments = [root, "--admin-endpoint=", option, "/does/not/exist"];
        let (code, text) = run("ueapplcmproxy", &arguments);
        assert_eq!(code, Some(2), "{option}: {text}");
        assert!(text.contains("/does/not/exist"), "{option}: {text}");
    }
}

#[tokio::test]
async fn the_command_line_tools_show_and_manage_a_server() {
    let server = serving().await;
    let root = server.root().to_string();
    let (code, text) = run("etsimeccli", &["--etsi-api-root", &root]);
    assert_eq!(
        (code, text.as_str()),
        (Some(0), "clambda0, OpenLambdaMec, 1.0\n")
    );
    let table = run(
        "etsimeccli",
        &["--etsi-api-root", &root, "--mattermost-output"],
    )
    .1;
    assert!(
        table.ends_with("| clambda0 | OpenLambdaMec | 1.0 |\n"),
        "{table}"
    );

    let endpoint = server.management_address().to_string();
    let mut client = Command::new(cargo_bin("ueapplcmproxyclient"))
        .args(["--server-endpoint", &endpoint])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input
        .write_all(b"associate * clambda0 h:7\n\ntable\nnonsense\nquit\n")
        .unwrap();
    let lines: Vec<_> = BufReader::new(client.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines, ["OK", "* clambda0 h:7", "Invalid command"]);
    assert!(client.wait().unwrap().success());
}

/// What `ueapplcmproxyclient` says to one line.
fn command(endpoint: &str, line: &str) -> String {
    let mut client = Command::new(cargo_bin("ueapplcmproxyclient"))
        .args(["--server-endpoint", endpoint])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    writeln!(input, "{line}").unwrap();
    drop(input);
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_others_have_sent_stays_in_its_line_and_gives_no_orders_to_a_terminal() {
    let server = serving().await;
    let evil = "a|b\nforged\x1b[2J";
    server
        .state()
        .add_app(AppInfo::lambda(evil).unwrap())
        .unwrap();
    let mut body = context("http://127.0.0.1:1/");
    body["associateDevAppId"] = evil.into();
    let made = ask(&server, "POST", "/dev_app/v1/app_contexts", &body).await;
    assert_eq!(made.status, 201);

    let endpoint = server.management_address().to_string();
    let root = server.root().to_string();
    let told = [
        command(&endpoint, "watch"),
        command(&endpoint, "apps"),
        run("etsimeccli", &["--etsi-api-root", &root]).1,
        run("etsimeccli", &["--etsi-api-root", &root, "--verbose"]).1,
    ];
    for (text, rows) in told.iter().zip([1, 2, 2, 2]) {
        assert_eq!(text.lines().count(), rows, "{text:?}");
        assert!(text.contains(r"a|b\nforged\u{1b}[2J"), "{text:?}");
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    let table = run(
        "etsimeccli",
        &["--etsi-api-root", &root, "--mattermost-output"],
    );
    assert!(
        table.1.contains(r"| a\|b\nforged\u{1b}[2J | "),
        "{}",
        table.1
    );
}

#[tokio::test]
async fn the_management_client_ends_with_its_reader() {
    let server = serving().await;
    let mut client = Command::new(cargo_bin("ueapplcmproxyclient"))
        .args([
            "--server-endpoint",
            &server.management_address().to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(client.stdout.take());
    client
        .stdin
        .take()
        .unwrap()
        .write_all(b"help\nhelp\n")
        .unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn that_no_connection_can_be_accepted_is_said_once_in_a_while() {
    const FILES: usize = 400;
    let (root, management) = (free_port(), free_port());
    let program = cargo_bin("ueapplcmproxy");
    let low = format!("ulimit -n {FILES} && exec {} \"$@\"", program.display());
    let server = Command::new("sh")
        .args(["-c", &low, "sh", "--admin-endpoint="])
        .args(["--etsi-api-root", &format!("http://{root}")])
        .args(["--server-endpoint", &management])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let open_files = || {
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::sleep(Duration::from_millis(5));
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.id()));
        files.map_or(0, Iterator::count)
    };
    let connect = || std::net::TcpStream::connect(&root);
    while connect().is_err() {
        open_files();
    }
    for _ in 0..4 {
        let held: Vec<_> = (0..FILES).map(|_| connect().unwrap()).collect();
        while open_files() < FILES {}
        drop(held);
        while open_files() >= FILES {}
    }
    let log = told_until_its_end(server);
    assert_eq!(log.matches("cannot accept").count(), 1, "{log}");
}

/// Ends a server politely: what it has logged.
fn told_until_its_end(server: Child) -> String {
    let kill = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = server.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stderr).unwrap()
}

/// A port that was free a moment ago.
fn free_port() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn that_many_cannot_be_notified_is_said_once_in_a_while() {
    let (root, management, nobody) = (free_port(), free_port(), free_port());
    let server = Command::new(cargo_bin("ueapplcmproxy"))
        .args(["--etsi-api-root", &format!("http://{root}")])
        .args(["--server-endpoint", &management, "--admin-endpoint="])
        .env("UEAPPLCMPROXY__NOTIFICATIONS__ATTEMPTS", "1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(&management).is_err() {
        assert!(Instant::now() < deadline, "the server does not listen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(command(&management, "add-lambda clambda0"), "OK\n");
    assert_eq!(command(&management, "associate * clambda0 h:1"), "OK\n");
    let body = context(&format!("http://{nobody}/")).to_string();
    let json = [("Content-Type", "application/json")];
    for _ in 0..5 {
        let path = "/dev_app/v1/app_contexts";
        let made = send_to(&root, "POST", path, &json, body.clone()).await;
        assert_eq!(made.status, 201);
    }
    assert_eq!(command(&management, "associate * clambda0 h:2"), "OK\n");
    let unreachable = || command(&management, "watch").matches("unreachable").count();
    eventually("nobody can be notified", || unreachable() == 5).await;
    let log = told_until_its_end(server);
    assert_eq!(log.matches("cannot be notified").count(), 1, "{log}");
}

#[test]
fn commands_that_fail_are_complained_about_and_fail_the_program() {
    // Nobody listens there any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = free.local_addr().unwrap().to_string();
    drop(free);
    let mut client = Command::new(cargo_bin("ueapplcmproxyclient"))
        .args(["--server-endpoint", &endpoint])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"num-contexts\ntable\n").unwrap();
    drop(input);
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(complaints.matches("error: ").count() >= 2, "{complaints}");
}
