//! Why a request has no answer, and the short name under which it is counted.

use std::fmt;

use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::CallError;

/// Why a request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// No answer came at all.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer came that is not OK.
    #[error("{}", said(*.outcome, .response))]
    Retcode {
        /// What the answer says became of the request.
        outcome: Outcome,
        /// The whole answer.
        response: Box<LambdaResponse>,
    },
    /// The request was accepted for asynchronous execution, and its result did
    /// not arrive at the callback end-point in time.
    #[error("the result did not arrive at the callback end-point within the deadline")]
    CallbackOverdue,
    /// One function of a chain or graph failed.
    #[error("function {index} ({function}): {source}")]
    Function {
        /// Its position, from 0.
        index: u32,
        /// Its name.
        function: String,
        /// How it failed.
        source: Box<RequestError>,
    },
}

/// The kinds of failure that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// There was no connection.
    Connect,
    /// The peer let go of the request without looking at it.
    NotTaken,
    /// The connection broke while waiting for the answer.
    Lost,
    /// The deadline passed.
    Deadline,
    /// A gRPC status other than OK.
    Status,
    /// The answer is no valid answer.
    Invalid,
    /// An answer that is not OK.
    Retcode(Outcome),
    /// Never sent: too many requests were outstanding when it was due, or the run was over before
    /// it could leave.
    Overrun,
    /// Still in flight when the program was asked to end.
    Interrupted,
}

impl RequestError {
    /// `response`, if it is OK. What it says of the outcome counts, as for
    /// routers; a peer that says only `retcode` means an error of the
    /// application by anything but "OK".
    pub(crate) fn unless_ok(response: LambdaResponse) -> Result<LambdaResponse, Self> {
        let outcome = match response.outcome() {
            Outcome::Unspecified if response.is_ok() => Outcome::Ok,
            Outcome::Unspecified => Outcome::ApplicationError,
            told => told,
        };
        match outcome {
            Outcome::Ok => Ok(response),
            _ => Err(Self::Retcode {
                outcome,
                response: Box::new(response),
            }),
        }
    }

    /// The kind under which this failure is counted.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Call(CallError::Connect(_)) => ErrorKind::Connect,
            Self::Call(CallError::NotTaken { .. }) => ErrorKind::NotTaken,
            Self::Call(CallError::Lost { .. }) => ErrorKind::Lost,
            Self::Call(CallError::Deadline) | Self::CallbackOverdue => ErrorKind::Deadline,
            Self::Call(CallError::Status { .. }) => ErrorKind::Status,
            Self::Call(CallError::Invalid { .. }) => ErrorKind::Invalid,
            Self::Retcode { outcome, .. } => ErrorKind::Retcode(*outcome),
            Self::Function { source, .. } => source.kind(),
        }
    }
}

impl ErrorKind {
    /// The name of the kind in summaries: lower case, stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::NotTaken => "not-taken",
            Self::Lost => "lost",
            Self::Deadline => "deadline",
            Self::Status => "status",
            Self::Invalid => "invalid",
            Self::Overrun => "overrun",
            Self::Interrupted => "interrupted",
            Self::Retcode(Outcome::Unspecified | Outcome::Ok) => "retcode:unspecified",
            Self::Retcode(Outcome::ApplicationError) => "retcode:application-error",
            Self::Retcode(Outcome::Refused) => "retcode:refused",
            Self::Retcode(Outcome::Overloaded) => "retcode:overloaded",
            Self::Retcode(Outcome::Unavailable) => "retcode:unavailable",
            Self::Retcode(Outcome::Deadline) => "retcode:deadline",
            Self::Retcode(Outcome::NotFound) => "retcode:not-found",
        }
    }
}

/// What went wrong, in the words of the answer if it has any.
fn said(outcome: Outcome, response: &LambdaResponse) -> &str {
    match response.retcode.as_str() {
        OK | "" => ErrorKind::Retcode(outcome).name(),
        words => words,
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::view::ResponseView;
    use prost::Message as _;

    use super::*;

    #[test]
    fn answers_are_what_routers_take_them_for() {
        for retcode in [OK, "", "something broke"] {
            for told in -1..10 {
                let response = LambdaResponse {
                    retcode: retcode.to_owned(),
                    outcome: told,
                    ..LambdaResponse::default()
                };
                let message = response.encode_to_vec();
                let expected = ResponseView::parse(&message).unwrap().outcome();
                let outcome = match RequestError::unless_ok(response) {
                    Ok(_) => Outcome::Ok,
                    Err(RequestError::Retcode { outcome, .. }) => outcome,
                    Err(other) => panic!("{other}"),
                };
                assert_eq!(outcome, expected, "{retcode}, {told}");
            }
        }
    }

    #[test]
    fn a_failure_has_words_even_if_the_answer_has_none() {
        let response = LambdaResponse {
            outcome: Outcome::Unavailable as i32,
            ..LambdaResponse::acknowledgement()
        };
        let error = RequestError::unless_ok(response).unwrap_err();
        assert_eq!(error.to_string(), "retcode:unavailable");
    }
}
