//! One call of a lambda: what is sent, and what the answer means in OpenWhisk's terms.

mod message;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use edge_proto::rpc::Outcome;
use edge_transport::{CallError, LambdaClient, LambdaReply, Metadata, pushback, unexecuted};

use self::message::Response;
use crate::activation::{ActivationId, Status, Texts, Trail};
use crate::json;
use crate::names::Candidates;
use crate::routers::Routers;

/// How brokers say that nobody serves a lambda; those of the reference say nothing else.
const NO_DESTINATIONS: &str = "No destinations found for the entry";
/// How brokers say that a request goes in circles.
const LOOP: &str = "loop detected";
/// How the retcode of an action begins that could not run to its end.
const DEVELOPER_ERROR: &str = "action developer error";

/// What to ask for.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) lambdas: Candidates<'a>,
    /// Compact JSON.
    pub(crate) input: &'a str,
    /// How bytes travel.
    pub(crate) binary: Binary<'a>,
    pub(crate) id: ActivationId,
    pub(crate) hops: u32,
    /// What is passed on of the client's headers.
    pub(crate) metadata: &'a Metadata,
    pub(crate) timeout: Duration,
}

/// How bytes travel in JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binary<'a> {
    /// The member that they are, in base64.
    pub(crate) member: &'a str,
    /// In parameters, too.
    pub(crate) input: bool,
}

/// A lambda was executed, or may have been.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) status: Status,
    pub(crate) texts: Texts,
    pub(crate) trail: Trail,
    pub(crate) timed_out: bool,
}

/// Which lambda was asked for, who answered, and how it was executed, as far as is known.
#[derive(Debug, Clone, Copy, Default)]
struct Traces<'a> {
    lambda: &'a str,
    responder: &'a str,
    trail: Trail,
}

impl Traces<'_> {
    fn executed(&self, status: Status, result: &str) -> Executed {
        Executed {
            status,
            texts: Texts::new(self.lambda, self.responder, result),
            trail: self.trail,
            timed_out: false,
        }
    }

    /// Nobody knows whether it was executed.
    fn broken(&self, text: &str) -> Executed {
        self.executed(Status::InternalError, &json::object("error", text))
    }
}

/// A lambda was not executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("The requested resource does not exist: no computer serves {0}.")]
    NotFound(String),
    #[error("The request goes in circles: {0} hops.")]
    Loop(u32),
    #[error("No router can be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Unfit(String),
    #[error("The platform is busy: {text}")]
    Busy { text: String, retry_after: Duration },
}

impl Refusal {
    /// When it makes sense to try again; `None` if never.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotFound(_) | Self::Loop(_) | Self::Unfit(_) => None,
            Self::Unreachable(_) => Some(Duration::from_secs(1)),
            Self::Busy { retry_after, .. } => Some(*retry_after),
        }
    }
}

impl Ask<'_> {
    /// Calls the lambda at `now` by its names until one is known.
    ///
    /// # Errors
    /// If it was not executed.
    pub(crate) async fn call(
        &self,
        routers: &Routers,
        client: &LambdaClient,
        now: Instant,
    ) -> Result<Executed, Refusal> {
        let Candidates(first, second) = self.lambdas;
        let answer = self.call_as(first, routers, client, now).await;
        match (answer, second) {
            (Err(Refusal::NotFound(_)), Some(second)) => {
                let now = Instant::now();
                self.call_as(second, routers, client, now).await
            }
            (answer, _) => answer,
        }
    }

    async fn call_as(
        &self,
        lambda: &str,
        routers: &Routers,
        client: &LambdaClient,
        begin: Instant,
    ) -> Result<Executed, Refusal> {
        let bytes = if self.binary.input {
            json::take_binary(self.input, self.binary.member)
        } else {
            None
        };
        let (input, datain) = match &bytes {
            Some((input, datain)) => (input.as_str(), datain.as_slice()),
            None => (self.input, &[][..]),
        };
        let message = message::request(lambda, input, datain, self.hops, self.id);
        drop(bytes);
        let deadline = begin + self.timeout;
        let answer = routers.call(client, message, self.metadata, deadline, begin);
        match answer.await {
            Ok(reply) => self.understood(&reply, lambda, begin.elapsed()),
            Err(error) => self.failed(&error, lambda),
        }
    }

    fn understood(
        &self,
        reply: &LambdaReply,
        lambda: &str,
        took: Duration,
    ) -> Result<Executed, Refusal> {
        let unknown = Traces {
            lambda,
            ..Traces::default()
        };
        let response = match Response::parse(&reply.message) {
            Ok(response) => response,
            Err(error) => {
                let text = format!("The platform gave an answer that is none: {error}");
                return Ok(unknown.broken(&text));
            }
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let traces = Traces {
            responder: response.responder,
            trail: Trail {
                hops: response.hops,
                loads: response.loads,
                wait_ms: took_ms.saturating_sub(response.ptime_ms.into()),
                init_ms: response.cold_start_us.div_ceil(1000),
            },
            ..unknown
        };
        let not_found = || Err(Refusal::NotFound(lambda.to_owned()));
        let busy = |text: &str| {
            Err(Refusal::Busy {
                text: text.to_owned(),
                retry_after: hint(&reply.trailers),
            })
        };
        match response.outcome() {
            Outcome::NotFound => not_found(),
            Outcome::Unspecified if response.retcode.starts_with(NO_DESTINATIONS) => not_found(),
            Outcome::ApplicationError | Outcome::Unspecified if response.retcode == LOOP => {
                Err(Refusal::Loop(self.hops))
            }
            Outcome::Refused | Outcome::Overloaded => busy(response.retcode),
            Outcome::Deadline | Outcome::Unavailable if unexecuted::is_marked(&reply.trailers) => {
                busy(response.retcode)
            }
            Outcome::Deadline => Ok(self.too_late(traces)),
            Outcome::Unavailable => {
                Ok(traces.broken(&format!("The platform failed: {}", response.retcode)))
            }
            Outcome::Ok | Outcome::Unspecified if response.is_ok() => {
                let (result, failed) = self.result(&response);
                let status = if failed {
                    Status::ApplicationError
                } else {
                    Status::Success
                };
                Ok(traces.executed(status, &result))
            }
            Outcome::Ok | Outcome::Unspecified | Outcome::ApplicationError => {
                Ok(self.erroneous(&response, traces))
            }
        }
    }

    /// What it answered, and whether that says that it failed.
    fn result<'r>(&self, response: &Response<'r>) -> (Cow<'r, str>, bool) {
        if response.dataout.is_empty() {
            return json::result(response.output);
        }
        let member = self.binary.member;
        let (result, failed) = json::binary_result(response.output, member, response.dataout);
        (result.into(), failed)
    }

    /// The lambda says that it failed; what it says beside that is its result.
    fn erroneous(&self, response: &Response<'_>, traces: Traces<'_>) -> Executed {
        let status = if response.retcode.starts_with(DEVELOPER_ERROR) {
            Status::DeveloperError
        } else {
            Status::ApplicationError
        };
        match self.result(response) {
            (result, true) => traces.executed(status, &result),
            (_, false) => traces.executed(status, &json::object("error", response.retcode)),
        }
    }

    fn failed(&self, error: &CallError, lambda: &str) -> Result<Executed, Refusal> {
        let traces = Traces {
            lambda,
            ..Traces::default()
        };
        match error {
            CallError::Deadline => Ok(self.too_late(traces)),
            error if error.never_left() => Err(Refusal::Unreachable(error.to_string())),
            CallError::Status { status, .. } if status.code() == tonic::Code::DeadlineExceeded => {
                Ok(self.too_late(traces))
            }
            error => Ok(traces.broken(&format!("The platform failed: {error}"))),
        }
    }

    fn too_late(&self, traces: Traces<'_>) -> Executed {
        let limit = self.timeout.as_millis();
        let text = format!("The action exceeded its time limit of {limit} milliseconds.");
        Executed {
            timed_out: true,
            ..traces.executed(Status::DeveloperError, &json::object("error", &text))
        }
    }
}

/// When to come back, as the platform says, else soon.
fn hint(trailers: &Metadata) -> Duration {
    match pushback::get(trailers) {
        Some(pushback::PushBack::After(pause)) => pause,
        Some(pushback::PushBack::Never) => Duration::from_secs(60),
        None => Duration::from_secs(1),
    }
}

#[cfg(test)]
mod tests;
