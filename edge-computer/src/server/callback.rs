//! Answers of asynchronous requests on their way to those who asked for them.

use std::time::{Duration, Instant};

use edge_proto::rpc::LambdaResponse;
use edge_proto::rpc::callback_server_client::CallbackServerClient;
use edge_transport::{Endpoint, Seldom, control};
use tonic::Code;

use super::channels::Channels;

/// How often a callback is tried.
const ATTEMPTS: u32 = 3;
/// Pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);

/// Hands `response` to the callback server at `endpoint`. False if it could not be delivered,
/// which has been logged then if a line about `lost` answers was due: anybody can cause them.
pub(super) async fn deliver(
    channels: &Channels,
    lost: &Seldom,
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
            if let Some(unlogged) = lost.due(Instant::now()) {
                let reason = control::explain(&status);
                tracing::warn!(
                    callback = %endpoint, uuid = ?beginning(&uuid), attempt,
                    reason = ?beginning(&reason), unlogged,
                    "an answer is lost: its callback failed"
                );
            }
            return false;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        attempt += 1;
    }
}

/// As much of a text from outside as a log line takes.
pub(crate) fn beginning(text: &str) -> &str {
    const MOST: usize = 128;
    &text[..text.floor_char_boundary(MOST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_identity_a_log_line_has_the_beginning() {
        assert_eq!(beginning("short"), "short");
        let long = "\u{e4}".repeat(65);
        assert_eq!(beginning(&format!("x{long}")).len(), 127);
    }
}
