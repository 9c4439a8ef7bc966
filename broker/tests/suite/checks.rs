//! What `--check-config` finds beyond the types of the keys.

use std::process::Output;

use crate::support::config;
use assert_cmd::cargo::CommandCargoExt as _;
use edge_broker::Router;

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

#[test]
fn no_more_entries_are_made_up_than_the_tables_may_have() {
    let lambdas = |number: u64| format!("FAKE__NUM_LAMBDAS={number}");
    let destinations = |number: u64| format!("FAKE__NUM_DESTINATIONS={number}");
    let refused = |number, of_each, problem: &str| {
        refused(&[&lambdas(number), &destinations(of_each)], problem);
    };
    fine(&[&lambdas(1000), &destinations(1000)]);
    refused(1001, 1000, "fake.num-lambdas: 1001 lambdas with 1000 dest");
    refused(u64::MAX >> 1, 3, "than tables.max-entries allows, 1000000");
    refused(1, 65_537, "fake.num-destinations: 65537");
    refused(10, 0, "fake.num-destinations: 0");
    refused(0, 10, "fake.num-lambdas: 0");
}

#[test]
fn two_servers_at_one_place_are_refused() {
    let (here, there) = ("127.0.0.1:1234", "127.0.0.1:1235");
    let server = format!("SERVER__ENDPOINT={here}");
    let tables = |place: &str| format!("TABLES__ENDPOINT={place}");
    let admin = |place: &str| format!("ADMIN__ENDPOINT={place}");
    fine(&[&server, &tables(there), &admin("127.0.0.1:0")]);
    refused(&[&server, &tables(here)], "server.endpoint: 127.0.0.1:1234");
    refused(
        &[&server, &tables(there), &admin("1235")],
        "admin.endpoint: 127.0.0.1:1235 is taken by tables.endpoint",
    );
    // No broker of its kind has another admin endpoint, and it goes without.
    fine(&[
        "SERVER__ENDPOINT=127.0.0.1:9473",
        "TABLES__ENDPOINT=127.0.0.1:9474",
    ]);
}

#[tokio::test]
async fn a_start_that_takes_long_can_be_given_up() {
    let mut many = config();
    many.fake.num_lambdas = 50_000;
    many.fake.num_destinations = 1;
    tokio::select! {
        biased;
        _ = Router::start(many) => panic!("nobody else had a turn"),
        () = tokio::task::yield_now() => {}
    }
}
