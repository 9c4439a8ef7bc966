//! What is read, what is tolerated, and how errors say where they are.

use super::*;
use crate::sim::{Output, SimTime};

fn platform(processor: &str, container: &str, lambda: &str) -> String {
    format!(
        r#"{{"version": "1.0",
"processors": [{{"name": "p", "type": "GenericGpu", "speed": 1e9, "memory": 1000{processor}}}],
"containers": [{{"name": "c", "processor": "p"{container},
"lambda": {{"name": "f", "requirements": "proportional",
"op-coeff": 1, "op-offset": 0, "mem-coeff": 0, "mem-offset": 0{lambda}}}}}]}}"#
    )
}

fn error(text: &str) -> String {
    computer_from_json("c", text).unwrap_err().to_string()
}

#[test]
fn m2_the_example_is_a_computer() {
    let mut computer = computer_from_json("example", json_example()).unwrap();
    let container = computer.containers().next().unwrap();
    assert_eq!(container.name, "ccontainer0");
    assert_eq!(container.processor, "arm");
    assert_eq!(container.lambda, "clambda@1");
    assert_eq!(container.num_workers, 1);
    let arm = computer.processors().next().unwrap();
    assert_eq!((arm.kind, arm.cores), (ProcessorKind::GenericCpu, 1));
    assert_eq!((arm.speed, arm.memory_total), (4e9, 500_000_000));
    computer.submit(SimTime::ZERO, "clambda@1", 100).unwrap();
    assert_eq!(
        computer.next_completion(),
        Some(SimTime::from_nanos(26_000_000))
    );
}

#[test]
fn cores_and_output_type_have_defaults() {
    let text = platform("", r#", "num-workers": 5"#, "");
    let mut computer = computer_from_json("c", &text).unwrap();
    assert_eq!(computer.processors().next().unwrap().cores, 1);
    computer.submit(SimTime::ZERO, "f", 0).unwrap();
    let done = computer.advance(SimTime::ZERO);
    assert_eq!(done[0].output, Output::CopyInput);
}

#[test]
fn a_fixed_output_is_taken_over() {
    let output = r#", "output-type": "fixed", "output-value": "robin""#;
    let text = platform("", r#", "num-workers": 1"#, output);
    let mut computer = computer_from_json("c", &text).unwrap();
    computer.submit(SimTime::ZERO, "f", 0).unwrap();
    let done = computer.advance(SimTime::ZERO);
    assert_eq!(done[0].output, Output::Fixed("robin".into()));
}

#[test]
fn numbers_may_be_written_either_way_and_unknown_keys_are_ignored() {
    let processor = r#", "cores": 4e0, "remark": "fast""#;
    let text = platform(
        processor,
        r#", "num-workers": 2.0, "x": []"#,
        r#", "y": {}"#,
    );
    let computer = computer_from_json("c", &text).unwrap();
    assert_eq!(computer.processors().next().unwrap().cores, 4);
    assert_eq!(computer.containers().next().unwrap().num_workers, 2);
}

#[test]
fn errors_name_the_key_the_line_and_what_would_be_right() {
    let workers = r#", "num-workers": 1"#;
    let cases = [
        (
            platform("", "", ""),
            "missing field `num-workers` at line 5",
        ),
        (
            platform(r#", "cores": 1.5"#, workers, ""),
            "expected a whole number from 0 to 4294967295 at line 2",
        ),
        (
            platform(r#", "cores": -1"#, workers, ""),
            "expected a whole number from 0 to 4294967295 at line 2",
        ),
        (
            platform(r#", "cores": 5000000000"#, workers, ""),
            "expected a whole number from 0 to 4294967295 at line 2",
        ),
        (
            platform(r#", "cores": "4""#, workers, ""),
            "expected a whole number from 0 to 4294967295 at line 2",
        ),
        (
            platform("", workers, r#", "output-type": "fixed""#),
            "missing field `output-value` of lambda `f`",
        ),
        (
            platform("", workers, r#", "output-type": "copy""#),
            "unknown variant `copy`, expected `copy-input` or `fixed` at line 5",
        ),
        (
            platform("", workers, "").replace("1.0", "2.0"),
            "unknown variant `2.0`, expected `1.0` at line 1",
        ),
        (
            platform("", workers, "").replace("proportional", "square"),
            "unknown variant `square`, expected `proportional` at line 4",
        ),
        (
            platform("", workers, "").replace("GenericGpu", "Gpu"),
            "unknown variant `Gpu`, expected `GenericCpu` or `GenericGpu` at line 2",
        ),
        (
            platform("", workers, "").replace("\"op-coeff\": 1", "\"op-coeff\": 1e300"),
            "expected a number of single precision (up to 3.4e38) at line 5",
        ),
        (
            "{\n  \"version\": ".to_owned(),
            "EOF while parsing a value at line 2",
        ),
    ];
    for (text, expected) in cases {
        let actual = error(&text);
        assert!(actual.contains(expected), "{actual}\n{expected}");
    }
}

#[test]
fn every_missing_key_is_named() {
    let text = json_example();
    let keys = [
        "version",
        "processors",
        "name",
        "type",
        "speed",
        "memory",
        "containers",
        "processor",
        "lambda",
        "requirements",
        "op-coeff",
        "op-offset",
        "mem-coeff",
        "mem-offset",
        "num-workers",
    ];
    for key in keys {
        let without = text.replacen(&format!("\"{key}\":"), "\"remark\":", 1);
        let actual = error(&without);
        let expected = format!("missing field `{key}`");
        assert!(actual.contains(&expected), "{actual}\n{expected}");
    }
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let workers = r#", "num-workers": 1"#;
    let unknown = platform("", workers, "").replace("\"processor\": \"p\"", "\"processor\": \"q\"");
    assert_eq!(
        error(&unknown),
        "container c: unknown processor: q, there are: p"
    );
    let idle = platform("", r#", "num-workers": 0"#, "");
    assert_eq!(
        error(&idle),
        "container c: num-workers is 0, must be at least 1"
    );
    let slow = platform("", workers, "").replace("1e9", "0");
    assert!(error(&slow).starts_with("processor p: speed is 0 operations per second"));
}
