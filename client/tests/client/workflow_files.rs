//! The program `edgeclient` with chains and graphs in files.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use edge_client::workflow::Plan;
use edge_transport::Endpoint;

use crate::support::{Computer, echo};

fn edgeclient(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgeclient"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A computer that knows all functions, each of which takes one hop and 27 ms.
fn computer() -> Computer {
    Computer::start(|request| async move {
        let mut known = request.clone();
        known.name = "clambda0".to_owned();
        edge_proto::rpc::LambdaResponse {
            ptime: 27,
            states: request.states,
            responder: "computer:1".to_owned(),
            ..echo(&known)
        }
    })
}

#[test]
fn templates_are_written_and_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let computer = computer();
    let endpoint = computer.endpoint().to_string();
    for (kind, example, name, hops) in [
        ("chain", Plan::example_chain(), "f1-f2-f1", 3),
        ("dag", Plan::example_dag(), "f0-f1-f2-f2", 4),
    ] {
        let option = format!("--{kind}-conf");
        let output = edgeclient(folder.path(), &[&option, "type=make-template"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let file = folder.path().join(format!("{kind}-example.json"));
        let read = match kind {
            "chain" => Plan::read_chain(&file),
            _ => Plan::read_dag(&file),
        };
        assert_eq!(read.unwrap(), example);

        let conf = format!("type=file,filename={kind}-example.json");
        let arguments = [
            "--server",
            &endpoint,
            &option,
            &conf,
            "--max-requests",
            "2",
            "--lambda",
            "ignored",
        ];
        let output = edgeclient(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines: Vec<_> = text(&output.stdout).lines().collect();
        assert_eq!(lines.len(), 2);
        // No load and no responder, because there are several.
        let end = format!(" 0 - {name} {hops}");
        assert!(lines.iter().all(|line| line.ends_with(&end)), "{lines:?}");
        let processing = format!("processing {} +- 0", 27.0 * f64::from(hops) / 1e3);
        assert!(text(&output.stderr).contains(&processing));
    }
}

#[test]
fn a_file_that_is_no_chain_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--chain-conf", "type=file,filename=chain.json"];
    for (content, message) in [
        ("not-a-json", "chain.json, line 1: expected"),
        (
            "{\"functions\": [\"f\"]}",
            "chain.json, line 1: the key `dependencies` is missing",
        ),
        (
            "{\"functions\": [\"f1\"],\n\"dependencies\": {\"s\": [\"fX\"]}}",
            "chain.json, line 2: `dependencies`: state s depends on function fX",
        ),
        (
            "{\"functions\": [\"f\"],\n\"dependencies\": {\"s\": [\"f\"]},\n\
             \"state-sizes\": {\"s\": 70000000}}",
            "messages cannot be larger",
        ),
    ] {
        std::fs::write(folder.path().join("chain.json"), content).unwrap();
        let output = edgeclient(folder.path(), &arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(message), "{errors}");
        assert!(errors.contains("option --chain-conf"), "{errors}");
    }
}

#[test]
fn v12_a_graph_with_a_cycle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cycle = r#"{"successors": [[1], [2], [1, 3]], "functionNames": ["a", "b", "c", "d"],
        "dependencies": {}}"#;
    std::fs::write(folder.path().join("dag.json"), cycle).unwrap();
    let output = edgeclient(
        folder.path(),
        &["--dag-conf", "type=file,filename=dag.json"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("dag.json, line 1: `successors`: the DAG has a cycle"));
}

#[test]
fn states_that_move_follow_one_client() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Plan::example_chain().to_json();
    std::fs::write(folder.path().join("chain.json"), chain).unwrap();
    let chain = ["--chain-conf", "type=file,filename=chain.json"];
    for (more, message) in [
        (
            &["--state-endpoint", "127.0.0.1:0", "--num-threads", "2"][..],
            "follow one client",
        ),
        (
            &["--state-endpoint", "127.0.0.1:0", "--rate", "1"],
            "follow one client",
        ),
        (&["--state-endpoint", "0.0.0.0:6481"], "computers can reach"),
        (
            &["--state-endpoint", "127.0.0.1:0", "--no-state-server"],
            "nobody listens at port 0",
        ),
    ] {
        let output = edgeclient(folder.path(), &[&chain[..], more].concat());
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn a_state_server_that_is_not_there_is_a_failure_and_one_that_is_taken_too() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Plan::example_chain().to_json();
    std::fs::write(folder.path().join("chain.json"), chain).unwrap();
    let taken = Computer::echo(Duration::ZERO);
    let nobody: Endpoint = crate::support::nobody();
    let (taken, nobody) = (taken.endpoint().to_string(), nobody.to_string());
    for (more, message) in [
        (&["--state-endpoint", &taken][..], &*taken),
        (
            &["--state-endpoint", &nobody, "--no-state-server"],
            "state 's0': no answer from",
        ),
    ] {
        let chain = ["--chain-conf", "type=file,filename=chain.json"];
        let output = edgeclient(folder.path(), &[&chain[..], more].concat());
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}
