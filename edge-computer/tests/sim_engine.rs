//! The simulated computer from outside, on virtual time: conformance rows K2 to K6 and the faults
//! of the C++ reference that must not come back.
//!
//! Row K1 (a completion callback that cannot be called is an error) has no counterpart: there is
//! no callback, completions are returned.

use std::time::Duration;

use edge_computer::sim::{
    BuildError, Completion, Computer, ComputerBuilder, Estimator, Lambda, Loads, Output, Processor,
    ProcessorKind, Requirements, SimTime, SubmitError, TaskId,
};

const SECOND: u64 = 1_000_000_000;

fn cpu(name: &str, speed: f64, cores: u32, memory: u64) -> Processor {
    Processor::new(name, ProcessorKind::GenericCpu, speed, cores, memory).unwrap()
}

fn fixed(name: &str, ops: u64, memory: u64) -> Lambda {
    Lambda::copying(name, Requirements::Fixed { ops, memory })
}

/// Operations are ten times, and memory is the length of the input.
fn sized(name: &str) -> Lambda {
    let requirements = Requirements::Proportional {
        op_coeff: 10.0,
        op_offset: 0.0,
        mem_coeff: 1.0,
        mem_offset: 0.0,
    };
    Lambda::copying(name, requirements)
}

fn single(processor: Processor, lambda: Lambda, workers: u32) -> Computer {
    let mut builder = Computer::builder("computer");
    let name = processor.name().to_owned();
    builder.add_processor(processor).unwrap();
    builder
        .add_container("container", &name, lambda, workers)
        .unwrap();
    builder.build()
}

fn at(nanos: u64) -> SimTime {
    SimTime::from_nanos(nanos)
}

/// Id and instant of all completions, collected one by one when they are due.
fn drain(computer: &mut Computer) -> Vec<(u64, u64)> {
    let mut ends = Vec::new();
    while let Some(due) = computer.next_completion() {
        let done = computer.advance(due);
        assert!(!done.is_empty(), "nothing ended at {due:?}");
        ends.extend(done.iter().map(end));
    }
    ends
}

fn end(completion: &Completion) -> (u64, u64) {
    (completion.id.number(), completion.finished_at.as_nanos())
}

fn builder_with_one_container() -> ComputerBuilder {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("p", 1.0, 1, 1)).unwrap();
    builder
        .add_container("c", "p", fixed("f", 1, 1), 1)
        .unwrap();
    builder
}

#[test]
fn k2_four_distinct_errors() {
    let mut builder = builder_with_one_container();
    assert_eq!(
        builder.add_processor(cpu("p", 2.0, 2, 2)),
        Err(BuildError::DuplicateProcessor("p".into()))
    );
    assert_eq!(
        builder.add_container("c", "p", fixed("g", 1, 1), 1),
        Err(BuildError::DuplicateContainer("c".into()))
    );
    let unknown = builder.add_container("d", "q", fixed("g", 1, 1), 1);
    assert!(matches!(unknown, Err(BuildError::UnknownProcessor { .. })));
    let duplicate = builder.add_container("d", "p", fixed("f", 1, 1), 1);
    assert!(matches!(duplicate, Err(BuildError::DuplicateLambda { .. })));
    let workers = builder.add_container("d", "p", fixed("g", 1, 1), 0);
    assert!(matches!(workers, Err(BuildError::NoWorkers { .. })));
}

#[test]
fn k2_the_name_of_the_container_is_checked_first_then_the_lambda_then_the_processor() {
    let mut builder = builder_with_one_container();
    let all_wrong = builder.add_container("c", "q", fixed("f", 1, 1), 1);
    assert!(matches!(all_wrong, Err(BuildError::DuplicateContainer(_))));
    let two_wrong = builder.add_container("d", "q", fixed("f", 1, 1), 1);
    assert!(matches!(two_wrong, Err(BuildError::DuplicateLambda { .. })));
}

#[test]
fn k3_the_text_dump() {
    let mut builder = Computer::builder("computer0");
    for i in (1..=3).rev() {
        let name = format!("processor{i}");
        builder.add_processor(cpu(&name, 100.0, 1, 1000)).unwrap();
    }
    for prefix in ["b", "a"] {
        for i in (1..=3_u32).rev() {
            let container = format!("{prefix}_container{i}");
            let lambda = fixed(&format!("{prefix}_lambda{i}"), 100, 10);
            builder
                .add_container(&container, &format!("processor{i}"), lambda, i)
                .unwrap();
        }
    }
    let mut computer = builder.build();
    for _ in 0..3 {
        computer.submit(SimTime::ZERO, "a_lambda2", 0).unwrap();
    }
    let expected = "\
computer computer0
processor name processor1, type GenericCpu, 1 cores, speed 100 operations/s per core, memory total/available/used 1000/1000/0 bytes, 0 running tasks
processor name processor2, type GenericCpu, 1 cores, speed 100 operations/s per core, memory total/available/used 1000/980/20 bytes, 2 running tasks
processor name processor3, type GenericCpu, 1 cores, speed 100 operations/s per core, memory total/available/used 1000/1000/0 bytes, 0 running tasks
container name a_container1, lambda name a_lambda1, num-workers 1, active 0, pending 0
container name a_container2, lambda name a_lambda2, num-workers 2, active 2, pending 1
container name a_container3, lambda name a_lambda3, num-workers 3, active 0, pending 0
container name b_container1, lambda name b_lambda1, num-workers 1, active 0, pending 0
container name b_container2, lambda name b_lambda2, num-workers 2, active 0, pending 0
container name b_container3, lambda name b_lambda3, num-workers 3, active 0, pending 0
";
    assert_eq!(computer.to_string(), expected);
}

#[test]
fn k4_one_task_takes_its_operations_over_the_speed() {
    let mut computer = single(cpu("cpu", 100.0, 1, 1000), fixed("f", 10, 1), 1);
    let id = computer.submit(SimTime::ZERO, "f", 0).unwrap();
    assert!(computer.advance(at(SECOND / 10 - 1)).is_empty());
    let done = computer.advance(at(SECOND / 10));
    let expected = Completion {
        id,
        lambda: "f".into(),
        finished_at: at(SECOND / 10),
        queued_for: Duration::ZERO,
        service: Duration::from_millis(100),
        loads: Loads::default(),
        output: Output::CopyInput,
    };
    assert_eq!(done, [expected]);
    assert_eq!(id.number(), 0);
}

#[test]
fn k5_ten_tasks_take_a_second_however_many_workers_share_the_core() {
    for (workers, first_end) in [(1, 100), (5, 500), (100, 1000)] {
        let mut computer = single(cpu("cpu", 100.0, 1, 1000), fixed("f", 10, 1), workers);
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
        drain(&mut computer);
        let start = at(SECOND);
        for _ in 0..10 {
            computer.submit(start, "f", 0).unwrap();
        }
        let ends = drain(&mut computer);
        let ids: Vec<u64> = ends.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, Vec::from_iter(1..=10), "{workers} workers");
        assert_eq!(ends[0].1, SECOND + first_end * SECOND / 1000);
        assert_eq!(ends[9].1, 2 * SECOND, "{workers} workers");
    }
}

#[test]
fn k6_processors_work_side_by_side() {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("cpu", 100.0, 1, 1000)).unwrap();
    builder.add_processor(cpu("gpu", 1000.0, 1, 1000)).unwrap();
    let mut add = |container, processor, lambda| {
        builder
            .add_container(container, processor, lambda, 10)
            .unwrap();
    };
    add("c", "cpu", fixed("lambda", 10, 1));
    add("s", "gpu", fixed("simple", 10, 1));
    add("x", "gpu", fixed("complex", 1000, 1));
    let mut computer = builder.build();
    for lambda in ["lambda", "lambda", "simple", "simple", "complex"] {
        computer.submit(SimTime::ZERO, lambda, 0).unwrap();
    }
    // Three tasks share the gpu: 30 ms for 10 operations each; 990 of the last one remain.
    let milli = SECOND / 1000;
    let expected = [
        (2, 30 * milli),
        (3, 30 * milli),
        (0, 200 * milli),
        (1, 200 * milli),
        (4, 1020 * milli),
    ];
    assert_eq!(drain(&mut computer), expected);
}

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

#[test]
fn the_queue_is_bounded() {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("cpu", 10.0, 1, 100)).unwrap();
    builder
        .add_container("c", "cpu", fixed("f", 10, 1), 1)
        .unwrap();
    builder.max_pending(2);
    let mut computer = builder.build();
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
    let large = computer.submit(SimTime::ZERO, "f", 50).unwrap();
    computer.submit(SimTime::ZERO, "f", 41).unwrap();
    assert!(computer.cancel(SimTime::ZERO, large));
    assert_eq!(computer.status("f").unwrap().active, 1);
    let small = computer.submit(SimTime::ZERO, "f", 40).unwrap();
    assert_eq!(computer.status("f").unwrap().active, 2);
    assert!(computer.cancel(SimTime::ZERO, small));
    assert!(!computer.cancel(SimTime::ZERO, large));
    assert_eq!(computer.processors().next().unwrap().memory_used, 60);
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
