//! An answer on its way out: the message, and what its trailing metadata says beyond.

use std::time::Duration;

use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::{TypedReply, pushback, unexecuted};

use crate::executor::ExecutionError;

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) response: LambdaResponse,
    /// How long until there is likely to be a place, if that is what was lacking.
    pub(super) place_in: Option<Duration>,
    /// No request would be taken now, whatever the lambda.
    pub(super) for_all: bool,
    /// The request was not executed, which the outcome alone does not tell.
    pub(super) unexecuted: bool,
}

impl Answer {
    pub(super) fn error(outcome: Outcome, text: String) -> Self {
        LambdaResponse::error(outcome, text).into()
    }

    /// To those who come while the computer finishes what it has begun; it will not be back before
    /// `left` has passed.
    pub(super) fn draining(left: Duration) -> Self {
        let text = "the computer is stopping and takes no more requests".to_owned();
        Self {
            place_in: Some(left),
            for_all: true,
            ..Self::error(Outcome::Overloaded, text)
        }
    }
}

impl From<LambdaResponse> for Answer {
    fn from(response: LambdaResponse) -> Self {
        Self {
            response,
            place_in: None,
            for_all: false,
            unexecuted: false,
        }
    }
}

impl From<ExecutionError> for Answer {
    fn from(error: ExecutionError) -> Self {
        Self {
            place_in: error.place_in(),
            for_all: matches!(error, ExecutionError::Stopping { .. }),
            unexecuted: error.needs_mark(),
            ..Self::error(error.outcome(), error.to_string())
        }
    }
}

impl From<Answer> for TypedReply {
    fn from(answer: Answer) -> Self {
        let mut reply = Self::from(answer.response);
        if let Some(pause) = answer.place_in {
            pushback::set(&mut reply.trailers, pause);
        }
        if answer.for_all {
            pushback::extend_to_all(&mut reply.trailers);
        }
        if answer.unexecuted {
            unexecuted::mark(&mut reply.trailers);
        }
        reply
    }
}

/// The beginning of every good answer.
pub(super) fn success() -> LambdaResponse {
    LambdaResponse {
        retcode: OK.to_owned(),
        outcome: Outcome::Ok as i32,
        ..LambdaResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_answers_about_deadlines_the_one_that_was_never_begun_is_marked() {
        let marked = |error: ExecutionError| {
            assert_eq!(error.outcome(), Outcome::Deadline);
            unexecuted::is_marked(&TypedReply::from(Answer::from(error)).trailers)
        };
        let lambda = || "f".to_owned();
        assert!(marked(ExecutionError::TooLate {
            lambda: lambda(),
            expected: Duration::from_secs(2),
            left: Duration::from_secs(1),
        }));
        assert!(!marked(ExecutionError::Deadline { lambda: lambda() }));
    }

    #[test]
    fn a_computer_that_stops_speaks_for_all_lambdas_and_a_queue_for_its_own() {
        let is_for_all = |answer: Answer| {
            assert_eq!(answer.response.outcome(), Outcome::Overloaded);
            pushback::take_all(&mut TypedReply::from(answer).trailers)
        };
        assert!(is_for_all(Answer::draining(Duration::from_secs(1))));
        let lambda = "f".to_owned();
        assert!(is_for_all(ExecutionError::Stopping { lambda }.into()));
        let full = ExecutionError::Overloaded {
            text: "full".to_owned(),
            place_in: Duration::from_secs(1),
        };
        assert!(!is_for_all(full.into()));
    }
}
