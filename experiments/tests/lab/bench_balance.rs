//! `lab bench balance` with our router only: every request is accounted for.

use std::process::Command;

use serde_json::Value;

/// Runs the benchmark for a second per cell; its lines.
fn figures(cells: &str, brokers: &str) -> Vec<Value> {
    let run = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["bench", "balance", "--json", "--peers=ours", "--seconds=1"])
        // Little to do and much time: a slow machine must not make errors.
        .args(["--utilisation=0.2", "--deadline=60"])
        .args([format!("--cells={cells}"), format!("--brokers={brokers}")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap()
}

fn shares(line: &Value) -> Vec<u64> {
    let shares = line["answered_by"].as_array().unwrap();
    shares.iter().map(|share| share.as_u64().unwrap()).collect()
}

#[test]
fn all_requests_are_answered_by_one_broker_and_by_two() {
    let lines = figures("equal,slowed", "1,2");
    let named: Vec<_> = lines
        .iter()
        .map(|line| (line["cell"].as_str().unwrap(), count(line, "brokers")))
        .collect();
    let expected = [("equal", 1), ("equal", 2), ("slowed", 1), ("slowed", 2)];
    assert_eq!(named, expected);
    for line in &lines {
        assert!(count(line, "requests") > 0, "{line}");
        assert_eq!(count(line, "answered"), count(line, "requests"), "{line}");
        assert_eq!(count(line, "errors"), 0, "{line}");
        assert_eq!(
            shares(line).iter().sum::<u64>(),
            count(line, "answered"),
            "{line}"
        );
        assert!(
            shares(line).iter().filter(|share| **share > 0).count() > 1,
            "{line}"
        );
        assert!(
            line["attempts_per_request"].as_f64().unwrap() >= 1.0,
            "{line}"
        );
        assert_eq!(line["better_peer_over_ours_p99"], Value::Null, "{line}");
        // All cells and peers face the same requests.
        assert_eq!(line["requests"], lines[0]["requests"]);
        let trouble = &line["trouble"];
        assert_eq!(trouble.is_null(), line["cell"] == "equal", "{line}");
        if !trouble.is_null() {
            let felt = count(trouble, "requests");
            assert!(0 < felt && felt < count(line, "requests"), "{line}");
        }
    }
}

#[test]
fn what_a_frozen_or_killed_computer_costs_is_counted() {
    for line in figures("paused,killed", "1") {
        let (answered, errors) = (count(&line, "answered"), count(&line, "errors"));
        assert_eq!(answered + errors, count(&line, "requests"), "{line}");
        assert_eq!(shares(&line).iter().sum::<u64>(), answered, "{line}");
        let kinds = line["errors_by_kind"].as_object().unwrap();
        let kinds: u64 = kinds.values().map(|kind| kind.as_u64().unwrap()).sum();
        assert_eq!(kinds, errors, "{line}");
        // The others worked on.
        assert!(shares(&line)[1..].iter().sum::<u64>() > 0, "{line}");
    }
}

#[test]
fn a_policy_that_does_not_exist_is_a_usage_error() {
    let run = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["bench", "balance", "--peers=ours", "--table-conf=no-such"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(
        text.contains("no-such") && text.contains("round-robin"),
        "{text}"
    );
}

#[test]
fn a_missing_program_is_an_error_where_it_was_named() {
    let run = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["bench", "balance", "--envoy=/no/such/envoy"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(text.contains("/no/such/envoy"), "{text}");
}
