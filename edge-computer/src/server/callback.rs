//! Answers of asynchronous requests on their way to those who asked for them.

use std::time::Duration;

use edge_proto::rpc::LambdaResponse;
use edge_proto::rpc::callback_server_client::CallbackServerClient;
use edge_transport::{Endpoint, control};
use tonic::Code;

use super::channels::Channels;

/// How often a callback is tried.
const ATTEMPTS: u32 = 3;
/// Pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands `response` to the callback server at `endpoint`. False if it could not be delivered,
/// which has been logged then.
pub(super) async fn deliver(
    channels: &Channels,
    endpoint: &Endpoint,
    response: LambdaResponse,
) -> bool {
    let uuid = response.uuid.clone();
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let mut client = CallbackServerClient::new(channels.to(endpoint));
        let Err(status) = client.receive_response(response.clone()).await else {
            return true;
        };
        if attempt == ATTEMPTS || status.code() == Code::Unimplemented {
            tracing::warn!(
                callback = %endpoint, %uuid, attempt, reason = control::explain(&status),
                "an answer is lost: its callback failed"
            );
            return false;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        attempt += 1;
    }
}
