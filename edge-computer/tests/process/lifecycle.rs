//! From the first announcement to the last signal.

use std::net::TcpListener;

use edge_transport::{Endpoint, Listener};

use crate::support::{Computer, Controller, Said, free_port, output, text, with_own_ports};

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
