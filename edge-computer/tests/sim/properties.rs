//! Properties of the simulated computer under random load, and against a naive model of it.

use std::time::Duration;

use edge_computer::sim::{
    Completion, Computer, Estimator, Forecast, Horizon, Lambda, Processor, ProcessorKind,
    Requirements, SimTime, TaskId,
};
use proptest::prelude::*;

use crate::naive::Naive;

const SPEED: f64 = 1000.0;
const MEMORY: u64 = 100;

/// Operations are `op_coeff` times, memory is the length of the input.
fn lambda(name: &str, op_coeff: f32, mem_coeff: f32) -> Lambda {
    let requirements = Requirements::Proportional {
        op_coeff,
        op_offset: 0.0,
        mem_coeff,
        mem_offset: 0.0,
    };
    Lambda::copying(name, requirements)
}

fn computer(cores: u32, workers: &[u32], mem_coeff: f32) -> Computer {
    let mut builder = Computer::builder("computer");
    let kind = ProcessorKind::GenericCpu;
    builder
        .add_processor(Processor::new("p", kind, SPEED, cores, MEMORY).unwrap())
        .unwrap();
    builder
        .add_processor(Processor::new("q", kind, SPEED * 3.0, 1, MEMORY).unwrap())
        .unwrap();
    for (i, &workers) in workers.iter().enumerate() {
        let name = format!("f{i}");
        let served = lambda(&name, 7.0, mem_coeff);
        builder.add_container(&name, "p", served, workers).unwrap();
    }
    let served = lambda("g", 11.0, mem_coeff);
    builder.add_container("g", "q", served, 2).unwrap();
    builder.build()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Submit to one of the lambdas.
    Submit { lambda: usize, bytes: usize },
    /// Cancel one of the tasks so far.
    Cancel { choice: usize },
}

const LAMBDAS: [&str; 4] = ["f0", "f1", "f2", "g"];

/// Steps, each some microseconds after the one before; often none.
fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let submit = (0..LAMBDAS.len(), 0..=MEMORY as usize)
        .prop_map(|(lambda, bytes)| Step::Submit { lambda, bytes });
    let cancel = (0..1000_usize).prop_map(|choice| Step::Cancel { choice });
    let gap = prop_oneof![Just(0), 0..1_000_000_000_u64];
    let step = prop_oneof![4 => submit, 1 => cancel];
    prop::collection::vec((gap, step), 1..60)
}

fn apply(computer: &mut Computer, now: SimTime, step: Step, ids: &mut Vec<TaskId>) {
    match step {
        Step::Submit { lambda, bytes } => {
            ids.push(computer.submit(now, LAMBDAS[lambda], bytes).unwrap());
        }
        Step::Cancel { choice } => {
            if !ids.is_empty() {
                computer.cancel(now, ids[choice % ids.len()]);
            }
        }
    }
}

fn memory_used(computer: &Computer) -> Vec<u64> {
    computer.processors().map(|p| p.memory_used).collect()
}

const LATE: SimTime = SimTime::from_nanos(u64::MAX / 2);

/// Runs the steps on processors of which each byte takes `mem_coeff` bytes.
fn run_with(steps: &[(u64, Step)], mem_coeff: f32) -> Computer {
    let mut computer = computer(2, &[1, 2, 5], mem_coeff);
    let mut ids = Vec::new();
    let mut now = SimTime::ZERO;
    for &(gap, step) in steps {
        now = now + Duration::from_nanos(gap);
        apply(&mut computer, now, step, &mut ids);
    }
    computer
}

/// Runs the steps and collects completions only where `collect` says so, and at the end.
fn run(steps: &[(u64, Step)], mut collect: impl FnMut(&mut Computer, SimTime)) -> Computer {
    let mut computer = computer(2, &[1, 2, 5], 1.0);
    let mut ids = Vec::new();
    let mut now = SimTime::ZERO;
    for &(gap, step) in steps {
        now = now + Duration::from_nanos(gap);
        collect(&mut computer, now);
        apply(&mut computer, now, step, &mut ids);
        assert!(memory_used(&computer).iter().all(|&used| used <= MEMORY));
        for lambda in LAMBDAS {
            let status = computer.status(lambda).unwrap();
            assert!(status.active <= status.workers);
        }
    }
    computer
}

proptest! {
    #[test]
    fn late_wake_ups_change_nothing(steps in steps()) {
        let mut punctual = Vec::new();
        let mut computer = run(&steps, |computer, now| {
            while let Some(due) = computer.next_completion().filter(|due| *due <= now) {
                let done = computer.advance(due);
                assert_all_at(&done, due);
                punctual.extend(done);
            }
        });
        while let Some(due) = computer.next_completion() {
            punctual.extend(computer.advance(due));
        }
        let late = run(&steps, |_, _| ()).advance(LATE);
        let mut fussy = Vec::new();
        let mut computer = run(&steps, |computer, now| fussy.extend(computer.advance(now)));
        fussy.extend(computer.advance(LATE));
        prop_assert_eq!(&late, &punctual);
        prop_assert_eq!(&late, &fussy);
        prop_assert!(late.is_sorted_by_key(|completion| completion.finished_at));
    }

    #[test]
    fn all_memory_is_given_back(steps in steps()) {
        let mut computer = run(&steps, |_, _| ());
        computer.advance(LATE);
        prop_assert_eq!(memory_used(&computer), [0, 0]);
        for lambda in LAMBDAS {
            let status = computer.status(lambda).unwrap();
            prop_assert_eq!((status.active, status.pending), (0, 0));
        }
        prop_assert_eq!(computer.next_completion(), None);
    }

    #[test]
    fn every_task_ends_once_or_is_cancelled(steps in steps()) {
        let mut computer = computer(2, &[1, 2, 5], 1.0);
        let mut ids = Vec::new();
        let mut cancelled = Vec::new();
        let mut now = SimTime::ZERO;
        for (gap, step) in steps {
            now = now + Duration::from_nanos(gap);
            if let Step::Cancel { choice } = step && !ids.is_empty() {
                let id = ids[choice % ids.len()];
                if computer.cancel(now, id) {
                    cancelled.push(id);
                }
            } else if matches!(step, Step::Submit { .. }) {
                apply(&mut computer, now, step, &mut ids);
            }
        }
        let done = computer.advance(LATE);
        let mut seen: Vec<TaskId> = done.iter().map(|completion| completion.id).collect();
        seen.extend(cancelled);
        seen.sort();
        prop_assert_eq!(seen, ids);
    }

    #[test]
    fn a_busy_core_loses_no_work(sizes in prop::collection::vec(0..500_usize, 1..50), workers in 1..6_u32) {
        let mut computer = computer(1, &[workers], 0.0);
        for &bytes in &sizes {
            computer.submit(SimTime::ZERO, "f0", bytes).unwrap();
        }
        let done = computer.advance(LATE);
        let ops: usize = sizes.iter().map(|bytes| 7 * bytes).sum();
        let total = Duration::from_millis(ops as u64);
        prop_assert_eq!(done.last().unwrap().finished_at, SimTime::from(total));
        if workers == 1 {
            prop_assert_eq!(done.iter().map(|c| c.service).sum::<Duration>(), total);
        }
    }

    #[test]
    fn tasks_of_a_container_start_in_order(sizes in prop::collection::vec(0..500_usize, 1..50), workers in 1..6_u32) {
        let mut computer = computer(2, &[workers], 0.0);
        for &bytes in &sizes {
            computer.submit(SimTime::ZERO, "f0", bytes).unwrap();
        }
        let mut done = computer.advance(LATE);
        if workers == 1 {
            prop_assert!(done.is_sorted_by_key(|completion| completion.id));
        }
        done.sort_by_key(|completion| completion.id);
        prop_assert!(done.is_sorted_by_key(|completion| completion.queued_for));
    }

    #[test]
    fn the_exact_estimate_comes_true(steps in steps(), lambda in 0..LAMBDAS.len(), bytes in 0..=MEMORY as usize) {
        let mut computer = run(&steps, |_, _| ());
        let now = SimTime::from_nanos(steps.iter().map(|(gap, _)| gap).sum());
        let estimate = computer.estimate(now, LAMBDAS[lambda], bytes, Estimator::Exact).unwrap();
        let id = computer.submit(now, LAMBDAS[lambda], bytes).unwrap();
        let done = computer.advance(LATE);
        let completion = done.iter().find(|completion| completion.id == id).unwrap();
        let wait = completion.queued_for.as_secs_f64();
        let service = completion.service.as_secs_f64();
        prop_assert!((estimate.wait_seconds - wait).abs() < 2e-9, "{:?} {}", estimate, wait);
        prop_assert!((estimate.service_seconds - service).abs() < 2e-9, "{:?} {}", estimate, service);
    }

    #[test]
    fn the_bounds_hold_what_comes_true(steps in steps(), lambda in 0..LAMBDAS.len(), bytes in 0..=20_usize) {
        // Little memory per byte, so that it suffices now and then.
        let mut computer = run_with(&steps, 0.02);
        let now = SimTime::from_nanos(steps.iter().map(|(gap, _)| gap).sum());
        let bounds = computer.bounds(now, LAMBDAS[lambda], bytes).unwrap();
        let exact = computer.forecast(now, LAMBDAS[lambda], bytes, Horizon::UNBOUNDED).unwrap();
        prop_assert!(exact.wait <= bounds.wait_at_most + 2e-9, "{:?} {:?}", exact, bounds);
        prop_assert!(exact.service <= bounds.service_at_most + 2e-9, "{:?} {:?}", exact, bounds);
        prop_assert!(exact.service >= bounds.service_at_least - 2e-9, "{:?} {:?}", exact, bounds);
        prop_assert!(exact.room <= exact.wait);
        let status = computer.status(LAMBDAS[lambda]).unwrap();
        prop_assert_eq!(bounds.idle_worker, status.active < status.workers);
    }

    #[test]
    fn a_horizon_in_time_decides_as_an_exact_forecast_does(
        steps in steps(),
        lambda in 0..LAMBDAS.len(),
        start in 0.0..20.0_f64,
        end in 0.0..20.0_f64,
    ) {
        let mut computer = run(&steps, |_, _| ());
        let now = SimTime::from_nanos(steps.iter().map(|(gap, _)| gap).sum());
        let exact = computer.forecast(now, LAMBDAS[lambda], 5, Horizon::UNBOUNDED).unwrap();
        let horizon = Horizon { start, end, ..Horizon::UNBOUNDED };
        let limited = computer.forecast(now, LAMBDAS[lambda], 5, horizon).unwrap();
        let in_time = |forecast: Forecast| {
            forecast.wait <= start && forecast.wait + forecast.service <= end
        };
        prop_assert_eq!(in_time(limited), in_time(exact), "{:?} {:?}", limited, exact);
        if in_time(exact) {
            prop_assert_eq!(limited, exact);
        }
    }

    #[test]
    fn completions_agree_with_a_naive_model(
        arrivals in prop::collection::vec((0..2_000_000_000_u64, 0..3_usize, 0..300_usize), 1..40),
        cores in 1..4_u32,
    ) {
        let workers = [1, 2, 5];
        let mut computer = computer(cores, &workers, 0.0);
        let mut now = 0;
        let mut model = Naive::new(SPEED, cores, &workers);
        for (i, &(gap, lambda, bytes)) in arrivals.iter().enumerate() {
            now += gap;
            computer.submit(SimTime::from_nanos(now), LAMBDAS[lambda], bytes).unwrap();
            model.run_until(now as f64 / 1e9);
            model.submit(i, lambda, 7.0 * bytes as f64);
        }
        model.run_until(f64::INFINITY);
        for completion in computer.advance(LATE) {
            let expected = model.ends[completion.id.number() as usize];
            let actual = completion.finished_at.as_nanos() as f64 / 1e9;
            prop_assert!((actual - expected).abs() < 1e-6, "{} {}", actual, expected);
        }
        prop_assert_eq!(model.ends.len(), arrivals.len());
    }
}

fn assert_all_at(done: &[Completion], due: SimTime) {
    assert!(!done.is_empty());
    assert!(done.iter().all(|completion| completion.finished_at == due));
}
