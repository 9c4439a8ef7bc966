//! `lab bench scale` with small values: each is measured, and tables can be read. No figure is
//! asserted against time.

use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    let lab = std::path::Path::new(env!("CARGO_BIN_EXE_lab"));
    Command::new(lab)
        .args(["bench", "scale"])
        .arg("--router")
        .arg(lab.with_file_name("edgerouter"))
        .args(["--rounds=1", "--seconds=0.05"])
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(arguments: &[&str]) -> Vec<Value> {
    let run = lab(&[arguments, &["--json"]].concat());
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

#[test]
fn every_value_of_every_sweep_is_measured() {
    let lines = lines(&[
        "--sweeps=lambdas,destinations,connections,changes",
        "--lambdas=1,300",
        "--destinations=1,40",
        "--connections=1,5",
        "--changes=0,200",
        "--policies=least-request,proportional-fairness",
    ]);
    let count = |name: &str, value: Value| {
        let is_it = |line: &&Value| line[name] == value;
        lines.iter().filter(is_it).count()
    };
    // Two values, and the first of them again; three loads of the sweep of destinations for two policies, and
    // two of the three others.
    assert_eq!(count("load", "made-up".into()), 3 * 2);
    assert_eq!(lines.len(), 3 * (2 * 3 + 3 * 2));
    assert_eq!(count("again", true.into()), lines.len() / 3);
    for line in &lines {
        for name in ["rps", "p50_us", "cpu_us", "ratio", "rss_kb"] {
            assert!(line[name].as_f64().unwrap() > 0.0, "{name} in {line}");
        }
    }
}

#[test]
fn a_request_is_measured_under_each_policy_with_few_and_many_destinations() {
    let lines = lines(&[
        "--sweeps=policies",
        "--destinations=1,150",
        "--policies=p2c,proportional-fairness",
    ]);
    let shown = lines.iter().map(|line| {
        let (policy, value) = (line["policy"].as_str(), line["value"].as_u64());
        (policy.unwrap(), value.unwrap(), line["again"] == true)
    });
    let expected = ["p2c", "proportional-fairness"]
        .map(|policy| [(policy, 1, false), (policy, 150, false), (policy, 1, true)]);
    assert_eq!(shown.collect::<Vec<_>>(), expected.concat());
    assert!(
        lines
            .iter()
            .all(|line| line["cpu_us"].as_f64().unwrap() > 0.0)
    );
}

#[test]
fn goals_are_not_judged_by_a_single_round() {
    let run = lab(&["--sweeps=lambdas", "--lambdas=1,20"]);
    let text = String::from_utf8_lossy(&run.stdout);
    let goals: Vec<_> = text
        .lines()
        .filter(|line| line.contains(", goal "))
        .collect();
    assert_eq!(goals.len(), 2, "{text}");
    for goal in goals {
        assert!(
            goal.starts_with("not judged") && goal.contains("spread"),
            "{goal}"
        );
    }
}

#[test]
fn a_large_table_is_read_to_its_end() {
    let lines = lines(&["--sweeps=memory"]);
    let dumped: Vec<_> = lines
        .iter()
        .map(|line| line["dumped"].as_u64().unwrap())
        .collect();
    assert_eq!(dumped, [0, 640_000]);
    assert!(
        lines
            .iter()
            .all(|line| line["rss_kb"].as_u64().unwrap() > 0)
    );
}

#[test]
fn a_policy_that_does_not_exist_is_a_usage_error() {
    let run = lab(&["--policies=no-such"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("no-such"));
}
