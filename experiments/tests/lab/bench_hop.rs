//! `lab bench hop` with few requests: everybody who is there is measured. No figure is asserted
//! against time.

use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    // Built by the test run as well, beside the program.
    let lab = std::path::Path::new(env!("CARGO_BIN_EXE_lab"));
    Command::new(lab)
        .args(["bench", "hop"])
        .arg("--router")
        .arg(lab.with_file_name("edgerouter"))
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(arguments: &[&str]) -> (Vec<Value>, String) {
    let run = lab(arguments);
    let text = String::from_utf8_lossy(&run.stdout);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{text}{said}");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), said)
}

fn number(line: &Value, name: &str) -> f64 {
    line[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} in {line}"))
}

#[test]
fn every_hop_that_is_there_is_measured_under_every_load() {
    let load = [
        "--bytes=0,20000",
        "--in-flight=1,8",
        "--seconds=0.05",
        "--rounds=2",
    ];
    let (lines, said) = lines(&[&load[..], &["--json", "--floor", "--quic", "--tls"]].concat());
    let mut expected = vec![
        "direct",
        "router",
        "router-tls",
        "router-quic",
        "router-h3",
        "floor",
    ];
    let mut with_tls = vec!["floor-tls"];
    for (peer, the_same) in [
        ("envoy", "envoy-tls"),
        ("haproxy", "haproxy-tls"),
        ("nginx", "nginx-tls"),
    ] {
        if !said.contains(&format!("{peer} is not installed")) {
            expected.push(peer);
            with_tls.push(the_same);
        }
    }
    expected.extend(with_tls);
    assert_eq!(lines.len(), 4 * expected.len(), "{said}");
    for (cell, load) in lines
        .chunks(expected.len())
        .zip([(0, 1), (0, 8), (20_000, 1), (20_000, 8)])
    {
        let hops: Vec<_> = cell
            .iter()
            .map(|line| line["hop"].as_str().unwrap())
            .collect();
        assert_eq!(hops, expected);
        for line in cell {
            assert_eq!(
                (&line["bytes"], &line["in_flight"]),
                (&load.0.into(), &load.1.into())
            );
            assert!(number(line, "rps") > 0.0, "{line}");
            assert!(number(line, "p50_us") <= number(line, "p99_us"), "{line}");
            assert!(number(line, "p99_us") <= number(line, "p999_us"), "{line}");
            // Without a hop there is nothing that costs anything.
            let is_hop = line["hop"] != "direct";
            assert_eq!(number(line, "cpu_us") > 0.0, is_hop, "{line}");
            assert_eq!(number(line, "rss_kb") > 0.0, is_hop, "{line}");
            assert!(
                line["bytes"] != 0 || number(line, "half_load_rps") > 0.0,
                "{line}"
            );
        }
    }
    assert!(said.contains("machine:"), "{said}");
}

#[test]
fn an_open_loop_is_as_fast_as_was_asked_for() {
    let arguments = [
        "--paced=200",
        "--hops=direct,router",
        "--bytes=100",
        "--seconds=0.5",
    ];
    let (lines, _) =
        lines(&[&arguments[..], &["--rounds=1", "--connections=3", "--json"]].concat());
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(line["in_flight"], 0);
        assert!(number(line, "p50_us") > 0.0, "{line}");
        assert_eq!(line["errors"], 0);
    }
}

#[test]
fn a_table_for_people_tells_what_was_measured_and_which_goals_are_met() {
    let arguments = ["--hops=direct,router", "--bytes=100", "--in-flight=4"];
    let run = lab(&[
        &arguments[..],
        &["--service-ms=5", "--seconds=0.05", "--rounds=1"],
    ]
    .concat());
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
    for part in [
        "edgerouter",
        "as named",
        "requests/s",
        "machine:",
        "goals",
        "4 clients, 5 ms",
    ] {
        assert!(text.contains(part), "no '{part}' in {text}");
    }
}

#[test]
fn a_missing_program_is_an_error_where_it_was_named() {
    for peer in ["envoy", "haproxy", "nginx"] {
        let run = lab(&[
            &format!("--hops={peer}"),
            &format!("--{peer}=/no/such/program"),
        ]);
        assert_eq!(run.status.code(), Some(2));
        let text = String::from_utf8_lossy(&run.stderr);
        assert!(text.contains("/no/such/program"), "{text}");
    }
}

#[test]
fn figures_out_of_range_are_usage_errors() {
    for wrong in [
        "--in-flight=0",
        "--connections=0",
        "--paced=0",
        "--rounds=0",
        "--seconds=0",
    ] {
        assert_eq!(lab(&[wrong]).status.code(), Some(2), "{wrong}");
    }
}
