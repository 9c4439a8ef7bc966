//! Rows C1 to C10 of the conformance table, on the engine itself.
//!
//! The container of the C++ reference is driven by hand: `pop` takes the first task out, whatever
//! is left of it. Its counterpart here is [`Station::complete_next`], which moves on to the end of
//! that task, so that what was left of it is what the work clock moves by. The reference's
//! `advance(-1)` has no counterpart, since time is unsigned; a time that goes back is.

use super::super::estimate::{Estimator, estimate};
use super::super::lambda::Lambda;
use super::super::processor::ProcessorKind;
use super::super::requirements::Requirements;
use super::super::time::SimTime;
use super::*;

struct Bench {
    station: Station,
    now: SimTime,
    pushed: u64,
}

impl Bench {
    /// One container on a processor of speed 42 with one core.
    fn new(workers: u32, memory: u64, requirements: Requirements) -> Self {
        let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 42.0, 1, memory).unwrap();
        let mut station = Station::new(cpu);
        let lambda = Lambda::copying("f", requirements);
        station.add_container(Container::new("c", lambda, workers));
        Bench {
            station,
            now: SimTime::ZERO,
            pushed: 0,
        }
    }

    fn demand(&self, bytes: usize) -> Demand {
        self.station.container(0).lambda.requirements.demand(bytes)
    }

    fn push(&mut self, bytes: usize) {
        let task = Task {
            id: TaskId::new(self.pushed),
            container: 0,
            demand: self.demand(bytes),
            submitted_at: self.now,
            loads: Loads::default(),
        };
        self.pushed += 1;
        self.station.push(self.now.into(), task);
    }

    /// Ends the first task; returns its id and the operations that were left of it.
    fn pop(&mut self) -> (u64, f64) {
        let before = self.station.work;
        let finished = self.station.complete_next().unwrap();
        self.now = self.now.max(finished.finished_at.nearest());
        let left = self.station.work.ops_since(before);
        (finished.task.id.number(), left)
    }

    fn nearest(&self) -> f64 {
        let due = self.station.due().unwrap();
        due.since(self.station.settled_at)
    }

    fn counts(&self) -> (u32, usize) {
        let container = self.station.container(0);
        (container.active, container.pending.len())
    }

    fn estimate(&self, bytes: usize, estimator: Estimator) -> f64 {
        let demand = self.demand(bytes);
        estimate(&self.station, self.now, 0, demand, estimator).seconds()
    }
}

fn one_op() -> Bench {
    Bench::new(5, 100, Requirements::Fixed { ops: 1, memory: 1 })
}

fn memory_bound() -> Bench {
    let requirements = Requirements::Proportional {
        op_coeff: 10.0,
        op_offset: 0.0,
        mem_coeff: 10.0,
        mem_offset: 0.0,
    };
    let mut bench = Bench::new(10, 100, requirements);
    for size in [1, 2, 3, 3] {
        bench.push(size);
    }
    bench
}

fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
}

#[test]
fn c1_the_nearest_end_follows_the_number_of_active_tasks() {
    let mut bench = one_op();
    for k in 1..=10_u32 {
        bench.push(10);
        let active = k.min(5);
        assert_eq!(bench.counts(), (active, (k - active) as usize));
        assert_close(bench.nearest(), f64::from(active) / 42.0);
    }
}

#[test]
fn c2_tasks_end_in_order_and_each_holds_its_own_memory() {
    let mut bench = one_op();
    for _ in 0..10 {
        bench.push(10);
    }
    for id in 0..10 {
        assert_eq!(bench.station.processor().memory_used(), 5.min(10 - id));
        let left = if id == 0 || id == 5 { 1.0 } else { 0.0 };
        assert_eq!(bench.pop(), (id, left));
    }
    assert_eq!(bench.counts(), (0, 0));
    assert!(bench.station.complete_next().is_none());
}

/// The speed of each of `tasks` tasks, rounded to single precision as in the reference.
fn single_precision_rate(tasks: u8) -> f64 {
    f64::from(42.0_f32 / f32::from(tasks))
}

#[test]
fn c3_the_legacy_estimate_of_an_idle_container_is_the_service_time() {
    assert_eq!(one_op().estimate(10, Estimator::Legacy), 1.0 / 42.0);
}

#[test]
fn c4_the_legacy_estimate_adds_up_the_queue_to_the_last_bit() {
    let mut bench = one_op();
    for i in 0..10_u8 {
        bench.push(10);
        let actual = bench.estimate(10, Estimator::Legacy);
        let terms = if i < 4 { 1 } else { i - 2 };
        let sharing = if i < 4 { i + 2 } else { 5 };
        let expected = (0..terms).fold(0.0, |sum, _| sum + 1.0 / single_precision_rate(sharing));
        assert_eq!(actual.to_bits(), expected.to_bits(), "push {i}");
        let ideal = f64::from(sharing) * f64::from(terms) / 42.0;
        assert!((actual - ideal).abs() < 1e-7, "push {i}: {actual} {ideal}");
    }
    let last = bench.estimate(10, Estimator::Legacy);
    assert!((last - 35.0 / 42.0).abs() < 1e-7);
}

#[test]
fn c4_the_exact_estimate_lets_all_workers_drain_the_queue() {
    let mut bench = one_op();
    for i in 0..10_u8 {
        bench.push(10);
        assert_close(
            bench.estimate(10, Estimator::Exact),
            f64::from(i + 2) / 42.0,
        );
    }
}

#[test]
fn c5_tasks_start_while_memory_lasts() {
    assert_eq!(memory_bound().counts(), (4, 0));
}

#[test]
fn c6_a_small_task_starts_while_a_larger_one_waits_for_memory() {
    let mut bench = memory_bound();
    bench.push(3);
    assert_eq!(bench.counts(), (4, 1));
    bench.push(1);
    assert_eq!(bench.counts(), (5, 1));
    bench.push(1);
    assert_eq!(bench.counts(), (5, 2));
}

#[test]
fn c7_c8_c9_memory_is_freed_and_the_queue_moves_in_order() {
    let mut bench = memory_bound();
    for size in [3, 1, 1] {
        bench.push(size);
    }
    assert_close(bench.nearest(), 10.0 / (42.0 / 5.0));
    assert_eq!(bench.pop(), (0, 10.0));
    assert_eq!(bench.counts(), (4, 2));
    assert_eq!(bench.station.processor().memory_free(), 10);

    assert_eq!(bench.nearest(), 0.0);
    assert_eq!(bench.pop(), (5, 0.0));
    assert_eq!(bench.counts(), (3, 2));
    assert_eq!(bench.station.processor().memory_free(), 20);

    let rate = 42.0 / 3.0;
    assert_close(bench.nearest(), 10.0 / rate);
    for left in [5.0, 0.0] {
        let later = bench.station.settled_at.after(5.0 / rate);
        bench.station.settle(later);
        assert_close(bench.nearest(), left / rate);
    }
    let (id, _) = bench.pop();
    assert_eq!(id, 1);
    assert_eq!(bench.counts(), (4, 0));
    assert_eq!(bench.station.processor().memory_free(), 0);
}

#[test]
fn c10_time_passes_on_an_idle_processor_and_never_goes_back() {
    let mut bench = one_op();
    let second = |n: u64| Moment::from(SimTime::from_nanos(n * 1_000_000_000));
    bench.station.settle(second(0));
    bench.station.settle(second(1));
    assert_eq!(bench.station.work, Work::default());
    assert_eq!(bench.station.settled_at, second(1));
    bench.station.settle(second(0));
    assert_eq!(bench.station.settled_at, second(1));
}

#[test]
fn the_work_clock_stops_at_the_end_of_the_first_task() {
    let mut bench = one_op();
    bench.push(10);
    bench.station.settle(bench.station.settled_at.after(3600.0));
    assert_eq!(bench.nearest(), 0.0);
    assert_eq!(bench.station.work, Work::default().after_ops(1));
}
