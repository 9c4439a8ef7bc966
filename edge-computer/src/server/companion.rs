//! The edge router through which the next function of a chain or graph is called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient};
use prost::Message as _;

use super::security::Security;

/// How often the next function is called.
const ATTEMPTS: u32 = 3;
/// Pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the acknowledgement of the next function may take.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// How long it may take to learn whether the caller of a failed graph has been told already.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// The companion, with connections on each core.
#[derive(Debug)]
pub(super) struct Companion {
    endpoint: Endpoint,
    clients: Vec<LambdaClient>,
}

/// Why the next function was not called.
#[derive(Debug, thiserror::Error)]
#[error("function {function} cannot be called through {companion}: {reason}")]
pub(super) struct ForwardError {
    function: String,
    companion: Endpoint,
    reason: String,
    pub(super) outcome: Outcome,
}

/// How one attempt failed, and whether another one may do better and does no harm.
struct Failure {
    reason: String,
    outcome: Outcome,
    again: bool,
}

impl Companion {
    pub(super) fn new(endpoint: Endpoint, cores: &Cores, security: &Security) -> Self {
        let options = Arc::new(ClientOptions {
            tls: security.lambda_client.clone(),
            quic: security.quic_client.clone(),
            ..ClientOptions::default()
        });
        let client = |core: &Core| LambdaClient::new(core.clone(), options.clone());
        Self {
            endpoint,
            clients: cores.all().iter().map(client).collect(),
        }
    }

    /// Calls the next function, and waits until it is acknowledged.
    pub(super) async fn forward(
        &self,
        core: &Core,
        request: &LambdaRequest,
    ) -> Result<(), ForwardError> {
        let message = Bytes::from(request.encode_to_vec());
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let Err(failure) = self.attempt(core, message.clone()).await else {
                return Ok(());
            };
            if attempt == ATTEMPTS || !failure.again {
                return Err(ForwardError {
                    function: request.name.clone(),
                    companion: self.endpoint.clone(),
                    reason: failure.reason,
                    outcome: failure.outcome,
                });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// Says that the graph of `request` has failed where its branches would have met, at function
    /// `name` at the position `index`. True if somebody has said so before, and told the caller; not
    /// if that cannot be learnt.
    pub(super) async fn has_failed_before(
        &self,
        core: &Core,
        request: &LambdaRequest,
        name: &str,
        index: u32,
    ) -> bool {
        let question = LambdaRequest {
            name: name.to_owned(),
            uuid: request.uuid.clone(),
            hops: request.hops.saturating_add(1),
            next_function_index: index,
            dry: true,
            given_up: true,
            ..LambdaRequest::default()
        };
        let call = LambdaCall {
            message: Bytes::from(question.encode_to_vec()),
            metadata: edge_transport::Metadata::new(),
            deadline: Instant::now() + ASKED_WITHIN,
        };
        let reply = self.clients[core.index()].call(&self.endpoint, &call).await;
        let answer = reply.map(|reply| LambdaResponse::decode(reply.message));
        matches!(answer, Ok(Ok(answer)) if answer.is_ok() && answer.asynchronous)
    }

    async fn attempt(&self, core: &Core, message: Bytes) -> Result<(), Failure> {
        let call = LambdaCall {
            message,
            metadata: edge_transport::Metadata::new(),
            deadline: Instant::now() + ACKNOWLEDGED_WITHIN,
        };
        let reply = self.clients[core.index()].call(&self.endpoint, &call).await;
        let reply = reply.map_err(|error| Failure {
            again: error.never_left(),
            reason: error.to_string(),
            outcome: Outcome::Unavailable,
        })?;
        let answer = LambdaResponse::decode(reply.message).map_err(|error| Failure {
            again: false,
            reason: format!("its answer is malformed: {error}"),
            outcome: Outcome::Unavailable,
        })?;
        if answer.is_ok() && answer.asynchronous {
            return Ok(());
        }
        if answer.is_ok() {
            return Err(Failure {
                again: false,
                reason: "it was answered instead of acknowledged".to_owned(),
                outcome: Outcome::ApplicationError,
            });
        }
        // Peers that know only retcodes do not say what is at fault.
        let outcome = match answer.outcome() {
            Outcome::Unspecified | Outcome::Ok => Outcome::ApplicationError,
            outcome => outcome,
        };
        Err(Failure {
            again: matches!(outcome, Outcome::Refused | Outcome::Overloaded),
            reason: answer.retcode,
            outcome,
        })
    }
}
