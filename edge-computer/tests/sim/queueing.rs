//! Who runs, who waits and when they end, and the faults of the C++ reference that must not come
//! back.

use std::time::Duration;

use edge_computer::sim::{Computer, Estimator, SimTime, SubmitError, TaskId};

use crate::support::{SECOND, at, cpu, drain, end, fixed, single, sized};

#[test]
fn two_tasks_of_different_size_share_one_core() {
    let mut computer = single(cpu("cpu", 10.0, 1, 1000), sized("f"), 2);
    computer.submit(SimTime::ZERO, "f", 1).unwrap();
    computer.submit(SimTime::ZERO, "f", 3).unwrap();
    assert_eq!(drain(&mut computer), [(0, 2 * SECOND), (1, 4 * SECOND)]);
}

#[test]
fn two_tasks_have_a_core_each() {
    let mut computer = single(cpu("cpu", 10.0, 2, 1000), sized("f"), 2);
    computer.submit(SimTime::ZERO, "f", 1).unwrap();
    computer.submit(SimTime::ZERO, "f", 3).unwrap();
    assert_eq!(drain(&mut computer), [(0, SECOND), (1, 3 * SECOND)]);
}

#[test]
fn three_tasks_on_two_workers_and_one_core() {
    let mut computer = single(cpu("cpu", 10.0, 1, 1000), sized("f"), 2);
    for _ in 0..3 {
        computer.submit(SimTime::ZERO, "f", 1).unwrap();
    }
    let done = computer.advance(at(10 * SECOND));
    let ends: Vec<_> = done.iter().map(end).collect();
    assert_eq!(ends, [(0, 2 * SECOND), (1, 2 * SECOND), (2, 3 * SECOND)]);
    assert_eq!(done[2].queued_for, Duration::from_secs(2));
    assert_eq!(done[2].service, Duration::from_secs(1));
}

#[test]
fn a_task_without_operations_ends_at_once() {
    let mut computer = single(cpu("cpu", 10.0, 1, 1000), sized("f"), 1);
    let now = at(7);
    for estimator in [Estimator::Legacy, Estimator::Exact] {
        let estimate = computer.estimate(now, "f", 0, estimator).unwrap();
        assert_eq!(estimate.seconds(), 0.0);
    }
    computer.submit(now, "f", 0).unwrap();
    computer.submit(now, "f", 0).unwrap();
    assert_eq!(computer.next_completion(), Some(now));
    let done = computer.advance(now);
    assert_eq!(done.iter().map(end).collect::<Vec<_>>(), [(0, 7), (1, 7)]);
    assert_eq!(computer.next_completion(), None);
}

fn two_lambdas_of_80_bytes_on_100() -> Computer {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("cpu", 10.0, 1, 100)).unwrap();
    builder
        .add_container("ca", "cpu", fixed("a", 10, 80), 2)
        .unwrap();
    builder
        .add_container("cb", "cpu", fixed("b", 10, 80), 2)
        .unwrap();
    builder.build()
}

#[test]
fn v20_memory_freed_by_one_container_lets_another_start() {
    let mut computer = two_lambdas_of_80_bytes_on_100();
    computer.submit(SimTime::ZERO, "a", 0).unwrap();
    computer.submit(SimTime::ZERO, "b", 0).unwrap();
    assert_eq!(computer.status("b").unwrap().pending, 1);
    assert_eq!(drain(&mut computer), [(0, SECOND), (1, 2 * SECOND)]);
}

#[test]
fn v20_containers_that_wait_for_memory_start_in_the_order_of_arrival() {
    let mut computer = two_lambdas_of_80_bytes_on_100();
    for lambda in ["b", "b", "a", "b", "a"] {
        computer.submit(SimTime::ZERO, lambda, 0).unwrap();
    }
    let ids: Vec<u64> = drain(&mut computer).iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
}

#[test]
fn v21_a_refused_task_leaves_no_trace() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), sized("f"), 1);
    computer.submit(SimTime::ZERO, "f", 1).unwrap();
    for i in 1..=5 {
        let refused = computer.submit(at(i * SECOND / 10), "f", 101);
        let expected = SubmitError::TooLarge {
            lambda: "f".into(),
            needed: 101,
            processor: "cpu".into(),
            total: 100,
        };
        assert_eq!(refused, Err(expected));
    }
    let unknown = computer.submit(at(SECOND / 2), "g", 1).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "No container for lambda g found in computer computer"
    );
    assert_eq!(computer.submit(at(SECOND / 2), "f", 1).unwrap().number(), 1);
    assert_eq!(drain(&mut computer), [(0, SECOND), (1, 2 * SECOND)]);
}

fn bounded(max_pending: usize) -> Computer {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("cpu", 10.0, 1, 100)).unwrap();
    builder
        .add_container("c", "cpu", fixed("f", 10, 1), 1)
        .unwrap();
    builder.max_pending(max_pending);
    builder.build()
}

#[test]
fn the_queue_is_bounded() {
    let mut computer = bounded(2);
    let ids: Vec<TaskId> = (0..3)
        .map(|_| computer.submit(SimTime::ZERO, "f", 0).unwrap())
        .collect();
    let full = SubmitError::QueueFull {
        lambda: "f".into(),
        max_pending: 2,
    };
    assert_eq!(computer.submit(SimTime::ZERO, "f", 0), Err(full.clone()));
    let estimate = computer.estimate(SimTime::ZERO, "f", 0, Estimator::Legacy);
    assert_eq!(estimate, Err(full));
    assert!(computer.cancel(SimTime::ZERO, ids[1]));
    assert!(computer.submit(SimTime::ZERO, "f", 0).is_ok());
}

#[test]
fn what_starts_at_once_needs_no_room_in_the_queue() {
    let mut computer = bounded(0);
    assert!(computer.submit(SimTime::ZERO, "f", 0).is_ok());
    assert!(computer.submit(SimTime::ZERO, "f", 0).is_err());
    assert!(computer.submit(at(SECOND), "f", 0).is_ok());
}

#[test]
fn a_cancelled_task_makes_room_for_the_others() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 2);
    let ids: Vec<TaskId> = (0..4)
        .map(|_| computer.submit(SimTime::ZERO, "f", 0).unwrap())
        .collect();
    assert!(computer.cancel(at(SECOND), ids[0]));
    assert!(computer.cancel(at(SECOND), ids[2]));
    assert!(!computer.cancel(at(SECOND), ids[2]));
    let status = computer.status("f").unwrap();
    assert_eq!((status.active, status.pending), (2, 0));
    // Half of task 1 was done in the first second; it shares the core with task 3 from then on.
    assert_eq!(drain(&mut computer), [(1, 2 * SECOND), (3, 5 * SECOND / 2)]);
    assert!(!computer.cancel(at(9 * SECOND), ids[1]));
}

#[test]
fn a_cancelled_head_lets_those_behind_it_start() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), sized("f"), 5);
    computer.submit(SimTime::ZERO, "f", 60).unwrap();
    let short = computer.submit(SimTime::ZERO, "f", 40).unwrap();
    let large = computer.submit(SimTime::ZERO, "f", 70).unwrap();
    let small = computer.submit(SimTime::ZERO, "f", 30).unwrap();
    assert!(computer.cancel(SimTime::ZERO, short));
    let status = computer.status("f").unwrap();
    assert_eq!((status.active, status.pending), (1, 2));
    assert!(computer.cancel(SimTime::ZERO, large));
    let status = computer.status("f").unwrap();
    assert_eq!((status.active, status.pending), (2, 0));
    assert!(computer.cancel(SimTime::ZERO, small));
    assert!(!computer.cancel(SimTime::ZERO, large));
    assert_eq!(computer.processors().next().unwrap().memory_used, 60);
}

#[test]
fn a_head_that_was_overtaken_waits_for_a_worker_too() {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("cpu", 10.0, 1, 100)).unwrap();
    builder.add_container("cf", "cpu", sized("f"), 2).unwrap();
    builder.add_container("cg", "cpu", sized("g"), 1).unwrap();
    let mut computer = builder.build();
    let other = computer.submit(SimTime::ZERO, "g", 40).unwrap();
    for bytes in [30, 50, 20] {
        computer.submit(SimTime::ZERO, "f", bytes).unwrap();
    }
    assert!(computer.cancel(SimTime::ZERO, other));
    let status = computer.status("f").unwrap();
    assert_eq!((status.active, status.pending), (2, 1));
}

#[test]
fn completions_found_by_other_calls_are_not_lost() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    let first = computer.submit(SimTime::ZERO, "f", 0).unwrap();
    computer.submit(at(3 * SECOND), "f", 0).unwrap();
    assert_eq!(computer.next_completion(), Some(at(SECOND)));
    assert!(!computer.cancel(at(3 * SECOND), first));
    computer.sample_utilization(at(10 * SECOND));
    let done = computer.advance(at(10 * SECOND));
    let ends: Vec<_> = done.iter().map(end).collect();
    assert_eq!(ends, [(0, SECOND), (1, 4 * SECOND)]);
    assert!(computer.advance(at(10 * SECOND)).is_empty());
}

#[test]
fn a_time_that_goes_back_counts_as_the_latest() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    assert!(computer.advance(at(5 * SECOND)).is_empty());
    computer.submit(at(SECOND), "f", 0).unwrap();
    assert_eq!(drain(&mut computer), [(0, 6 * SECOND)]);
}

#[test]
fn a_long_busy_period_does_not_drift() {
    // A third of a nanosecond is lost or won by rounding each task alone.
    let mut computer = single(cpu("cpu", 3e9, 1, 100), fixed("f", 10, 0), 1);
    let tasks = 9_000;
    for _ in 0..tasks {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    let done = computer.advance(at(SECOND));
    assert_eq!(done.len(), tasks);
    assert_eq!(done[tasks - 1].finished_at, at(30_000));
    let service: Duration = done.iter().map(|completion| completion.service).sum();
    assert_eq!(service, Duration::from_nanos(30_000));
}
