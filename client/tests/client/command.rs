//! The program `edgeclient`: what it prints, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Computer, echo, nobody, wait_until};

fn edgeclient(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgeclient"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    edgeclient(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Asserts that `arguments` end with `code`, saying `message` on standard error
/// and nothing on standard output.
fn refused(arguments: &[&str], code: i32, message: &str) {
    let output = run(arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert!(errors.contains(message), "{arguments:?}: {errors}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
}

#[test]
fn a_closed_loop_prints_lines_and_logs_the_summaries() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let output = run(&["--server", &endpoint, "--max-requests", "7", "--size", "50"]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines.iter().all(|line| line.ends_with(" 42 - clambda0 1")));
    let errors = text(&output.stderr);
    for part in [
        "latency ",
        " +- ",
        "processing 0 +- 0",
        "7 ok, 0 errors",
        &endpoint,
    ] {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
    assert!(
        computer
            .seen()
            .iter()
            .all(|request| request.input.len() == 50)
    );
}

#[test]
fn an_open_loop_prints_its_summary() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let output = run(&[
        "--server",
        &endpoint,
        "--rate",
        "500",
        "--max-requests",
        "50",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let summary = text(&output.stdout);
    for part in [
        "50 ok, 0 errors",
        "asked 500.0/s",
        "p99.9",
        &endpoint,
        "100.0 %",
    ] {
        assert!(summary.contains(part), "{part:?} is not in:\n{summary}");
    }
}

#[test]
fn json_is_alone_on_standard_output_and_adds_up() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoints = format!("{},{}", computer.endpoint(), nobody());
    for mode in [&["--rate", "500"][..], &["--num-threads", "2"]] {
        let common = ["--server-endpoints", &endpoints, "--max-requests", "40"];
        let output = run(&[&common[..], &["--output", "json"], mode].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |key: &str| json[key].as_u64().unwrap();
        assert_eq!(number("ok") + number("errors"), number("sent"));
        let by_kind = json["errors_by_kind"].as_object().unwrap().values();
        let by_kind: u64 = by_kind.map(|kind| kind["count"].as_u64().unwrap()).sum();
        assert_eq!(by_kind, number("errors"));
        let destinations = json["destinations"].as_array().unwrap().iter();
        let served: u64 = destinations.map(|d| d["count"].as_u64().unwrap()).sum();
        assert_eq!(served, number("ok"));
        let latency = &json["latency_ms"];
        let percentiles = ["p50", "p90", "p99", "p99_9", "max"].map(|p| latency[p].as_f64());
        assert!(
            percentiles.is_sorted() && percentiles[0] > Some(0.0),
            "{latency}"
        );
        let mode = json["mode"].as_str().unwrap();
        assert_eq!(json["rate_asked"].as_f64().is_some(), mode == "open");
        assert_eq!(json["lag_ms"].is_object(), mode == "open");
    }
}

#[test]
fn a_run_in_which_nothing_succeeds_is_a_failure() {
    let nobody = nobody().to_string();
    let arguments = ["--server", &nobody, "--max-requests", "1"];
    refused(&arguments, 1, "no request succeeded: could not connect to");

    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let arguments = [
        "--server",
        &endpoint,
        "--max-requests",
        "1",
        "--lambda",
        "other",
    ];
    refused(
        &arguments,
        1,
        "no request succeeded: No container for lambda other",
    );

    let output = run(&[&arguments[..], &["--rate", "10", "--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["errors_by_kind"]["retcode:not-found"]["count"], 1);
    assert!(json["latency_ms"].is_null());
}

#[test]
fn where_there_is_no_terminal_the_log_says_once_that_nobody_answers() {
    let nobody = nobody().to_string();
    // Long before that.
    let child = edgeclient(&["--server", &nobody, "--duration", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(
        line.contains("none succeeds: could not connect to"),
        "{line}"
    );
    let output = interrupted(child);
    assert_eq!(output.status.code(), Some(1));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("none succeeds"), "{rest}");
}

#[test]
fn wrong_usage_and_configuration_exit_with_2() {
    for (arguments, message) in [
        (&["--unknown"][..], "--unknown"),
        (
            &["--rate", "0"],
            "option --rate: `rate`: it must be more than 0",
        ),
        (&["--rate", "-1"], "--rate"),
        (&["--rate", "nan"], "more than 0"),
        (&["--rate", "1e308"], "at most 1000000"),
        (
            &["--rate", "10", "--num-threads", "2"],
            "it is for a closed loop",
        ),
        (&["--arrivals", "poisson"], "it is for an open loop"),
        (&["--sizes", "70000000"], "messages cannot be larger"),
        (&["--sizes", "67108864"], "messages cannot be larger"),
        (&["--append"], "option --append: `append`: there is nothing"),
        (&["--append", "--output-file", "-"], "there is nothing"),
        (
            &["--content", "text", "--sizes", "10"],
            "option --sizes: `sizes`: there is a `content`",
        ),
        (
            &["--etsi-notification-uri", "http://a:1"],
            "it goes with `etsi.api-root`",
        ),
        (
            &["--callback-endpoint", "quic://a:6480", "--check-config"],
            "results arrive over TCP",
        ),
        (&["--sizes", "ten"], "--sizes"),
        (&["--max-requests", "0"], "--max-requests"),
        (&["--timeout", "0"], "it must not be zero"),
        (&["--duration", "soon"], "option --duration"),
        (&["--server", "localhost"], "the port is missing"),
        (&["--server", "localhost:0"], "nobody listens at port 0"),
        (
            &["--client-conf", "type=grpc,persistence=2"],
            "a probability is from 0 to 1",
        ),
        (&["--client-conf", "type=sctp"], "unknown type `sctp`"),
        (&["--callback", "0.0.0.0:6480"], "computers can reach"),
        (&["--output", "json", "--output-file", "-"], "alone"),
        (&["--conf", "/nowhere/client.toml"], "/nowhere/client.toml"),
        (
            &["--chain-conf", "filename=chain.json"],
            "missing field `type`",
        ),
        (&["--chain-conf", "type=file"], "missing field `filename`"),
        (&["--dag-conf", "type=random"], "unknown type `random`"),
        (
            &["--chain-conf", "type=file,filename=/nowhere/chain.json"],
            "cannot read /nowhere/chain.json: No such file",
        ),
        (
            &[
                "--chain-conf",
                "type=make-template",
                "--dag-conf",
                "type=make-template",
            ],
            "option --dag-conf: `dag.type`: there is a `chain` too: give only one of them",
        ),
        (&["--state-endpoint", "localhost:0"], "give one"),
        (
            &["--no-state-server"],
            "`state-endpoint` must say where one is",
        ),
    ] {
        refused(arguments, 2, message);
    }
}

#[test]
fn options_of_the_reference_are_understood_as_they_were() {
    let output = run(&[
        "--server-endpoint",
        "a:1,b:2",
        "--client-conf",
        "type=grpc, persistence=0.25",
        "--lam",
        "clambda1",
        "--size",
        "10,20,20",
        "--output-f",
        "lines",
        "--dur",
        "1.5",
        "--max",
        "18446744073709551615",
        "--num",
        "2",
        "--init",
        "10",
        "--inter-request-time",
        "0.1",
        "--inter-request-type",
        "uniform",
        "--callback",
        "c:6480",
        "--app",
        "--dry",
        "--see",
        "5",
        "--sec",
        "--print-config",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let config = text(&output.stdout);
    for line in [
        "\"a:1\"",
        "\"b:2\"",
        "persistence = 0.25",
        "lambda = \"clambda1\"",
        "output-file = \"lines\"",
        "duration = \"1s 500ms\"",
        "max-requests = 9223372036854775807",
        "num-threads = 2",
        "initial-delay = \"10s\"",
        "inter-request-time = \"100ms\"",
        "inter-request-type = \"uniform\"",
        "callback-endpoint = \"c:6480\"",
        "append = true",
        "dry = true",
        "seed = 5",
        "secure = true",
    ] {
        assert!(config.contains(line), "{line} is not in:\n{config}");
    }
    let output = run(&["--cont", "text", "--print-config"]);
    assert!(text(&output.stdout).contains("content = \"text\""));
}

#[test]
fn both_without_certificates_is_tcp_and_says_so() {
    let computer = Computer::echo(Duration::ZERO);
    let folder = tempfile::tempdir().unwrap();
    let endpoint = computer.endpoint().to_string();
    let output = edgeclient(&["--server", &endpoint, "--max-requests", "1"])
        .args(["--client-conf", "type=both"])
        .env("CERT_DIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let errors = text(&output.stderr);
    assert!(errors.contains("requests go over TCP alone"), "{errors}");
}

#[test]
fn names_and_inputs_in_the_environment_are_text() {
    let output = edgeclient(&["--print-config"])
        .env("EDGECLIENT__LAMBDA", "5")
        .env("EDGECLIENT__CONTENT", "1.50")
        .env("EDGECLIENT__SEED", "7")
        .output()
        .unwrap();
    let config = text(&output.stdout);
    for line in ["lambda = \"5\"", "content = \"1.50\"", "seed = 7"] {
        assert!(config.contains(line), "{line} is not in:\n{config}");
    }
}

#[test]
fn the_example_configuration_is_valid_and_flags_override_it() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/client.toml");
    let output = run(&["--conf", example, "--check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = run(&["--conf", example, "--rate", "7", "--print-config"]);
    assert!(text(&output.stdout).contains("rate = 7.0"));
}

#[test]
fn a_printed_configuration_can_be_read_back() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/client.toml");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("printed.toml");
    for arguments in [
        &[][..],
        &["--conf", example],
        &["--rate", "5", "--arrivals", "poisson"],
        &["--num-threads", "3", "--inter-request-time", "1s"],
        &["--content", "text", "--duration", "90"],
        &["--output-file", "lines", "--append"],
        &["--client-conf", "type=quic,congestion=bbr,persistence=0.5"],
        &["--etsi-api-root", "http://127.0.0.1:6500"],
        &["--chain-conf", "type=make-template"],
    ] {
        let printed = run(&[arguments, &["--print-config"]].concat());
        assert_eq!(printed.status.code(), Some(0), "{arguments:?}");
        std::fs::write(&path, &printed.stdout).unwrap();
        let again = run(&["--conf", path.to_str().unwrap(), "--print-config"]);
        assert_eq!(text(&again.stderr), "", "{arguments:?}");
        assert_eq!(text(&again.stdout), text(&printed.stdout));
    }
}

#[test]
fn a_redirected_file_keeps_what_was_in_it() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redirected");
    for output_file in [&[][..], &["--output-file", "/dev/stdout"]] {
        std::fs::write(&path, "before\n").unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        let arguments = ["--server", &endpoint, "--max-requests", "2"];
        let status = edgeclient(&[&arguments[..], output_file].concat())
            .stdout(file)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let content = std::fs::read_to_string(&path).unwrap();
        assert!(content.starts_with("before\n"), "{content}");
        assert_eq!(content.lines().count(), 3);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let computer = Computer::echo(Duration::ZERO);
    let mut child = edgeclient(&["--server", &computer.endpoint().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut status = None;
    wait_until("the run has ended", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

#[test]
fn an_interrupted_run_still_prints_its_summary() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let child = edgeclient(&["--server", &endpoint, "--rate", "100", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("some requests have been served", || {
        computer.seen().len() >= 5
    });
    let signal = ["-INT", &child.id().to_string()];
    assert!(
        Command::new("kill")
            .args(signal)
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["ok"].as_u64().unwrap() >= 4, "{json}");
    assert_eq!(
        text(&output.stderr),
        "",
        "no progress where there is no terminal"
    );
}

#[test]
fn a_run_that_gives_requests_up_is_a_failure() {
    // The first request is answered, the others never.
    let count = AtomicUsize::new(0);
    let computer = Computer::start(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number > 0 {
                std::future::pending::<()>().await;
            }
            echo(&request)
        }
    });
    let endpoint = computer.endpoint().to_string();
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    let child = edgeclient(&["--server", &endpoint, "--rate", "100"])
        .args(["--max-requests", "3"])
        .arg("--output-file")
        .arg(&lines)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("one is answered and two are in flight", || {
        let answered = std::fs::read_to_string(&lines).is_ok_and(|text| text.ends_with('\n'));
        answered && computer.running() == 2
    });
    let output = interrupted(child);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    let message = "gave up 2 requests that were still in flight";
    assert!(errors.contains(message), "{errors}");
    assert!(text(&output.stdout).contains("1 ok, 2 errors"));
}

/// Interrupts a run, as by Ctrl-C, and waits for its end.
fn interrupted(mut child: Child) -> Output {
    let signal = ["-INT", &child.id().to_string()];
    let killed = Command::new("kill").args(signal).status().unwrap();
    assert!(killed.success());
    wait_until("the run has ended", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_whose_output_nobody_reads_ends_when_it_is_asked_to() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let child = edgeclient(&["--server", &endpoint, "--num-threads", "8"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // More lines than a pipe holds.
    wait_until("the pipe is full", || computer.count() >= 5000);
    let output = interrupted(child);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    for part in ["requests      ", "cannot write to -: nobody reads it"] {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
}

#[test]
fn lines_that_cannot_be_written_cost_no_figures() {
    let computer = Computer::echo(Duration::ZERO);
    let endpoint = computer.endpoint().to_string();
    let common = ["--server", &endpoint, "--max-requests", "3"];
    for (mode, summary) in [
        (&["--output", "json"][..], "\"sent\":"),
        (&["--rate", "1000"], "requests      "),
    ] {
        let output_file = ["--output-file", "/dev/full"];
        let output = run(&[&common[..], &output_file, mode].concat());
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        let message = "cannot write to /dev/full: No space left";
        assert!(errors.contains(message), "{errors}");
        let printed = text(&output.stdout);
        assert!(printed.contains(summary), "{printed}");
    }
}
