//! What a computer tells of itself: utilisation, estimates, containers.

use edge_computer::sim::{Estimator, Loads, SimTime};

use crate::support::{SECOND, at, builder_with_one_container, cpu, fixed, single};

#[test]
fn utilization_counts_busy_cores_and_reaches_the_tasks() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 1, 1), 20);
    assert_eq!(computer.loads("f"), Loads::default());
    for _ in 0..5 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    let sample = computer.sample_utilization(at(SECOND));
    assert_eq!(
        sample.into_iter().collect::<Vec<_>>(),
        [("cpu".into(), 0.5)]
    );
    computer.sample_utilization(at(2 * SECOND));
    computer.submit(at(2 * SECOND), "f", 0).unwrap();
    let expected = Loads {
        load1: 0.0,
        load10: 0.25,
        load30: 0.25,
    };
    let done = computer.advance(at(3 * SECOND));
    assert_eq!(done.last().unwrap().loads, expected);
    assert_eq!(computer.loads("f"), expected);
    let estimate = computer.estimate(at(3 * SECOND), "f", 0, Estimator::Exact);
    assert_eq!(estimate.unwrap().loads, expected);
    assert_eq!(computer.loads("g"), Loads::default());
}

#[test]
fn containers_are_announced_with_their_workers() {
    let computer = builder_with_one_container().build();
    let container = computer.containers().next().unwrap();
    assert_eq!((container.name, container.processor), ("c", "p"));
    assert_eq!((container.lambda, container.num_workers), ("f", 1));
}

#[test]
fn an_estimate_says_how_much_of_it_is_waiting() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 60), 2);
    for _ in 0..2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    // One runs and one waits for its memory.
    let estimate = computer.estimate(at(SECOND / 2), "f", 0, Estimator::Exact);
    let estimate = estimate.unwrap();
    assert_eq!(estimate.wait_seconds, 1.5);
    assert_eq!(estimate.service_seconds, 1.0);
    // The reference's formula knows nothing of memory.
    let legacy = computer.estimate(at(SECOND / 2), "f", 0, Estimator::Legacy);
    let legacy = legacy.unwrap();
    assert_eq!((legacy.wait_seconds, legacy.service_seconds), (1.0, 2.0));
}
