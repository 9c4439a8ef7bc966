//! Rows H1 to H3, D1 and D6 as JSON, and where errors are said to be.

use super::*;

fn error(parse: fn(&str) -> Result<Plan, Malformed>, text: &str) -> (usize, String) {
    let error = parse(text).unwrap_err();
    (error.line, error.problem)
}

/// `text` without the line of `key`, which is not the last one.
fn without(key: &str, text: &str) -> String {
    let key = format!("\"{key}\"");
    let lines = text.lines().filter(|line| !line.contains(&key));
    lines.collect::<Vec<_>>().join("\n")
}

const DAG: &str = r#"{
  "successors": [[1, 2], [3], [3]],
  "functionNames": ["f0", "f1", "f2", "f2"],
  "dependencies": {"s0": ["f0"], "s3": null},
  "state-sizes": {
    "s0": 10000
  }
}"#;

#[test]
fn h1_the_example_chain_survives_json() {
    let example = Plan::example_chain();
    assert_eq!(chain(&example.to_json()), Ok(example));
}

#[test]
fn h2_the_example_chain_is_written_as_in_the_reference() {
    let written: serde_json::Value =
        serde_json::from_str(&Plan::example_chain().to_json()).unwrap();
    let expected = json!({
        "functions": ["f1", "f2", "f1"],
        "dependencies": {"s0": ["f1"], "s1": ["f1", "f2"], "s2": ["f2"], "s3": null},
        "state-sizes": {"s0": 10000, "s1": 20000, "s2": 30000, "s3": 40000},
    });
    assert_eq!(written, expected);
    assert_eq!(Plan::example_chain().name(), "f1-f2-f1");
    let needed: Vec<_> = Plan::example_chain()
        .needed_states()
        .map(str::to_owned)
        .collect();
    assert_eq!(needed, ["s0", "s1", "s2"]);
}

#[test]
fn h3_what_is_no_chain_is_an_error_that_names_its_line() {
    assert_eq!(error(chain, "not-a-json").0, 1);
    let unknown = "{\n\"functions\": [\"f1\"],\n\"dependencies\":\n {\"s0\": [\"fX\"]}}";
    let (line, problem) = error(chain, unknown);
    assert_eq!(line, 4);
    assert!(
        problem.contains("`dependencies`: state s0") && problem.contains("fX"),
        "{problem}"
    );
    let empty = "{\"functions\": [], \"dependencies\": {}}";
    assert!(error(chain, empty).1.contains("at least one function"));
}

#[test]
fn d1_the_example_graph_survives_json() {
    let example = Plan::example_dag();
    let written: serde_json::Value = serde_json::from_str(&example.to_json()).unwrap();
    let expected = json!({
        "successors": [[1, 2], [3], [3]],
        "functionNames": ["f0", "f1", "f2", "f2"],
        "dependencies": {"s0": ["f0"], "s1": ["f0", "f1"], "s2": ["f2"], "s3": null},
        "state-sizes": {"s0": 10000, "s1": 20000, "s2": 30000, "s3": 40000},
    });
    assert_eq!(written, expected);
    assert_eq!(dag(&example.to_json()), Ok(example));
}

#[test]
fn d6_missing_keys_and_sizes_that_do_not_fit_are_errors() {
    assert!(dag(DAG).is_ok());
    for key in ["successors", "functionNames", "dependencies"] {
        let expected = (1, format!("the key `{key}` is missing"));
        assert_eq!(error(dag, &without(key, DAG)), expected);
    }
    let few = DAG.replace("[[1, 2], [3], [3]]", "[[1, 2], [3]]");
    assert_eq!(error(dag, &few).0, 3);
    let unknown = DAG.replace("\"s0\": [\"f0\"]", "\"s0\": [\"fX\"]");
    assert_eq!(error(dag, &unknown).0, 4);
}

#[test]
fn v12_a_graph_with_a_cycle_is_an_error_in_the_line_of_its_edges() {
    let cycle = DAG.replace("[[1, 2], [3], [3]]", "[[1], [2], [1, 3]]");
    let (line, problem) = error(dag, &cycle);
    assert_eq!(line, 2);
    assert!(problem.contains("cycle"), "{problem}");
}

#[test]
fn values_of_the_wrong_kind_are_found_in_their_line() {
    let (line, problem) = error(dag, &DAG.replace("10000", "-1"));
    assert_eq!(line, 6);
    assert!(
        problem.starts_with("`state-sizes`: ") && problem.contains("-1"),
        "{problem}"
    );
    let (line, problem) = error(dag, &DAG.replace("\"f1\", ", "5, "));
    assert_eq!(line, 3);
    assert!(problem.contains("expected a string"), "{problem}");
    let (line, problem) = error(dag, &DAG.replace("[\"f0\"],", "[\"f0\"]"));
    assert_eq!(line, 4);
    assert!(problem.contains("expected `,`"), "{problem}");
}

#[test]
fn states_need_sizes_only_if_functions_need_the_states() {
    assert!(dag(DAG).unwrap().needed_states().eq(["s0"]));
    let (line, problem) = error(dag, &DAG.replace("\"s0\": 10000", ""));
    assert_eq!(line, 4);
    assert!(problem.contains("state 's0' has no size"), "{problem}");
    let bare = r#"{"functions": ["f"], "dependencies": {}, "remark": 1}"#;
    assert!(chain(bare).is_ok());
}

#[test]
fn functions_need_names_and_cannot_be_any_number() {
    let nameless = r#"{"functions": ["f", ""], "dependencies": {}}"#;
    assert!(error(chain, nameless).1.contains("function 1 has no name"));
    let functions = vec!["f"; edge_proto::workflow::MAX_FUNCTIONS + 1];
    let long = json!({"functions": functions, "dependencies": {}}).to_string();
    assert!(error(chain, &long).1.contains("257 functions are too many"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Plan::read_chain(Path::new("/nowhere/chain.json")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("cannot read /nowhere/chain.json: "),
        "{error}"
    );
}
