//! A lambda service of decoded messages, for those who execute rather than forward.

mod elements;

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use futures_util::FutureExt as _;
use prost::Message as _;
use std::time::Instant;
use tonic::Status;

use crate::{Core, LambdaCall, LambdaReply, LambdaService, Metadata, Peer};

/// An answer that has yet to be encoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TypedReply {
    /// The message.
    pub response: LambdaResponse,
    /// Trailing metadata for the caller.
    pub trailers: Metadata,
}

impl From<LambdaResponse> for TypedReply {
    /// Without trailing metadata.
    fn from(response: LambdaResponse) -> Self {
        Self {
            response,
            trailers: Metadata::new(),
        }
    }
}

/// Answers decoded requests.
pub trait LambdaHandler: Send + Sync + 'static {
    /// Answers `request`, whose caller waits until `deadline`. Dropped when
    /// the caller cancels.
    ///
    /// # Errors
    /// A text for a person; it becomes the `retcode`, with the name of the
    /// lambda, as an error of the application.
    fn handle(
        &self,
        core: &Core,
        request: LambdaRequest,
        deadline: Instant,
    ) -> impl Future<Output = Result<TypedReply, String>> + Send;
}

/// Makes a [`LambdaService`] of a [`LambdaHandler`]: decodes, encodes, turns
/// errors and panics of the handler into a `retcode`.
#[derive(Debug, Clone)]
pub struct Typed<H>(pub H);

impl<H: LambdaHandler> LambdaService for Typed<H> {
    async fn run(&self, core: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        if elements::are_too_many(&call.message) {
            let why = format!("more than {} names, numbers and states", elements::MOST);
            return Ok(encoded(malformed(&why).into()));
        }
        let request = match LambdaRequest::decode(call.message) {
            Ok(request) => request,
            Err(error) => return Ok(encoded(malformed(&error).into())),
        };
        let name = request.name.clone();
        let handled = AssertUnwindSafe(self.0.handle(core, request, call.deadline));
        let reply = match handled.catch_unwind().await {
            Ok(Ok(reply)) => reply,
            Ok(Err(what)) => invalid(&name, &what).into(),
            Err(panic) => {
                let what = panic_text(panic.as_ref());
                tracing::error!(lambda = %name, panic = %what, "a lambda handler panicked");
                invalid(&name, &what).into()
            }
        };
        Ok(encoded(reply))
    }
}

/// The answer to bytes that are no request.
pub fn malformed(error: &dyn std::fmt::Display) -> LambdaResponse {
    let text = format!("malformed request: {error}");
    LambdaResponse::error(Outcome::ApplicationError, text)
}

fn invalid(name: &str, what: &str) -> LambdaResponse {
    let text = format!("invalid '{name}' request: {what}");
    LambdaResponse::error(Outcome::ApplicationError, text)
}

fn encoded(reply: TypedReply) -> LambdaReply {
    LambdaReply {
        message: Bytes::from(reply.response.encode_to_vec()),
        trailers: reply.trailers,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown reasons")
        .to_owned()
}
