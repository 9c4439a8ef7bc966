//! Whom an undecided moment lets in.

use super::*;
use crate::sim::{Lambda, Processor, ProcessorKind, Requirements};

const QUARTER: SimTime = SimTime::from_nanos(250_000_000);

/// Two workers, each of which takes a second for a request.
fn computer() -> Computer {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 10.0, 2, 100).unwrap();
    builder.add_processor(cpu).unwrap();
    let requirements = Requirements::Fixed { ops: 10, memory: 1 };
    let lambda = Lambda::copying("f", requirements);
    builder.add_container("c", "cpu", lambda, 2).unwrap();
    builder.build()
}

const FOREVER: Duration = Duration::from_secs(1 << 32);

fn asked(patience: Patience) -> Terms<'static> {
    Terms {
        lambda: "f",
        input_bytes: 0,
        patience,
        deadline: std::time::Instant::now(),
    }
}

/// One that may wait `max_wait`, after a quarter of a second.
fn asks(computer: &mut Computer, max_wait: Option<Duration>) -> Result<(), ExecutionError> {
    let patience = max_wait.map_or(Patience::Usual, Patience::AtMost);
    admit(computer, QUARTER, &asked(patience), FOREVER, FOREVER)
}

#[test]
fn a_request_that_would_wait_exactly_as_long_as_it_wants_to_is_taken_and_no_longer_one() {
    let mut computer = computer();
    for _ in 0..2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    let wait = Duration::from_millis(750);
    assert_eq!(asks(&mut computer, Some(wait)), Ok(()));
    let max_wait = wait.checked_sub(Duration::from_nanos(1)).unwrap();
    let lambda = "f".to_owned();
    let refused = ExecutionError::Refused {
        lambda,
        wait,
        max_wait,
    };
    assert_eq!(asks(&mut computer, Some(max_wait)), Err(refused));
    // Asking has changed nothing.
    assert_eq!(asks(&mut computer, Some(wait)), Ok(()));
    assert_eq!(computer.status("f").unwrap().pending, 0);
}

#[test]
fn those_that_wait_already_are_waited_for_too() {
    let mut computer = computer();
    for _ in 0..4 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    assert_eq!(
        asks(&mut computer, Some(Duration::from_millis(1750))),
        Ok(())
    );
    let refused = asks(&mut computer, Some(Duration::from_millis(1749)));
    assert!(
        matches!(refused, Err(ExecutionError::Refused { .. })),
        "{refused:?}"
    );
}

#[test]
fn with_an_idle_worker_nothing_is_refused() {
    let mut computer = computer();
    computer.submit(SimTime::ZERO, "f", 0).unwrap();
    assert_eq!(asks(&mut computer, Some(Duration::ZERO)), Ok(()));
}

#[test]
fn a_request_without_condition_is_never_refused() {
    let mut computer = computer();
    for _ in 0..100 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    assert_eq!(asks(&mut computer, None), Ok(()));
}

#[test]
fn a_worker_that_becomes_free_at_this_very_instant_is_idle() {
    let mut computer = computer();
    for _ in 0..2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    let end = SimTime::from_nanos(1_000_000_000);
    let impatient = asked(Patience::AtMost(Duration::ZERO));
    assert_eq!(
        admit(&mut computer, end, &impatient, FOREVER, FOREVER),
        Ok(())
    );
}

/// What is answered at time zero behind `waiting` requests and two that run.
fn behind(waiting: usize, terms: &Terms<'_>, left: u64, max_wait: u64) -> Option<ExecutionError> {
    let mut computer = computer();
    for _ in 0..waiting + 2 {
        computer.submit(SimTime::ZERO, "f", 0).unwrap();
    }
    let (left, max_wait) = (Duration::from_secs(left), Duration::from_secs(max_wait));
    admit(&mut computer, SimTime::ZERO, terms, left, max_wait).err()
}

#[test]
fn the_platform_allows_a_wait_to_everybody_but_those_acknowledged() {
    assert_eq!(behind(4, &asked(Patience::Usual), 100, 3), None);
    let Some(ExecutionError::Overloaded { text, place_in }) =
        behind(4, &asked(Patience::Usual), 100, 1)
    else {
        panic!("three seconds are longer than one");
    };
    assert_eq!(
        text,
        "lambda f would wait 3s for a worker, this computer allows 1s"
    );
    assert_eq!(place_in, Duration::from_secs(2));
    assert_eq!(behind(4, &asked(Patience::UntilDeadline), 100, 1), None);
    // Whoever asks for less is refused in the name of what it asked for.
    let impatient = asked(Patience::AtMost(Duration::from_secs(2)));
    let refused = behind(4, &impatient, 100, 1).unwrap();
    assert!(
        matches!(refused, ExecutionError::Refused { .. }),
        "{refused}"
    );
    let patient = asked(Patience::AtMost(Duration::from_secs(4)));
    let overloaded = behind(4, &patient, 100, 1).unwrap();
    assert!(
        matches!(overloaded, ExecutionError::Overloaded { .. }),
        "{overloaded}"
    );
}

#[test]
fn a_request_is_too_late_if_wait_and_service_exceed_what_is_left() {
    let terms = asked(Patience::Usual);
    assert_eq!(behind(4, &terms, 4, 10), None);
    let late = behind(4, &terms, 3, 10).unwrap();
    let text = "deadline exceeded: lambda f would be done in 4s, the request has 3s left; \
                it was not executed";
    assert_eq!(late.to_string(), text);
}

#[test]
fn a_queue_too_long_to_be_replayed_counts_with_its_mean() {
    let waiting = 8 * EVENTS;
    let exact = waiting as u64 / 2 + 1;
    let terms = asked(Patience::Usual);
    assert_eq!(behind(waiting, &terms, u64::MAX, exact + 2), None);
    let overloaded = behind(waiting, &terms, u64::MAX, exact - 2).unwrap();
    let place_in = overloaded.place_in().unwrap();
    assert!(place_in >= Duration::from_secs(1) && place_in <= Duration::from_secs(3));
}
