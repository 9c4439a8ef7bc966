//! Calls a lambda wherever an ETSI MEC server says that it is, and goes along when it moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::{CallError, Endpoint, LambdaClient};
use mec_mx2::client::Followed;
use mec_mx2::model::Reference;
use tokio::time::{sleep, timeout_at};

use crate::{Answer, Client, RequestError};

/// Pauses before a request is sent to the same end-point again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// A client of an application that is followed.
///
/// A request that never left, or was refused, or may be repeated and got lost, is sent again
/// within its time-out: at once when the application has moved, after a pause otherwise. So
/// a move, and even the sudden end of a computer, fails no request that has time to wait.
#[derive(Debug, Clone)]
pub struct FollowingClient {
    transport: Arc<LambdaClient>,
    followed: Followed,
}

impl FollowingClient {
    /// A client of `followed` on the connections of `transport`.
    pub fn new(transport: Arc<LambdaClient>, followed: Followed) -> Self {
        Self {
            transport,
            followed,
        }
    }

    /// Sends `request` and waits for its answer, at most for `timeout`. Its responder is the
    /// end-point that it came from, unless the answer names one.
    ///
    /// # Errors
    /// If no answer came in time, or one whose `retcode` is not "OK".
    pub async fn call(
        &self,
        request: &LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        let begin = Instant::now();
        let deadline = begin + timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let reference = self.followed.reference();
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match self.attempt(reference.as_ref(), request, left).await {
                Ok(answer) => {
                    return Ok(Answer {
                        latency: begin.elapsed(),
                        ..answer
                    });
                }
                Err(error) if !may_be_repeated(&error, request.idempotent) => return Err(error),
                Err(error) => error,
            };
            // Maybe the server has forgotten us, and tells us nothing any more.
            self.followed.doubt();
            let elsewhere = self.followed.other(reference.as_ref());
            let again = async {
                tokio::select! {
                    _ = elsewhere => {}
                    () = sleep(pause) => {}
                }
            };
            if timeout_at(deadline.into(), again).await.is_err() {
                return Err(error);
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn attempt(
        &self,
        reference: Option<&Reference>,
        request: &LambdaRequest,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        let text = reference.map_or("", Reference::endpoint);
        let endpoint: Endpoint = text.parse().map_err(|error| {
            RequestError::Call(CallError::Connect(edge_transport::ConnectError::from(
                error,
            )))
        })?;
        let client = Client::new(self.transport.clone(), endpoint);
        let mut answer = client.call(request, within).await?;
        if answer.response.responder.is_empty() {
            answer.response.responder = client.endpoint().to_string();
        }
        Ok(answer)
    }
}

/// Whether sending a request again, maybe elsewhere, can do no harm and may do good.
fn may_be_repeated(error: &RequestError, idempotent: bool) -> bool {
    match error {
        RequestError::Call(error) => {
            error.never_left() || (idempotent && matches!(error, CallError::Lost { .. }))
        }
        RequestError::Retcode { outcome, .. } => match outcome {
            Outcome::Refused | Outcome::Overloaded | Outcome::NotFound => true,
            // It may have been executed, at least in part.
            Outcome::Unavailable => idempotent,
            _ => false,
        },
        RequestError::CallbackOverdue | RequestError::Function { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::rpc::LambdaResponse;

    use super::*;

    #[test]
    fn what_may_have_been_executed_goes_out_again_only_if_it_may() {
        let repeated = |outcome, idempotent| {
            let response = Box::new(LambdaResponse::error(outcome, String::new()));
            may_be_repeated(&RequestError::Retcode { outcome, response }, idempotent)
        };
        for outcome in [Outcome::Refused, Outcome::Overloaded, Outcome::NotFound] {
            assert!(repeated(outcome, false) && repeated(outcome, true));
        }
        assert!(!repeated(Outcome::Unavailable, false));
        assert!(repeated(Outcome::Unavailable, true));
        for outcome in [Outcome::ApplicationError, Outcome::Deadline] {
            assert!(!repeated(outcome, false) && !repeated(outcome, true));
        }
    }
}
