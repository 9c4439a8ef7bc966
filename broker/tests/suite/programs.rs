//! The programs as their users meet them: options, exit codes, output, signals.

use std::process::{Command, Output, Stdio};

use crate::support::process::Process;
use assert_cmd::cargo::CommandCargoExt as _;

pub(super) fn program(name: &str, arguments: &[&str]) -> Output {
    Command::cargo_bin(name)
        .unwrap()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
pub(super) fn fails(output: &Output, code: i32, expected: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "no '{part}' in: {stderr}");
    }
}

#[test]
fn help_and_version_exit_with_0() {
    for name in ["edgerouter", "edgedispatcher", "forwardingtableclient"] {
        for option in ["--help", "-h", "--version"] {
            let output = program(name, &[option]);
            assert_eq!(output.status.code(), Some(0), "{name} {option}");
            assert!(!output.stdout.is_empty(), "{name} {option}");
        }
    }
}

#[test]
fn errors_of_usage_say_what_is_wrong_and_what_would_be_right() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--table-conf", "type=least-costs"],
            &["least-costs", "least-cost"],
        ),
        (
            &["--table-conf", "type=proportional-fairness,alfa=1"],
            &["alfa", "alpha"],
        ),
        (
            &["--table-conf", "type=proportional-fairness,alpha=1"],
            &["beta"],
        ),
        (
            &["--table-conf", "type=consistent-hash,load-factor=1"],
            &["table.load-factor", "1 is not between 1.01 and 1000"],
        ),
        (
            &["--table-conf", "type=power-of-d,choices=65"],
            &["table.choices", "65", "2", "64"],
        ),
        (
            &["--table-conf", "type=predicted-completion,max-refusals=-1"],
            &["max-refusals", "-1"],
        ),
        (
            &["--table-conf", "type=c3,clients=2.5"],
            &["clients", "2.5", "whole number"],
        ),
        (
            &["--optimizer-conf", "type=trivial,period=0,stat=mean"],
            &["period", "0.001"],
        ),
        (
            &["--optimizer-conf", "type=trivial,period=1,stat=median"],
            &["median"],
        ),
        (
            &["--optimizer-conf", "type=async,alpha=2"],
            &["alpha", "between 0 and 1"],
        ),
        (
            &["--router-conf", "max-pending=2"],
            &["max-pending", "max-pending-clients"],
        ),
        (
            &["--router-conf", "min-forward-time=2,max-forward-time=1"],
            &["min-forward-time"],
        ),
        (
            &["--server-conf", "type=carrier-pigeon"],
            &["carrier-pigeon", "grpc"],
        ),
        (
            &["--server-endpoint", "localhost"],
            &["'localhost'", "port is missing"],
        ),
        (&["--num-threads", "100000"], &["100000", "512"]),
        (&["--num-threads", "0"], &["between 1 and 512"]),
        (
            &["--conf", "/does/not/exist.toml"],
            &["/does/not/exist.toml"],
        ),
        (&["--tables-conf", "x"], &["--tables-conf"]),
    ];
    for (arguments, expected) in cases {
        let output = program("edgerouter", arguments);
        fails(&output, 2, expected);
    }
}

#[test]
fn an_unknown_key_in_a_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.toml");
    std::fs::write(
        &file,
        "[server]\nendpoint = \"127.0.0.1:0\"\n\n[table]\ntipe = \"random\"\n",
    )
    .unwrap();
    let output = program("edgerouter", &["--conf", file.to_str().unwrap()]);
    fails(&output, 2, &["router.toml", "5", "tipe", "type"]);
}

#[test]
fn every_policy_and_its_parameters_are_read_from_the_option_and_from_the_file() {
    let cases = [
        (
            "predicted-completion",
            &[
                "strictness = 1.5",
                "refusal-share = 0.1",
                "max-refusals = 1",
                "probes = 0.5",
            ][..],
        ),
        ("least-cost", &[]),
        ("consistent-hash", &["load-factor = 2.0"]),
        ("least-request", &["bias = 0.5"]),
        ("weighted-round-robin", &["penalty = 3.0"]),
        ("prequal", &["probes = 1.5"]),
        ("c3", &["clients = 12"]),
        ("peak-ewma", &[]),
        ("p2c", &[]),
        ("power-of-d", &["choices = 5"]),
        ("random", &[]),
        ("least-impedance", &[]),
        ("round-robin", &[]),
        ("proportional-fairness", &["alpha = 2.0", "beta = 0.5"]),
    ];
    assert_eq!(
        cases.map(|(name, _)| name),
        edge_balance::PolicyConfig::NAMES
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.toml");
    let printed = |arguments: &[&str]| {
        let output = program("edgerouter", &[arguments, &["--print-config"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, section) = text.split_once("[table]\n").unwrap();
        section.split("\n\n").next().unwrap().to_owned()
    };
    for (name, keys) in cases {
        let expected = [format!("type = \"{name}\"")]
            .into_iter()
            .chain(keys.iter().map(|&key| key.to_owned()))
            .collect::<Vec<_>>()
            .join("\n");
        let option = expected
            .replace(" = ", "=")
            .replace('"', "")
            .replace('\n', ",");
        std::fs::write(&file, format!("[table]\n{expected}\n")).unwrap();
        let by_option = printed(&["--table-conf", &option]);
        let by_file = printed(&["--conf", file.to_str().unwrap()]);
        assert_eq!(by_option, expected);
        assert_eq!(by_file, expected);
    }
    // Not those of the default policy, which has a key of this name, too.
    let by_default = printed(&["--table-conf", "type=prequal"]);
    assert_eq!(by_default, "type = \"prequal\"\nprobes = 3.0");
}

#[test]
fn the_policy_of_one_lambda_is_checked_like_that_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.toml");
    let checked = |policy: &str| {
        std::fs::write(&file, format!("[lambda.f]\npolicy = {{ {policy} }}\n")).unwrap();
        let file = file.to_str().unwrap();
        program("edgerouter", &["--conf", file, "--check-config"])
    };
    let fine = checked("type = 'consistent-hash', load-factor = 2");
    assert_eq!(fine.status.code(), Some(0));
    let key = ["lambda.f.policy.load-factor", "0.5 is not between 1.01"];
    fails(
        &checked("type = 'consistent-hash', load-factor = 0.5"),
        2,
        &key,
    );
    fails(
        &checked("type = 'consistent-hush'"),
        2,
        &["consistent-hush"],
    );
    fails(&checked("type = 'p2c', choices = 3"), 2, &["choices"]);
    fails(
        &checked("type = 'power-of-d', choices = 'all'"),
        2,
        &["choices", "all"],
    );
    fails(
        &checked("type = 'proportional-fairness', alpha = 1"),
        2,
        &["beta"],
    );
}

#[test]
fn options_of_the_reference_are_accepted_with_their_abbreviations() {
    let output = program(
        "edgerouter",
        &[
            "--server-e",
            "127.0.0.1:1",
            "--configuration",
            "127.0.0.1:2",
            "--controller",
            "127.0.0.1:3",
            "--num",
            "2",
            "--table",
            "type=random,alpha=2,beta=1",
            "--optimizer",
            "type=trivial,period=10,stat=mean",
            "--router",
            "max-pending-clients=2,min-forward-time=0,max-forward-time=0",
            "--server-c",
            "type=grpc",
            "--fake-num-l",
            "3",
            "--fake-num-d",
            "4",
            "--sec",
            "--print-config",
        ],
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for expected in [
        "endpoint = \"127.0.0.1:1\"",
        "endpoint = \"127.0.0.1:2\"",
        "endpoint = \"127.0.0.1:3\"",
        "num-threads = 2",
        "type = \"random\"",
        "type = \"trivial\"",
        "max-pending-clients = 2",
        "num-lambdas = 3",
        "num-destinations = 4",
        "secure = true",
    ] {
        assert!(stdout.contains(expected), "no {expected} in\n{stdout}");
    }
}

#[test]
fn the_printed_configuration_is_a_configuration() {
    let printed = program("edgerouter", &["--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("router.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = program(
        "edgerouter",
        &["--conf", file.to_str().unwrap(), "--print-config"],
    );
    assert_eq!(again.stdout, printed.stdout);
    let checked = program(
        "edgerouter",
        &["--conf", file.to_str().unwrap(), "--check-config"],
    );
    assert_eq!(
        String::from_utf8_lossy(&checked.stdout),
        "configuration OK\n"
    );
}

#[test]
fn a_port_in_use_ends_the_program_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for arguments in [
        [
            "--server-endpoint",
            &taken,
            "--configuration-endpoint",
            free,
            "--admin-endpoint",
            free,
        ],
        [
            "--server-endpoint",
            free,
            "--configuration-endpoint",
            &taken,
            "--admin-endpoint",
            free,
        ],
        [
            "--server-endpoint",
            free,
            "--configuration-endpoint",
            free,
            "--admin-endpoint",
            &taken,
        ],
    ] {
        fails(&program("edgerouter", &arguments), 1, &[&taken, "in use"]);
    }
}

#[test]
fn missing_certificates_are_named_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let output = |name: &str, arguments: &[&str]| {
        let mut command = Command::cargo_bin(name).unwrap();
        let command = command.args(arguments).env("CERT_DIR", folder.path());
        command.output().unwrap()
    };
    let missing = ["server certificate", "server.crt", "SERVER_CRT"];
    for name in ["edgerouter", "edgedispatcher"] {
        for option in ["--secure", "--secure-control", "--server-conf=type=quic"] {
            fails(&output(name, &[option]), 2, &missing);
            fails(&output(name, &[option, "--check-config"]), 2, &missing);
            let printed = output(name, &[option, "--print-config"]);
            assert_eq!(printed.status.code(), Some(0), "{name} {option}");
        }
        let checked = output(name, &["--check-config"]);
        assert_eq!(checked.status.code(), Some(0), "{name}");
    }
    let client = output("forwardingtableclient", &["--secure"]);
    fails(&client, 2, &["client certificate", "client.crt"]);
}

#[test]
fn both_signals_drain_and_exit_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut router = Process::start(&[]);
        router.signal(signal);
        assert_eq!(router.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn garbage_on_either_port_does_no_harm() {
    use std::io::Write as _;
    let mut router = Process::start(&[]);
    for address in [&router.lambda, &router.tables] {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // The router may hang up while we write.
        let _written = stream.write_all(&[0xff; 10_000]);
    }
    let dump = program("forwardingtableclient", &["--server", &router.tables]);
    assert_eq!(dump.status.code(), Some(0));
    router.signal("-TERM");
    assert_eq!(router.child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut router.log, &mut rest).unwrap();
    assert!(!rest.contains("panicked"), "{rest}");
}
