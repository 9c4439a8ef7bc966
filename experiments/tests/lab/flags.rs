//! What `lab` says of numbers on its command line that it does not take.

use std::process::Command;

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
