//! The programs: their options, their exit codes, and a conversation.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

use crate::support::serving;

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
