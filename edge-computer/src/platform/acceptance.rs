//! Whether a request is taken: it is told at once if it would wait too long or be late.
//!
//! Three bounds hold while all workers are busy: the wait that the request allows, the wait that
//! the platform allows, and the deadline. The first is the rule of `edge_balance::Acceptance`. That
//! one estimates the wait from mean service times, which suits platforms that learn them only by
//! executing. The simulated platform knows what each of its tasks still needs, so it replays them
//! instead: right to the nanosecond if nobody else comes or goes, from the first request on, for
//! any mixture of lambdas and sizes.
//!
//! All of this happens under the platform's lock, so it is bounded. Most requests are taken for
//! bounds that cost the same however many wait. The others are replayed until the answer is
//! decided, [`EVENTS`] ends of tasks at the most; beyond that, the rest of the queue counts with
//! the mean of what waits in it, over the workers that are busy then.

use std::time::Duration;

use super::shared::duration;
use crate::executor::{ExecutionError, Patience, Terms};
use crate::sim::{Computer, Estimate, Estimator, Horizon, SimTime, SubmitError};

/// Ends of tasks that are replayed for one request.
pub(super) const EVENTS: usize = 128;

/// Whether `computer` takes a request now that has to be done within `left`, if others may wait
/// `max_wait` at the most. Where memory is short a worker may be idle and the request wait all the
/// same; it is taken then, since a refusal by somebody with idle workers looks like a fault.
pub(super) fn admit(
    computer: &mut Computer,
    now: SimTime,
    terms: &Terms<'_>,
    left: Duration,
    max_wait: Duration,
) -> Result<(), ExecutionError> {
    let &Terms {
        lambda,
        input_bytes,
        patience,
        ..
    } = terms;
    let bounds = computer
        .accepts(now, lambda, input_bytes)
        .and_then(|()| computer.bounds(now, lambda, input_bytes))
        .map_err(|error| turned_down(computer, now, &error, input_bytes))?;
    let too_late = |expected| ExecutionError::TooLate {
        lambda: lambda.to_owned(),
        expected,
        left,
    };
    if bounds.idle_worker {
        let expected = duration(bounds.service_at_least);
        return if expected > left {
            Err(too_late(expected))
        } else {
            Ok(())
        };
    }
    let longest = match patience {
        Patience::Usual => max_wait,
        Patience::AtMost(own) => own.min(max_wait),
        Patience::UntilDeadline => Duration::MAX,
    };
    let done_by = bounds.wait_at_most + bounds.service_at_most;
    if duration(bounds.wait_at_most) <= longest && duration(done_by) <= left {
        return Ok(());
    }
    let horizon = Horizon {
        events: EVENTS,
        start: longest.as_secs_f64(),
        end: left.as_secs_f64(),
    };
    let forecast = computer
        .forecast(now, lambda, input_bytes, horizon)
        .map_err(|error| turned_down(computer, now, &error, input_bytes))?;
    let wait = duration(forecast.wait);
    let expected = duration(forecast.wait + forecast.service);
    match patience {
        Patience::AtMost(own) if wait > own => Err(ExecutionError::Refused {
            lambda: lambda.to_owned(),
            wait,
            max_wait: own,
        }),
        Patience::Usual | Patience::AtMost(_) if wait > max_wait => {
            Err(ExecutionError::Overloaded {
                text: format!(
                    "lambda {lambda} would wait {wait:?} for a worker, \
                     this computer allows {max_wait:?}"
                ),
                place_in: wait.saturating_sub(max_wait),
            })
        }
        _ if expected > left => Err(too_late(expected)),
        _ => Ok(()),
    }
}

/// How long a request would take if it came now. The exact estimate is bounded as above.
pub(super) fn estimate(
    computer: &mut Computer,
    now: SimTime,
    lambda: &str,
    input_bytes: usize,
    estimator: Estimator,
) -> Result<Duration, ExecutionError> {
    let seconds = match estimator {
        Estimator::Legacy => {
            let estimate = computer.estimate(now, lambda, input_bytes, estimator);
            estimate.map(|estimate: Estimate| estimate.seconds())
        }
        Estimator::Exact => computer.accepts(now, lambda, input_bytes).and_then(|()| {
            let horizon = Horizon {
                events: EVENTS,
                ..Horizon::UNBOUNDED
            };
            let forecast = computer.forecast(now, lambda, input_bytes, horizon)?;
            Ok(forecast.wait + forecast.service)
        }),
    };
    seconds
        .map(duration)
        .map_err(|error| turned_down(computer, now, &error, input_bytes))
}

/// What the caller is told where the engine does not take a request.
pub(super) fn turned_down(
    computer: &mut Computer,
    now: SimTime,
    error: &SubmitError,
    input_bytes: usize,
) -> ExecutionError {
    let text = error.to_string();
    match error {
        SubmitError::UnknownLambda { .. } => ExecutionError::NotFound(text),
        SubmitError::TooLarge { .. } => ExecutionError::Application(text),
        SubmitError::QueueFull { lambda, .. } => ExecutionError::Overloaded {
            text,
            place_in: room(computer, now, lambda, input_bytes),
        },
    }
}

/// When the queue of a lambda is expected to become shorter by one.
pub(super) fn room(
    computer: &mut Computer,
    now: SimTime,
    lambda: &str,
    input_bytes: usize,
) -> Duration {
    let next_event = Horizon {
        events: 1,
        ..Horizon::UNBOUNDED
    };
    let forecast = computer.forecast(now, lambda, input_bytes, next_event);
    // Only lambdas that are served have a queue.
    forecast.map_or(Duration::ZERO, |forecast| duration(forecast.room))
}

#[cfg(test)]
mod tests;
