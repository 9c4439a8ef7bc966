//! From the first announcement to the last signal.

use std::net::TcpListener;

use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::{Endpoint, Listener};

use super::peer::Peer;
use super::support::{
    Computer, Controller, PATIENCE, Said, free_port, output, text, with_own_ports,
};

#[test]
fn v3_v4_both_signals_deregister_what_was_announced_with_its_workers() {
    for signal in ["INT", "TERM"] {
        let controller = Controller::start(free_port());
        let option = format!("--controller-e={}", controller.endpoint);
        let mut computer = Computer::start(&[&option]);
        let Said::Announced(info) = controller.next() else {
            panic!("removed before it was announced");
        };
        assert!(info.edge_server_endpoint.starts_with("127.0.0.1:"));
        assert!(!info.edge_server_endpoint.ends_with(":0"));
        let containers: Vec<_> = info
            .containers
            .iter()
            .map(|c| (&*c.name, &*c.processor, &*c.lambda, c.num_workers))
            .collect();
        let expected = [
            ("ccontainer0", "arm", "clambda0", 4),
            ("gcontainer0", "bm2837", "glambda0", 2),
        ];
        assert_eq!(containers, expected);
        assert_eq!(info.lease_ms, 10_000);
        assert!(info.generation > 0);

        computer.signal(signal);
        let last = loop {
            match controller.next() {
                Said::Announced(renewed) => assert_eq!(renewed, info),
                Said::Removed(removed) => break removed,
            }
        };
        assert_eq!(last.edge_server_endpoint, info.edge_server_endpoint);
        assert_eq!(computer.wait().code(), Some(0));
    }
}

#[test]
fn announcements_are_renewed_and_advertise_what_they_are_told() {
    let controller = Controller::start(free_port());
    let option = format!("--controller-endpoint={}", controller.endpoint);
    let _computer = Computer::start(&[&option, "--advertise=edge.example:7000"]);
    let first = controller.next();
    let Said::Announced(info) = &first else {
        panic!("removed before it was announced");
    };
    assert_eq!(info.edge_server_endpoint, "edge.example:7000");
    assert_eq!(controller.next(), first);
}

#[test]
fn who_logs_little_stays_all_the_same_until_it_is_asked_to_end() {
    let controller = Controller::start(free_port());
    let option = format!("--controller-endpoint={}", controller.endpoint);
    let mut computer = Computer::start(&[&option, "--log=error"]);
    for _ in 0..2 {
        assert!(matches!(controller.next(), Said::Announced(_)));
    }
    computer.signal("TERM");
    while matches!(controller.next(), Said::Announced(_)) {}
    assert_eq!(computer.wait().code(), Some(0));
}

#[test]
fn v23_a_controller_that_comes_later_is_waited_for() {
    let listener = free_port();
    let endpoint = Endpoint::from(listener.local_addr());
    drop(listener);
    let option = format!("--controller-endpoint={endpoint}");
    let computer = Computer::start(&[&option]);
    computer.wait_for("cannot be announced, trying on");
    let controller = Controller::start(Listener::bind(&endpoint).unwrap());
    assert!(matches!(controller.next(), Said::Announced(_)));
    let line = computer.wait_for("\"announced\"");
    assert!(line.contains("INFO"), "{line}");
}

#[test]
fn a_controller_that_is_gone_does_not_keep_the_computer_from_ending() {
    let mut computer = Computer::start(&["--controller-endpoint=127.0.0.1:1"]);
    computer.wait_for("cannot be announced, trying on");
    computer.signal("TERM");
    assert_eq!(computer.wait().code(), Some(0));
}

#[test]
fn a_port_in_use_ends_the_process_at_once_and_nothing_is_announced() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let controller = Controller::start(free_port());
    let to_controller = format!("--controller-endpoint={}", controller.endpoint);
    for option in [
        "--server-endpoint",
        "--utilization-endpoint",
        "--state-endpoint",
        "--admin-endpoint",
    ] {
        let taken = format!("{option}={address}");
        let output = output(&with_own_ports(&[&taken, &to_controller]));
        assert_eq!(output.status.code(), Some(1), "{option}");
        let message = text(&output.stderr);
        assert!(message.contains(&address), "{message}");
        assert!(message.contains("in use"), "{message}");
    }
    assert!(controller.said.try_recv().is_err());
}

/// A computer with the lambdas `seconds`, which takes two of them, and `hours`; and its folder.
fn with_long_lambdas(controller: &Controller) -> (Computer, tempfile::TempDir) {
    let container = |name: &str, ops: &str| {
        format!(
            r#"{{"name": "c-{name}", "processor": "cpu", "num-workers": 1, "lambda": {{"name":
            "{name}", "requirements": "proportional", "op-coeff": 0, "op-offset": {ops},
            "mem-coeff": 0, "mem-offset": 1}}}}"#
        )
    };
    let containers = [container("seconds", "2e9"), container("hours", "1e13")];
    let text = format!(
        r#"{{"version": "1.0", "processors": [{{"name": "cpu", "type": "GenericCpu", "speed": 1e9,
        "cores": 2, "memory": 1e9}}], "containers": [{}]}}"#,
        containers.join(", ")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.json");
    std::fs::write(&path, text).unwrap();
    let computer = Computer::start(&[
        &format!("--conf=type=file,path={}", path.display()),
        &format!("--controller-endpoint={}", controller.endpoint),
    ]);
    (computer, folder)
}

/// Somebody who has a request for `lambda` in flight at the computer that the controller knows.
fn peer_of(controller: &Controller, lambda: &str) -> Peer {
    let Said::Announced(info) = controller.next() else {
        panic!("removed before it was announced");
    };
    let mut peer = Peer::connect(&info.edge_server_endpoint);
    peer.send(1, &LambdaRequest::new(lambda, "first"));
    peer.wait_for_pong();
    peer
}

#[test]
fn a_drain_answers_what_is_in_flight_and_turns_away_what_comes_on_old_connections() {
    let controller = Controller::start(free_port());
    let (mut computer, _folder) = with_long_lambdas(&controller);
    let mut peer = peer_of(&controller, "seconds");
    computer.signal("TERM");
    peer.wait_for_goaway();
    // Those who send requests were told first.
    let mut said = controller.said.try_iter();
    assert!(said.any(|said| matches!(said, Said::Removed(_))));

    peer.send(3, &LambdaRequest::new("seconds", "late"));
    let late = peer.answer(3);
    assert_eq!(late.outcome(), Outcome::Overloaded);
    assert!(late.retcode.contains("stopping"), "{}", late.retcode);
    let first = peer.answer(1);
    assert_eq!((first.outcome(), &*first.output), (Outcome::Ok, "first"));
    drop(peer);
    assert_eq!(computer.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let controller = Controller::start(free_port());
    let (mut computer, _folder) = with_long_lambdas(&controller);
    let mut peer = peer_of(&controller, "hours");
    computer.signal("TERM");
    peer.wait_for_goaway();
    computer.signal("TERM");
    computer.wait_for("SIGTERM again: ending at once");
    assert_eq!(computer.wait().code(), Some(1));
}

/// Whether the process `pid` lives.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn real_functions_end_with_the_computer_however_it_ends() {
    for signals in [&["KILL"][..], &["INT", "INT"]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let programs = std::env::var("PATH").unwrap();
        let toml = format!(
            "[computer]
             type = 'runtime'
             [[runtime.lambda]]
             name = 'busy'
             env = {{ PATH = '{programs}' }}
             code = '''function main() {{
               require('fs').writeFileSync('{path}/pid', String(process.pid));
               for (;;);
             }}'''
             [[runtime.lambda]]
             name = 'idle'
             kind = 'command'
             env = {{ PATH = '{programs}' }}
             command = ['sh', '-c', 'echo -n $$ > {path}/pid; exec sleep 1000']"
        );
        let file = folder.path().join("computer.toml");
        std::fs::write(&file, toml).unwrap();
        for lambda in ["busy", "idle"] {
            let controller = Controller::start(free_port());
            let mut computer = Computer::start(&[
                &format!("--conf={}", file.display()),
                &format!("--controller-endpoint={}", controller.endpoint),
            ]);
            let _peer = peer_of(&controller, lambda);
            let told = folder.path().join("pid");
            let deadline = std::time::Instant::now() + PATIENCE;
            let pid = loop {
                let pid = std::fs::read_to_string(&told).unwrap_or_default();
                if !pid.is_empty() {
                    break pid;
                }
                assert!(std::time::Instant::now() < deadline, "it never runs");
                std::thread::sleep(std::time::Duration::from_millis(5));
            };
            for signal in signals {
                computer.signal(signal);
                if *signal == "INT" {
                    // The second one is no use before the first one is heard.
                    computer.wait_for("SIGINT");
                }
            }
            computer.wait();
            while lives(&pid) {
                assert!(std::time::Instant::now() < deadline, "{lambda} lives on");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            std::fs::remove_file(told).unwrap();
        }
    }
}

/// How many files the process `pid` may have open: the soft and the hard limit.
fn open_files(pid: &str) -> Option<(String, String)> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?))
}

#[test]
fn real_functions_may_have_as_many_files_open_as_the_computer_could_before_it_raised_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let programs = std::env::var("PATH").unwrap();
    let toml = format!(
        "[[runtime.lambda]]
         name = 'idle'
         kind = 'command'
         env = {{ PATH = '{programs}' }}
         command = ['sh', '-c', 'echo -n $$ > {path}/new; mv {path}/new {path}/pid; exec sleep 1000']"
    );
    let file = folder.path().join("computer.toml");
    std::fs::write(&file, toml).unwrap();
    let controller = Controller::start(free_port());
    let computer = Computer::start_limited(
        200,
        &[
            "--computer-type=runtime",
            &format!("--conf={}", file.display()),
            &format!("--controller-endpoint={}", controller.endpoint),
        ],
    );
    let _peer = peer_of(&controller, "idle");
    let (soft, hard) = open_files(&computer.child.id().to_string()).unwrap();
    assert_eq!(soft, hard);
    let deadline = std::time::Instant::now() + PATIENCE;
    let function = || {
        let pid = std::fs::read_to_string(folder.path().join("pid")).ok()?;
        open_files(&pid)
    };
    // It may have told its number before it was given its limit.
    while function() != Some(("200".to_owned(), hard.clone())) {
        let now = function();
        assert!(std::time::Instant::now() < deadline, "it has {now:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn the_end_of_a_terminal_lets_real_functions_finish() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    if mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1) {
        // Run by `nohup`, which the computer respects.
        return;
    }
    let controller = Controller::start(free_port());
    let option = format!("--controller-endpoint={}", controller.endpoint);
    let mut computer = Computer::start(&["--computer-type=runtime", &option]);
    controller.next();
    computer.signal("HUP");
    computer.wait_for("draining");
    assert_eq!(computer.wait().code(), Some(0));
}
