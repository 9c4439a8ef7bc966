//! An answer on its way out: the message, and when to come back if there is no place now.

use std::time::Duration;

use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::{TypedReply, pushback};

use crate::executor::ExecutionError;

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) response: LambdaResponse,
    /// How long until there is likely to be a place, if that is what was lacking.
    pub(super) place_in: Option<Duration>,
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
            ..Self::error(Outcome::Overloaded, text)
        }
    }
}

impl From<LambdaResponse> for Answer {
    fn from(response: LambdaResponse) -> Self {
        Self {
            response,
            place_in: None,
        }
    }
}

impl From<ExecutionError> for Answer {
    fn from(error: ExecutionError) -> Self {
        Self {
            place_in: error.place_in(),
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
