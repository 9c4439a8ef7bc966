//! Conformance rows K2 to K6, on virtual time.
//!
//! Row K1 (a completion callback that cannot be called is an error) has no counterpart: there is
//! no callback, completions are returned.

use std::time::Duration;

use edge_computer::sim::{BuildError, Completion, Computer, Loads, Output, SimTime};

use crate::support::{SECOND, at, builder_with_one_container, cpu, drain, fixed, single};

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
