//! `lab overload`: what is offered is accounted for, and nobody goes away empty-handed.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Small and slow computers, so that a busy machine can keep up with three times what they can do:
/// 100 requests per second.
const SITE: [&str; 5] = [
    "--json",
    "--quick",
    "--computers=2",
    "--workers=1",
    "--service-ms=20",
];

/// Longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn overload(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("overload")
        .args(flags)
        .output()
        .unwrap()
}

/// The only line of a run with the flags of [`SITE`] and these.
fn figures(flags: &[&str]) -> Value {
    let run = overload(&[&SITE[..], flags].concat());
    let text = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}{errors}");
    serde_json::from_str(&text).unwrap()
}

fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap()
}

#[test]
fn three_times_the_capacity_is_accounted_for_and_every_client_gets_something() {
    let line = figures(&["--factors=3", "--seconds=3", "--clients=4"]);
    let all = &line["all"];
    // 8 s at half the capacity and 3 s at three times of it; five standard deviations.
    let sent = count(all, "sent");
    assert!((1115..1485).contains(&sent), "{line}");
    let fates = ["answered", "refused", "expired", "failed"];
    let sum: u64 = fates.iter().map(|fate| count(all, fate)).sum();
    assert_eq!(sum, sent, "{line}");
    assert_eq!(count(all, "failed"), 0, "{line}");
    // The router saw each of them once, but for those that expired before they left.
    let taken = count(&line, "router_requests");
    let least = count(all, "answered") + count(all, "refused");
    assert!((least..=sent).contains(&taken), "{line}");
    assert!(
        count(&line, "refused") + count(&line, "expired") > 0,
        "{line}"
    );
    let clients = line["client_answers"].as_array().unwrap();
    assert_eq!(clients.len(), 4, "{line}");
    for answers in clients {
        assert!(answers.as_u64().unwrap() > 0, "{line}");
    }
    let memory = &line["router_memory"];
    let growth = count(memory, "peak_kb") - count(memory, "start_kb");
    assert!(growth < 256 * 1024, "{line}");
}

#[test]
fn two_lambdas_and_clients_with_addresses_of_their_own_are_told_apart() {
    let line = figures(&["--factors=0.5", "--seconds=1", "--mixed", "--hosts"]);
    assert_eq!(count(&line["all"], "failed"), 0, "{line}");
    let lambdas = line["lambdas"].as_object().unwrap();
    let names: Vec<_> = lambdas.keys().collect();
    assert_eq!(names, ["batch", "urgent"]);
    for lambda in lambdas.values() {
        assert!(lambda["goodput_rps"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!(line["client_answers"].as_array().unwrap().len(), 10);
}

#[test]
fn a_missed_goal_is_a_failure_if_goals_are_checked() {
    // Nothing can be executed in time.
    let hopeless = [
        "--json",
        "--quick",
        "--factors=3",
        "--seconds=1",
        "--service-ms=400",
        "--deadline=0.1",
    ];
    let unchecked = overload(&hopeless);
    assert!(unchecked.status.success(), "{unchecked:?}");
    let line: Value = serde_json::from_slice(&unchecked.stdout).unwrap();
    assert_eq!(count(&line["all"], "answered"), 0, "{line}");
    let missed = line["missed"].to_string();
    for goal in ["goodput 0.0 %", "not back to normal", "p99", "Jain"] {
        assert!(missed.contains(goal), "{goal}: {missed}");
    }
    let checked = overload(&[&hopeless[..], &["--check"]].concat());
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
}

#[test]
fn a_load_that_makes_no_sense_is_a_usage_error() {
    let unknown_key = r#"--router-conf={"no-such-section":{}}"#;
    for flag in [
        "--factors=0",
        "--clients=201",
        "--greedy=11",
        "--seconds=0",
        unknown_key,
    ] {
        let run = overload(&[flag]);
        assert_eq!(run.status.code(), Some(2), "{flag}: {run:?}");
    }
}

#[test]
fn an_interrupted_run_leaves_no_process_behind() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["overload", "--factors=0.5"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Four computers and a router.
    let mut children = Vec::new();
    eventually("its processes run", || {
        children = children_of(run.id());
        children.len() == 5
    });
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let mut status = None;
    eventually("it ends", || {
        status = run.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(
        status.unwrap().code(),
        Some(130),
        "as if SIGINT had killed it"
    );
    let alive: Vec<_> = children
        .iter()
        .filter(|pid| parent_of(**pid).is_some())
        .collect();
    assert!(alive.is_empty(), "{alive:?}");
}

fn children_of(parent: u32) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// `None` if there is no such process.
fn parent_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
