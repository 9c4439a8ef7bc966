//! A processor that changes its speed while it works.

use edge_computer::sim::{Estimator, SetSpeedError, SimTime};

use crate::support::{SECOND, at, cpu, drain, fixed, single};

#[test]
fn what_was_done_before_a_change_of_speed_stays_done() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 20, 1), 1);
    computer.submit(SimTime::ZERO, "f", 0).unwrap();
    // Half of it is done after one second; the other half takes ten times as long.
    computer.set_speed(at(SECOND), "cpu", 1.0).unwrap();
    assert_eq!(computer.next_completion(), Some(at(11 * SECOND)));
    // Half of the rest at the slow speed, the other half ten times faster.
    computer.set_speed(at(6 * SECOND), "cpu", 10.0).unwrap();
    assert_eq!(drain(&mut computer), [(0, 6 * SECOND + SECOND / 2)]);
}

#[test]
fn waiting_tasks_and_estimates_go_by_the_new_speed() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    for _ in 0..2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    computer.set_speed(SimTime::ZERO, "cpu", 5.0).unwrap();
    let estimate = computer.estimate(SimTime::ZERO, "f", 0, Estimator::Exact);
    assert_eq!(estimate.unwrap().seconds(), 6.0);
    assert_eq!(drain(&mut computer), [(0, 2 * SECOND), (1, 4 * SECOND)]);
}

#[test]
fn a_change_that_comes_late_does_not_touch_what_had_ended() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    for _ in 0..2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    computer.set_speed(at(3 * SECOND), "cpu", 0.1).unwrap();
    assert_eq!(drain(&mut computer), [(0, SECOND), (1, 2 * SECOND)]);
}

#[test]
fn impossible_speeds_and_unknown_processors_change_nothing() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    computer.submit(SimTime::ZERO, "f", 0).unwrap();
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = computer.set_speed(SimTime::ZERO, "cpu", speed);
        assert!(matches!(refused, Err(SetSpeedError::Speed(_))), "{speed}");
    }
    let unknown = computer.set_speed(SimTime::ZERO, "gpu", 1.0);
    assert_eq!(unknown, Err(SetSpeedError::UnknownProcessor("gpu".into())));
    assert_eq!(drain(&mut computer), [(0, SECOND)]);
}

#[test]
fn the_bound_on_waiting_tasks_can_change() {
    let mut computer = single(cpu("cpu", 10.0, 1, 100), fixed("f", 10, 1), 1);
    computer.set_max_pending(1);
    assert!(computer.submit(SimTime::ZERO, "f", 0).is_ok());
    assert!(computer.submit(SimTime::ZERO, "f", 0).is_ok());
    let refused = computer.submit(SimTime::ZERO, "f", 0).map(drop);
    assert!(refused.is_err());
    assert_eq!(computer.accepts(SimTime::ZERO, "f", 0), refused);
    assert_eq!(computer.accepts(at(SECOND), "f", 0), Ok(()));
}
