//! Conditional acceptance: a request that would wait for its turn longer than it wants to is refused.
//!
//! The rule is that of `edge_balance::Acceptance`: refuse if all workers are busy and the wait is
//! expected to be longer. That one estimates the wait from mean service times, which suits platforms
//! that learn them only by executing. The simulated platform knows what each of its tasks still
//! needs, so it replays them instead: right to the nanosecond if nobody else comes or goes, from
//! the first request on, for any mixture of lambdas and sizes. It costs what an exact estimate
//! costs, O(n log n) in the number of tasks on the processor, and only for conditional requests that
//! meet busy workers.

use std::time::Duration;

use super::shared::duration;
use crate::executor::ExecutionError;
use crate::sim::{Computer, Estimator, SimTime};

/// Whether `computer` takes a request now that wants to wait `max_wait` at the most; `None`: as long
/// as it takes. Where memory is short a worker may be idle and the request wait all the same; it is
/// taken then, since a refusal by somebody with idle workers looks like a fault.
pub(super) fn admit(
    computer: &mut Computer,
    now: SimTime,
    lambda: &str,
    input_bytes: usize,
    max_wait: Option<Duration>,
) -> Result<(), ExecutionError> {
    computer.accepts(now, lambda, input_bytes)?;
    let Some(max_wait) = max_wait else {
        return Ok(());
    };
    let status = computer.status(lambda);
    if status.is_none_or(|status| status.active < status.workers) {
        return Ok(());
    }
    let estimate = computer.estimate(now, lambda, input_bytes, Estimator::Exact)?;
    let wait = duration(estimate.wait_seconds);
    if wait <= max_wait {
        return Ok(());
    }
    Err(ExecutionError::Refused {
        lambda: lambda.to_owned(),
        wait,
        max_wait,
    })
}

#[cfg(test)]
mod tests {
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

    fn asks(computer: &mut Computer, max_wait: Option<Duration>) -> Result<(), ExecutionError> {
        admit(computer, QUARTER, "f", 0, max_wait)
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
        assert_eq!(
            admit(&mut computer, end, "f", 0, Some(Duration::ZERO)),
            Ok(())
        );
    }
}
