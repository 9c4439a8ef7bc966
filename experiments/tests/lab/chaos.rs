//! `lab chaos`: real processes are killed, frozen and cut off, and every request is accounted for.

use std::process::{Command, Output};

use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("chaos")
        .args(arguments)
        .output()
        .unwrap()
}

fn lines(run: &Output) -> Vec<Value> {
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
    line[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} of {line}"))
}

/// The figures of one kind of request.
fn figures<'a>(line: &'a Value, kind: &str) -> &'a Value {
    let kinds = line["kinds"].as_array().unwrap();
    kinds
        .iter()
        .find(|figures| figures["kind"] == kind)
        .unwrap()
}

#[test]
fn whatever_happens_every_request_ends_once_and_none_is_executed_twice_against_its_will() {
    let lines = lines(&lab(&["--quick", "--json"]));
    assert_eq!(lines.len(), 14);
    for line in &lines {
        for kind in line["kinds"].as_array().unwrap() {
            let ended = count(kind, "right") + count(kind, "errors");
            assert!(ended > 0, "{line}");
            assert_eq!(ended, count(kind, "sent"), "{line}");
            let by_kind = kind["errors_by_kind"].as_object().unwrap();
            let by_kind: u64 = by_kind.values().map(|n| n.as_u64().unwrap()).sum();
            assert_eq!(by_kind, count(kind, "errors"), "{line}");
            for never in ["lost", "mistaken", "unexecuted"] {
                assert_eq!(count(kind, never), 0, "{never}: {line}");
            }
            if kind["kind"] != "idempotent" {
                assert_eq!(count(kind, "begun_twice"), 0, "{line}");
                assert_eq!(count(kind, "twice"), 0, "{line}");
            }
        }
    }
}

#[test]
fn poison_is_nobodys_fault_but_its_own() {
    let lines = lines(&lab(&["--quick", "--json", "--only=poison"]));
    for kind in ["idempotent", "once", "poison"] {
        let figures = figures(&lines[0], kind);
        assert!(count(figures, "sent") > 0, "{figures}");
        assert_eq!(count(figures, "errors"), 0, "{figures}");
    }
}

#[test]
fn requests_that_may_be_repeated_do_not_wait_for_a_frozen_computer() {
    let lines = lines(&lab(&["--quick", "--json", "--only=stop"]));
    assert!(count(&lines[0], "hedges") > 0, "{}", lines[0]);
    assert_eq!(count(figures(&lines[0], "idempotent"), "errors"), 0);
}

#[test]
fn a_computer_that_turns_everything_down_costs_nobody_an_answer() {
    let lines = lines(&lab(&["--quick", "--json", "--only=fail-overloaded"]));
    for kind in ["idempotent", "once"] {
        assert_eq!(count(figures(&lines[0], kind), "errors"), 0, "{}", lines[0]);
    }
}

#[test]
fn the_books_of_client_router_and_computers_agree() {
    let lines = lines(&lab(&["--ledger=20000", "--seed=3", "--json"]));
    let line = &lines[0];
    assert_eq!(count(line, "requests"), 20_000);
    let struck = &line["misfortunes"];
    let struck = ["kills", "freezes", "resets"].map(|what| count(struck, what));
    assert!(struck.iter().sum::<u64>() > 0, "{line}");
    assert!(count(&line["client"], "given-up") > 0, "{line}");
    let rules = line["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 14);
    assert!(rules.iter().all(|rule| rule["holds"] == true), "{line}");
}

#[test]
fn wrong_usage_is_told() {
    for wrong in [&["--rate=0"][..], &["--only=earthquake"], &["--ledger=0"]] {
        let run = lab(wrong);
        assert_eq!(run.status.code(), Some(2), "{wrong:?}");
    }
}
