//! Tells the controller that this router is there, again and again.

use std::time::Duration;

use edge_proto::rpc::RouterInfo;
use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_transport::control;
use edge_transport::control::Channel;
use tokio_util::sync::CancellationToken;

/// How long an announcement holds.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often it is renewed at a controller of another make. Such a controller
/// knows no leases and answers each announcement by setting all weights anew;
/// but when it has been restarted, an announcement is all that it learns from.
const RENEW_ELSEWHERE_EVERY: Duration = Duration::from_secs(60);
/// How soon the next attempt follows one that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Announces `info` through `channel` until `stop`. A controller that cannot
/// be reached is told of once, and once again when it is back.
pub(crate) async fn keep_announced(channel: Channel, info: RouterInfo, stop: CancellationToken) {
    let mut controller = EdgeControllerClient::new(channel);
    let mut reached = None;
    loop {
        let announced = tokio::select! {
            () = stop.cancelled() => return,
            announced = controller.announce_router(info.clone()) => announced,
        };
        let pause = match announced {
            Ok(response) => {
                if reached != Some(true) {
                    tracing::info!(router = %info.edge_server_endpoint, "announced to the controller");
                }
                reached = Some(true);
                if control::is_ours(&response) {
                    RENEW_EVERY
                } else {
                    RENEW_ELSEWHERE_EVERY
                }
            }
            Err(status) => {
                if reached != Some(false) {
                    tracing::warn!(
                        error = control::explain(&status),
                        "cannot reach the controller, going on trying"
                    );
                }
                reached = Some(false);
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
