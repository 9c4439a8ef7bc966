//! One call of a lambda: what is sent, and what the answer means in OpenWhisk's terms.

use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{
    CallError, LambdaCall, LambdaClient, LambdaReply, Metadata, pushback, unexecuted,
};
use prost::Message as _;
use serde_json::value::RawValue;

use crate::activation::{ActivationId, Status, Trail};
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
    pub(crate) result: Box<RawValue>,
    pub(crate) trail: Trail,
    pub(crate) timed_out: bool,
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
    /// Calls the lambda by its names until one is known.
    ///
    /// # Errors
    /// If it was not executed.
    pub(crate) async fn call(
        &self,
        routers: &Routers,
        client: &LambdaClient,
    ) -> Result<Executed, Refusal> {
        let Candidates(first, second) = self.lambdas;
        match (self.call_as(first, routers, client).await, second) {
            (Err(Refusal::NotFound(_)), Some(second)) => {
                self.call_as(second, routers, client).await
            }
            (answer, _) => answer,
        }
    }

    async fn call_as(
        &self,
        lambda: &str,
        routers: &Routers,
        client: &LambdaClient,
    ) -> Result<Executed, Refusal> {
        let bytes = if self.binary.input {
            json::take_binary(self.input, self.binary.member)
        } else {
            None
        };
        let (input, datain) = bytes.unwrap_or_else(|| (self.input.to_owned(), Vec::new()));
        let request = LambdaRequest {
            name: lambda.to_owned(),
            input,
            datain: datain.into(),
            hops: self.hops,
            uuid: self.id.uuid().to_string(),
            ..LambdaRequest::default()
        };
        let begin = Instant::now();
        let call = LambdaCall {
            message: request.encode_to_vec().into(),
            metadata: self.metadata.clone(),
            deadline: begin + self.timeout,
        };
        let trail = Trail {
            lambda: lambda.to_owned(),
            ..Trail::default()
        };
        match routers.call(client, &call).await {
            Ok(reply) => self.understood(reply, trail, begin.elapsed()),
            Err(error) => self.failed(&error, trail),
        }
    }

    fn understood(
        &self,
        reply: LambdaReply,
        mut trail: Trail,
        took: Duration,
    ) -> Result<Executed, Refusal> {
        let mut response = match LambdaResponse::decode(reply.message) {
            Ok(response) => response,
            Err(error) => {
                let text = format!("The platform gave an answer that is none: {error}");
                return Ok(broken(&text, trail));
            }
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        trail.responder = std::mem::take(&mut response.responder);
        trail.hops = response.hops;
        trail.loads = [response.load1, response.load10, response.load30];
        trail.wait_ms = took_ms.saturating_sub(response.ptime.into());
        trail.init_ms = response.cold_start_us.div_ceil(1000);
        let busy = |text: &str| {
            Err(Refusal::Busy {
                text: text.to_owned(),
                retry_after: hint(&reply.trailers),
            })
        };
        match response.outcome() {
            Outcome::NotFound => Err(Refusal::NotFound(trail.lambda)),
            Outcome::Unspecified if response.retcode.starts_with(NO_DESTINATIONS) => {
                Err(Refusal::NotFound(trail.lambda))
            }
            Outcome::ApplicationError | Outcome::Unspecified if response.retcode == LOOP => {
                Err(Refusal::Loop(self.hops))
            }
            Outcome::Refused | Outcome::Overloaded => busy(&response.retcode),
            Outcome::Deadline if unexecuted::is_marked(&reply.trailers) => busy(&response.retcode),
            Outcome::Deadline => Ok(self.too_late(trail)),
            Outcome::Unavailable => {
                let text = format!("The platform failed: {}", response.retcode);
                Ok(broken(&text, trail))
            }
            Outcome::Ok | Outcome::Unspecified if response.is_ok() => {
                Ok(self.succeeded(&response, trail))
            }
            Outcome::Ok | Outcome::Unspecified | Outcome::ApplicationError => {
                Ok(self.erroneous(&response, trail))
            }
        }
    }

    /// What it answered, and whether that says that it failed.
    fn result(&self, response: &LambdaResponse) -> (Box<RawValue>, bool) {
        if response.dataout.is_empty() {
            json::result(&response.output)
        } else {
            json::binary_result(&response.output, self.binary.member, &response.dataout)
        }
    }

    fn succeeded(&self, response: &LambdaResponse, trail: Trail) -> Executed {
        let (result, failed) = self.result(response);
        let status = if failed {
            Status::ApplicationError
        } else {
            Status::Success
        };
        Executed {
            status,
            result,
            trail,
            timed_out: false,
        }
    }

    /// The lambda says that it failed; what it says beside that is its result.
    fn erroneous(&self, response: &LambdaResponse, trail: Trail) -> Executed {
        let status = if response.retcode.starts_with(DEVELOPER_ERROR) {
            Status::DeveloperError
        } else {
            Status::ApplicationError
        };
        let result = match self.result(response) {
            (result, true) => result,
            (_, false) => json::object("error", &response.retcode),
        };
        Executed {
            status,
            result,
            trail,
            timed_out: false,
        }
    }

    fn failed(&self, error: &CallError, trail: Trail) -> Result<Executed, Refusal> {
        match error {
            CallError::Deadline => Ok(self.too_late(trail)),
            error if error.never_left() => Err(Refusal::Unreachable(error.to_string())),
            CallError::Status { status, .. } if status.code() == tonic::Code::DeadlineExceeded => {
                Ok(self.too_late(trail))
            }
            error => Ok(broken(&format!("The platform failed: {error}"), trail)),
        }
    }

    fn too_late(&self, trail: Trail) -> Executed {
        let limit = self.timeout.as_millis();
        let text = format!("The action exceeded its time limit of {limit} milliseconds.");
        Executed {
            status: Status::DeveloperError,
            result: json::object("error", &text),
            trail,
            timed_out: true,
        }
    }
}

/// Nobody knows whether it was executed.
fn broken(text: &str, trail: Trail) -> Executed {
    Executed {
        status: Status::InternalError,
        result: json::object("error", text),
        trail,
        timed_out: false,
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
