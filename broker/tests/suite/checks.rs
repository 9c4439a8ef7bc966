//! What `--check-config` finds beyond the types of the keys.

use std::process::Output;

use assert_cmd::cargo::CommandCargoExt as _;

const BROKERS: [&str; 2] = ["edgerouter", "edgedispatcher"];

/// Checks the configuration with these settings in the environment, of the form `SECTION__KEY=value`.
fn check(program: &str, settings: &[&str]) -> Output {
    let prefix = program.to_uppercase();
    let variables = settings.iter().map(|setting| {
        let (key, value) = setting.split_once('=').unwrap();
        (format!("{prefix}__{key}"), value)
    });
    std::process::Command::cargo_bin(program)
        .unwrap()
        .arg("--check-config")
        .envs(variables)
        .output()
        .unwrap()
}

#[track_caller]
fn fine(settings: &[&str]) {
    for program in BROKERS {
        let output = check(program, settings);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{program}: {stderr}");
    }
}

#[track_caller]
fn refused(settings: &[&str], problem: &str) {
    for program in BROKERS {
        let output = check(program, settings);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{program}: {stderr}");
        assert!(stderr.contains(problem), "{program}: {stderr}");
    }
}

#[test]
fn limits_with_which_nobody_could_be_served_are_refused() {
    for (key, name, most) in [
        ("MAX_MESSAGE_BYTES", "max-message-bytes", 4_294_967_295_u64),
        ("MAX_CONNECTIONS", "max-connections", 1_000_000),
        (
            "MAX_CONCURRENT_STREAMS",
            "max-concurrent-streams",
            1_000_000,
        ),
    ] {
        for value in [0, most + 1] {
            refused(
                &[&format!("LIMITS__{key}={value}")],
                &format!("limits.{name}"),
            );
        }
        fine(&[&format!("LIMITS__{key}={most}")]);
    }
}
