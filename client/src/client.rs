//! Calls a lambda at one end-point.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::{CallError, Endpoint, LambdaCall, LambdaClient, Metadata};
use prost::Message as _;

use crate::RequestError;

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What came back; it is OK.
    pub response: LambdaResponse,
    /// Time from the call to the answer, connecting included.
    pub latency: Duration,
}

/// A client of one end-point.
///
/// Any number of calls may be under way at the same time. They share the
/// connection of the [`LambdaClient`] to that end-point, which is opened by the
/// first call and replaced when it breaks.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<LambdaClient>,
    endpoint: Endpoint,
}

impl Client {
    /// A client of `endpoint` on the connections of `transport`.
    pub fn new(transport: Arc<LambdaClient>, endpoint: Endpoint) -> Self {
        Self {
            transport,
            endpoint,
        }
    }

    /// Whom this client calls.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `request` and waits for its answer, at most for `timeout`.
    /// Dropping the future cancels the request at the peer.
    ///
    /// # Errors
    /// If no answer came, or one whose `retcode` is not "OK".
    pub async fn call(
        &self,
        request: &LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        let begin = Instant::now();
        let call = LambdaCall {
            message: request.encode_to_vec().into(),
            metadata: Metadata::new(),
            deadline: begin + timeout,
        };
        let response = exchange(&self.transport, &self.endpoint, &call).await?;
        Ok(Answer {
            response,
            latency: begin.elapsed(),
        })
    }
}

/// One attempt at one end-point; an answer that is not OK is an error.
pub(crate) async fn exchange(
    transport: &LambdaClient,
    endpoint: &Endpoint,
    call: &LambdaCall,
) -> Result<LambdaResponse, RequestError> {
    let reply = transport.call(endpoint, call).await?;
    let response = LambdaResponse::decode(reply.message).map_err(|error| CallError::Invalid {
        endpoint: endpoint.clone(),
        reason: error.to_string(),
    })?;
    RequestError::unless_ok(response)
}
