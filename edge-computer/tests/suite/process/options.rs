//! Options, configuration and exit codes.

use super::support::{command, output, text, with_own_ports, wsk_output};

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
fn queues_are_bounded_by_default_and_as_asked() {
    let limits = |arguments: &[&str]| {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let config = text(&output.stdout);
        let section = config.split("[limits]\n").nth(1).unwrap();
        section.lines().take(2).collect::<Vec<_>>().join(", ")
    };
    let default = limits(&["--print-config"]);
    assert_eq!(default, "max-pending = 10000, max-wait = \"10s\"");
    let asked = limits(&[
        "--limits-conf=max-pending=7,max-wait=250ms",
        "--print-config",
    ]);
    assert_eq!(asked, "max-pending = 7, max-wait = \"250ms\"");
}

#[test]
fn the_shipped_examples_are_valid() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let toml = format!("{root}/computer.toml");
    let json = format!("type=file,path={root}/raspberry.json");
    let runtime = format!("{root}/runtime.toml");
    for conf in [&toml, &json, &runtime] {
        let output = output(&["--conf", conf, "--check-config"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "configuration OK\n");
    }
    let wsk = format!("{root}/computer-wsk.toml");
    let output = wsk_output(&["--conf", &wsk, "--check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_is_configured_in_vain_is_warned_of() {
    let said = |arguments: &[&str]| {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stderr).to_owned()
    };
    let platform = "--conf=type=intel-server,num-containers=1,num-workers=1";
    let warnings = said(&["--computer-type=runtime", platform, "--check-config"]);
    assert!(warnings.contains("option --conf: platform is for computers of type sim"));
    assert!(warnings.contains("there are no functions"), "{warnings}");
    // There is no path in the environment of the program.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/runtime.toml");
    let warnings = said(&["--conf", example, "--check-config"]);
    let missing = "warning: runtime.node: there is no program `node`";
    assert!(warnings.starts_with(missing), "{warnings}");
    assert_eq!(said(&[platform, "--check-config"]), "");
}

#[test]
fn errors_of_a_platform_say_who_has_given_it() {
    let output = output(&["--conf=type=file,path=/does/not/exist", "--check-config"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("option --conf: `platform.path`: "), "{said}");
}

#[test]
fn a_computer_in_front_of_openwhisk_understands_the_options_of_the_reference() {
    let output = wsk_output(&[
        "--wsk-api=https://host:1234",
        "--wsk-auth=user:key",
        "--server-e=127.0.0.1:10000",
        "--controller=127.0.0.1:6475",
        "--num-thread=3",
        "--print-config",
    ]);
    let config = text(&output.stdout);
    for line in [
        "api-root = \"https://host:1234\"",
        "auth = \"(hidden)\"",
        "endpoint = \"127.0.0.1:10000\"",
        "num-threads = 3",
    ] {
        let shown = config.lines().any(|shown| shown == line);
        assert!(
            shown,
            "{line} is missing in {config}{}",
            text(&output.stderr)
        );
    }
    for (arguments, reason) in [
        (&["--check-config"][..], "--wsk-api-root"),
        (
            &["--wsk-api-root=ftp://host"],
            "option --wsk-api-root: `wsk.api-root`: api-root 'ftp://host': expected something like",
        ),
        (
            &["--wsk-api-root=host"],
            "expected something like https://HOST",
        ),
        (
            &["--wsk-api-root=http://host", "--wsk-auth=nonsense"],
            "neither uuid:key",
        ),
        (
            &["--wsk-api-root=http://host", "--wsk-ca=/does/not/exist"],
            "/does/not/exist",
        ),
    ] {
        let output = wsk_output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(reason),
            "{}",
            text(&output.stderr)
        );
        assert!(!text(&output.stderr).contains("nonsense"));
    }
}

#[test]
fn wrong_usage_and_unusable_configurations_exit_with_2_and_say_why() {
    for (arguments, reason) in [
        (
            &["--computer-type=http"][..],
            "not available in this version",
        ),
        (&["--computer-type=magic"], "there are sim and runtime"),
        (
            &["--computer-type=runtime", "--conf=/does/not/exist.toml"],
            "/does/not/exist.toml",
        ),
        (&["--num-threads=0"], "from 1 to 512"),
        (&["--num-threads=100000"], "from 1 to 512"),
        (&["--no-state-server"], "--state-endpoint"),
        (&["--server-endpoint=nonsense"], "expected host:port"),
        (&["--server-conf=type=pigeon"], "quic"),
        (
            &["--server-endpoint=quic://127.0.0.1:1"],
            "write 127.0.0.1:1, and --server-conf type=quic",
        ),
        (
            &["--controller-endpoint=h3://127.0.0.1:1"],
            "write 127.0.0.1:1",
        ),
        (&["--conf=type=mainframe"], "intel-server"),
        (
            &["--conf=type=file,path=/does/not/exist"],
            "/does/not/exist",
        ),
        (&["--conf=/does/not/exist.toml"], "/does/not/exist.toml"),
        (&["--limits-conf=max-wait=soon"], "invalid duration `soon`"),
        (&["--limits-conf=max-patience=1"], "max-patience"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = text(&output.stderr);
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn an_option_of_another_type_of_computer_has_no_effect_and_a_warning_says_so() {
    let output = output(&["--http-conf=num-clients=1", "--check-config"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("--http-conf"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn quic_without_certificates_is_told_to_need_them() {
    let platform = ["--wsk-api-root=https://localhost", "--wsk-auth=a:b"];
    for options in [&["--server-conf=type=quic"], &["--server-conf=type=both"]] {
        let computers = [
            output(&with_own_ports(options)),
            wsk_output(&with_own_ports(&[&platform[..], options].concat())),
        ];
        for computer in computers {
            assert_eq!(computer.status.code(), Some(2));
            let message = text(&computer.stderr);
            for part in ["QUIC is always encrypted", "CERT_DIR", "server.crt"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
    let listening = ["--server-endpoint=h3://127.0.0.1:1"];
    let refused = wsk_output(&[&platform[..], &listening].concat());
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(message.contains("--server-conf type=quic"), "{message}");
}

#[test]
fn missing_certificates_are_told() {
    let output = output(&with_own_ports(&["--secure"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("SERVER_CRT"),
        "{}",
        text(&output.stderr)
    );
}
