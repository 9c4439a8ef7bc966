//! What became of a request.

use std::time::Duration;

use edge_client::{ErrorKind, RequestError};
use edge_proto::rpc::Outcome;
use edge_transport::CallError;
use tonic::Code;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was executed, and its answer came in time.
    Answered,
    /// It was turned down, unexecuted.
    Refused,
    /// Its time ran out, whoever noticed.
    Expired,
    /// Anything else.
    Failed(ErrorKind),
}

impl Fate {
    /// Judges the failure of a request that was allowed `deadline` and failed after `latency`,
    /// both since it was due.
    pub(super) fn of_failure(error: &RequestError, latency: Duration, deadline: Duration) -> Self {
        // Who noticed first that the time was up is a race between clients and the router. Who
        // says long before that time would run out refuses.
        let in_time = latency < deadline.mul_f64(0.9);
        match error {
            RequestError::Call(CallError::Status { status, .. })
                if status.code() == Code::ResourceExhausted =>
            {
                Self::Refused
            }
            RequestError::Call(CallError::Status { status, .. })
                if status.code() == Code::DeadlineExceeded =>
            {
                Self::Expired
            }
            error => match error.kind() {
                ErrorKind::NotTaken
                | ErrorKind::Retcode(Outcome::Overloaded | Outcome::Refused) => Self::Refused,
                ErrorKind::Retcode(Outcome::Deadline) if in_time => Self::Refused,
                ErrorKind::Retcode(Outcome::Deadline) | ErrorKind::Deadline => Self::Expired,
                kind => Self::Failed(kind),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::rpc::LambdaResponse;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(2);

    fn said(outcome: Outcome, after: Duration) -> Fate {
        let error = RequestError::Retcode {
            outcome,
            response: Box::new(LambdaResponse::error(outcome, "no")),
        };
        Fate::of_failure(&error, after, DEADLINE)
    }

    #[test]
    fn a_refusal_is_no_fault() {
        assert_eq!(said(Outcome::Overloaded, DEADLINE), Fate::Refused);
        assert_eq!(said(Outcome::Refused, Duration::ZERO), Fate::Refused);
        let kind = ErrorKind::Retcode(Outcome::Unavailable);
        assert_eq!(said(Outcome::Unavailable, DEADLINE), Fate::Failed(kind));
    }

    #[test]
    fn a_deadline_that_cannot_be_kept_is_a_refusal_and_one_that_was_not_kept_is_none() {
        assert_eq!(
            said(Outcome::Deadline, Duration::from_millis(3)),
            Fate::Refused
        );
        assert_eq!(said(Outcome::Deadline, DEADLINE), Fate::Expired);
        let timer = RequestError::from(CallError::Deadline);
        assert_eq!(Fate::of_failure(&timer, DEADLINE, DEADLINE), Fate::Expired);
    }
}
