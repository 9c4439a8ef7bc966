//! What `lab` says of numbers on its command line that it does not take.

use std::process::{Command, Output};

fn lab(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_lab");
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn a_list_with_something_wrong_in_it_is_told_what_would_be_right() {
    for (command, list, wrong) in [
        ("run quic-302", "--losses", "0,foo"),
        ("run quic-302", "--losses", "0,51"),
        ("run quic-goal", "--losses", "-1"),
        ("overload", "--factors", "1,twice"),
        ("bench scale", "--lambdas", "1,0"),
        ("bench scale", "--destinations", "many"),
        ("bench scale", "--connections", "1,,10"),
        ("bench scale", "--changes", "1e3"),
        ("bench hop", "--bytes", "100k"),
        ("bench hop", "--in-flight", "0"),
        ("bench balance", "--brokers", "17"),
        ("sim matrix", "--scenarios", "162"),
        ("sim run", "--speeds", "1:fast"),
        ("sim run", "--workers", "1:0"),
        ("sim run", "--rtt-ms", "1:inf"),
        ("sim run", "--accelerate", "2:0"),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_lab"))
            .args(command.split(' '))
            .arg(format!("{list}={wrong}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(
            run.status.code(),
            Some(2),
            "{command} {list}={wrong}: {said}"
        );
        for part in [list, "it takes ", "numbers from "] {
            assert!(said.contains(part), "{command} {list}={wrong}: {said}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage_and_the_option_is_named() {
    for (wrong, said) in [
        ("sim run --load -1", "--load takes 0.001 to 100, not -1"),
        ("sim run --zipf -1", "--zipf takes 0.001 to 100, not -1"),
        (
            "sim run --policy best",
            "only predicted-completion, least-cost,",
        ),
        ("sim run --rtt-ms 5:1", "--rtt-ms takes one time or two"),
        (
            "sim run --accelerate 0.5:2",
            "--accelerate takes a number from 1",
        ),
        (
            "sim run --antagonist 4:pause@0.1-0.2",
            "no executor 4, they are numbered from 0 to 3",
        ),
        ("sim run --trace /no/such/file", "cannot read /no/such/file"),
        (
            "sim scale --policy best",
            "only predicted-completion, least-cost,",
        ),
        (
            "bench scale --router /no/such/file",
            "--router: no file /no/such/file",
        ),
        (
            "run quic-302 --backend proxy --programs /no/such",
            "--programs: no file /no/such/edgecomputer",
        ),
        ("demo --seconds 1", "--seconds takes 10 to 3600"),
    ] {
        let arguments: Vec<_> = wrong.split(' ').collect();
        let run = lab(&arguments);
        let text = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{wrong}: {text}");
        assert!(text.contains(said), "{wrong}: {text}");
    }
}

#[test]
fn a_number_that_is_none_is_told_with_the_usage_of_its_own_command() {
    let run = lab(&["sim", "matrix", "--seeds", "0"]);
    let text = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{text}");
    assert!(
        text.contains("expected a whole number, 1 or more"),
        "{text}"
    );
    assert!(text.contains("Usage: lab sim matrix"), "{text}");
}
