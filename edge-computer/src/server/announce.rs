//! Tells the controller what is served here, again and again, and in the end that it is not.

use std::sync::Arc;
use std::time::Duration;

use edge_daemon::lifecycle::generation;
use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_proto::rpc::{ComputerInfo, computer_info};
use edge_transport::{Endpoint, control};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;

/// How long an announcement holds.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const EVERY: Duration = Duration::from_secs(3);
/// How soon the first attempt follows one that failed; each further one takes twice as long, up to
/// [`EVERY`].
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the controller may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A computer that is being announced.
#[derive(Debug)]
pub(super) struct Announcer {
    controller: Endpoint,
    client: EdgeControllerClient<Channel>,
    info: ComputerInfo,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Announcer {
    /// Announces `computer` on the present runtime, now and from time to time.
    pub(super) fn start(
        controller: Endpoint,
        tls: Option<Arc<rustls::ClientConfig>>,
        computer: &Endpoint,
        containers: Vec<computer_info::Container>,
    ) -> Self {
        let channel = control::channel(&controller, tls, ANSWERED_WITHIN);
        let client = EdgeControllerClient::new(channel);
        let info = ComputerInfo {
            edge_server_endpoint: computer.to_string(),
            containers,
            lease_ms: u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX),
            generation: generation(),
        };
        let stop = CancellationToken::new();
        let renewing = renew(
            controller.clone(),
            client.clone(),
            info.clone(),
            stop.clone(),
        );
        let task = AbortOnDropHandle::new(tokio::spawn(renewing));
        Self {
            controller,
            client,
            info,
            stop,
            task,
        }
    }

    /// Has the computer removed. The last announcement is waited for, so that it cannot overtake
    /// the removal.
    pub(super) async fn withdraw(mut self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            tracing::error!("the announcing task panicked");
        }
        let controller = &self.controller;
        match self.client.remove_computer(self.info).await {
            Ok(_) => tracing::info!(%controller, "removed from the controller"),
            Err(status) => {
                let reason = control::explain(&status);
                tracing::warn!(%controller, reason, "could not be removed from the controller");
            }
        }
    }

    /// Stops without a word.
    pub(super) fn abandon(self) {
        self.task.abort();
    }
}

/// Announces until it is told to stop, and tells of failures and recoveries, not of each attempt.
async fn renew(
    controller: Endpoint,
    mut client: EdgeControllerClient<Channel>,
    info: ComputerInfo,
    stop: CancellationToken,
) {
    let mut works = None;
    let mut failures: u32 = 0;
    loop {
        let announced = client.announce_computer(info.clone()).await;
        match &announced {
            Ok(_) if works != Some(true) => {
                tracing::info!(%controller, computer = info.edge_server_endpoint, "announced");
            }
            Err(status) if works != Some(false) => {
                let reason = control::explain(status);
                tracing::warn!(%controller, reason, "cannot be announced, trying on");
            }
            _ => {}
        }
        works = Some(announced.is_ok());
        failures = if announced.is_ok() {
            0
        } else {
            failures.saturating_add(1)
        };
        let pause = tokio::time::sleep(pause_after(failures));
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Until the next announcement, after so many in a row that failed.
fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => EVERY,
        Some(doublings) => RETRY_AFTER
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(EVERY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_announcement_is_tried_again_soon_and_never_later_than_a_renewal() {
        let seconds = |failures| pause_after(failures).as_secs();
        assert_eq!([0, 1, 2, 3, 4].map(seconds), [3, 1, 2, 3, 3]);
        assert_eq!(pause_after(u32::MAX), EVERY);
    }
}
