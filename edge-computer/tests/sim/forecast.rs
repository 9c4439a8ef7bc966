//! What a task would meet: how far a forecast looks, and what bounds it.

use edge_computer::sim::{Computer, Horizon, SimTime};

use crate::support::{cpu, fixed, single, sized};

const NOW: SimTime = SimTime::ZERO;

/// One core of ten operations per second, one worker, and tasks of `seconds` seconds of it.
fn queue(seconds: &[usize]) -> Computer {
    let mut computer = single(cpu("cpu", 10.0, 1, 1 << 40), sized("f"), 1);
    for seconds in seconds {
        computer.submit(NOW, "f", *seconds).unwrap();
    }
    computer
}

fn events(events: usize) -> Horizon {
    Horizon {
        events,
        ..Horizon::UNBOUNDED
    }
}

#[test]
fn room_is_there_when_the_first_of_those_that_wait_starts() {
    let forecast = queue(&[3, 1, 5]).forecast(NOW, "f", 1, Horizon::UNBOUNDED);
    let forecast = forecast.unwrap();
    assert_eq!(
        (forecast.room, forecast.wait, forecast.service),
        (3.0, 9.0, 1.0)
    );
    let idle = queue(&[]).forecast(NOW, "f", 1, Horizon::UNBOUNDED);
    assert_eq!(idle.unwrap().room, 0.0);
}

#[test]
fn a_full_queue_can_be_asked_about() {
    let mut computer = queue(&[3, 1, 5]);
    computer.set_max_pending(2);
    assert!(computer.submit(NOW, "f", 1).is_err());
    let forecast = computer.forecast(NOW, "f", 1, events(1)).unwrap();
    assert_eq!(forecast.room, 3.0);
}

#[test]
fn beyond_its_horizon_a_forecast_takes_the_mean_of_what_waits() {
    // After the first one, two wait with three seconds each on average, and one more runs.
    let forecast = queue(&[3, 1, 5, 1]).forecast(NOW, "f", 1, events(1));
    assert_eq!(forecast.unwrap().wait, 3.0 + 3.0 * 3.0);
    let exact = queue(&[3, 1, 5, 1]).forecast(NOW, "f", 1, Horizon::UNBOUNDED);
    assert_eq!(exact.unwrap().wait, 10.0);
}

#[test]
fn a_long_queue_of_equal_tasks_is_known_to_a_task() {
    let mut computer = single(cpu("cpu", 10.0, 3, 1 << 40), fixed("f", 10, 1), 3);
    for _ in 0..9_000 {
        computer.submit(NOW, "f", 0).unwrap();
    }
    let mut wait = |horizon| computer.forecast(NOW, "f", 0, horizon).unwrap().wait;
    let exact = wait(Horizon::UNBOUNDED);
    assert_eq!(exact, 3_000.0);
    for horizon in [events(0), events(1), events(256)] {
        assert!((wait(horizon) - exact).abs() <= 1.0, "{}", wait(horizon));
    }
}
