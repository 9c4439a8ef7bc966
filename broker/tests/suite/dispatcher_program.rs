//! `edgedispatcher` as its users meet it.

use std::process::Command;

use crate::programs::{fails, program};
use crate::support::process::Process;
use assert_cmd::cargo::CommandCargoExt as _;

#[test]
fn a_dispatcher_is_refused_in_the_words_of_the_reference() {
    let cases: &[(&str, &[&str])] = &[
        (
            "type=crystal-ball",
            &[
                "Invalid processing time estimator type: crystal-ball",
                "rtt, util, delay, probe",
            ],
        ),
        (
            "type=util",
            &[
                "Invalid configuration for type 'util', use something like: type=util,rtt-window-size=50,rtt-stale-period=10,util-load-timeout=10,util-window-size=50,output=out.dat",
                "rtt-window-size: is missing",
            ],
        ),
        (
            "type=delay,util-load-timeout=10",
            &[
                "Invalid configuration for type 'delay', use something like: type=delay,util-load-timeout=10,util-window-size=50,output=out.dat",
            ],
        ),
        (
            "type=probe,max-clients=ten",
            &[
                "Invalid configuration for type 'probe', use something like: type=probe,max-clients=10,output=out.dat",
                "ten",
            ],
        ),
        (
            "type=rtt,window-size=0,stale-period=10",
            &[
                "Invalid configuration for type 'rtt', use something like: type=rtt,window-size=50,stale-period=10",
                "0 is not between 1 and 1000",
            ],
        ),
        ("type=rtt,window=1", &["window", "window-size"]),
    ];
    for (conf, expected) in cases {
        let output = program("edgedispatcher", &["--ptimeest-conf", conf]);
        fails(&output, 2, expected);
    }
}

#[test]
fn a_dispatcher_reads_its_estimator_from_everywhere() {
    let print = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = Command::cargo_bin("edgedispatcher")
            .unwrap()
            .args(arguments)
            .arg("--print-config")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let section = |printed: &str| -> Vec<String> {
        let lines = printed.lines().skip_while(|line| *line != "[estimator]");
        let own = lines.skip(1).take_while(|line| !line.starts_with('['));
        own.filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let printed = print(&[], &[]);
    let default = ["type = \"rtt\"", "window-size = 50", "stale-period = 10.0"];
    assert_eq!(section(&printed), default);
    assert!(printed.contains(":9474"), "{printed}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dispatcher.toml");
    std::fs::write(
        &file,
        "[estimator]\ntype = \"delay\"\nutil-load-timeout = 5\nutil-window-size = 20\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let delay = section(&print(&["--conf", file], &[]));
    assert_eq!(
        delay,
        [
            "type = \"delay\"",
            "util-load-timeout = 5.0",
            "util-window-size = 20",
            "util-stale-period = 60.0"
        ]
    );
    let environment = [("EDGEDISPATCHER__ESTIMATOR__UTIL_WINDOW_SIZE", "7")];
    let merged = section(&print(
        &["--conf", file, "--ptimeest", "util-load-timeout=1"],
        &environment,
    ));
    assert_eq!(
        merged[1..3],
        ["util-load-timeout = 1.0", "util-window-size = 7"]
    );
    let other = ["--conf", file, "--ptimeest", "type=probe,max-clients=3"];
    let probe = section(&print(&other, &[]));
    assert_eq!(
        probe,
        ["type = \"probe\"", "max-clients = 3", "timeout = 0.05"]
    );
}

#[test]
fn the_example_of_a_dispatcher_is_a_configuration() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/dispatcher.toml");
    let output = program("edgedispatcher", &["--conf", example, "--check-config"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "configuration OK\n"
    );
    let unknown = program("edgedispatcher", &["--table-conf", "type=random"]);
    fails(&unknown, 2, &["--table-conf"]);
}

#[test]
fn a_dispatcher_serves_one_table_and_drains() {
    let mut dispatcher = Process::start_program("edgedispatcher", &[]);
    let client = |arguments: &[&str]| {
        let mut all = vec!["--server", dispatcher.tables.as_str()];
        all.extend_from_slice(arguments);
        let output = program("forwardingtableclient", &all);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let add = ["--action", "change", "--lambda", "f", "--destination"];
    let weight = ["10.0.0.1:1", "--weight=-42", "--final"];
    assert_eq!(client(&[&add[..], &weight].concat()), "OK\n");
    assert_eq!(client(&[]), "Table#0\nf [1] 10.0.0.1:1 (F)\n");
    dispatcher.signal("-TERM");
    assert_eq!(dispatcher.child.wait().unwrap().code(), Some(0));
}
