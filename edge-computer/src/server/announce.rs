//! Tells the controller what is served here, again and again, and in the end that it is not.

use std::sync::Arc;
use std::time::Duration;

use edge_daemon::lifecycle::generation;
use edge_proto::rpc::ComputerInfo;
use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::executor::Executor;

/// How long an announcement holds.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const EVERY: Duration = Duration::from_secs(3);
/// How soon the first attempt follows one that failed; each further one takes twice as long, up to
/// [`EVERY`].
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the controller may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How long changes are waited for that come together, a listing of functions for example.
const SETTLES_WITHIN: Duration = Duration::from_millis(20);

/// A computer that is being announced.
#[derive(Debug)]
pub(super) struct Announcer {
    controller: Endpoint,
    client: EdgeControllerClient<Channel>,
    stop: CancellationToken,
    task: AbortOnDropHandle<ComputerInfo>,
}

impl Announcer {
    /// Announces `computer` on the present runtime: now, from time to time, and whenever what
    /// `executor` serves changes.
    pub(super) fn start<E: Executor>(
        controller: Endpoint,
        tls: Option<Arc<rustls::ClientConfig>>,
        computer: &Endpoint,
        executor: Arc<E>,
    ) -> Self {
        let channel = control::channel(&controller, tls, ANSWERED_WITHIN);
        let client = EdgeControllerClient::new(channel);
        let stop = CancellationToken::new();
        let announcement = Announcement {
            changes: executor.changes(),
            info: ComputerInfo {
                edge_server_endpoint: computer.to_string(),
                containers: executor.containers(),
                lease_ms: u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX),
                generation: generation(),
            },
            executor,
        };
        let renewing = renew(
            controller.clone(),
            client.clone(),
            announcement,
            stop.clone(),
        );
        let task = AbortOnDropHandle::new(tokio::spawn(renewing));
        Self {
            controller,
            client,
            stop,
            task,
        }
    }

    /// Has the computer removed. The last announcement is waited for, so that it cannot overtake
    /// the removal.
    pub(super) async fn withdraw(mut self) {
        self.stop.cancel();
        let Ok(info) = self.task.await else {
            tracing::error!("the announcing task panicked");
            return;
        };
        let controller = &self.controller;
        match self.client.remove_computer(info).await {
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

/// What is announced, and where to learn what is served by now.
#[derive(Debug)]
struct Announcement<E> {
    executor: Arc<E>,
    changes: watch::Receiver<u64>,
    info: ComputerInfo,
}

impl<E: Executor> Announcement<E> {
    /// Brings it up to date. Another generation says that it is not the same again.
    fn refresh(&mut self) {
        self.changes.mark_unchanged();
        let containers = self.executor.containers();
        if containers != self.info.containers {
            tracing::info!(
                before = self.info.containers.len(),
                now = containers.len(),
                "what is served has changed"
            );
            self.info.containers = containers;
            self.info.generation = generation().max(self.info.generation + 1);
        }
    }

    /// Returns after `pause`, or soon after a change. Without an executor there are no changes any
    /// more, and only the pause counts.
    async fn due(&mut self, pause: Duration) {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        let changed = async {
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = &mut pause => {}
            () = changed => tokio::time::sleep(SETTLES_WITHIN).await,
        }
    }
}

/// Announces until it is told to stop, and tells of failures and recoveries, not of each attempt.
/// Returns what was announced last.
async fn renew<E: Executor>(
    controller: Endpoint,
    mut client: EdgeControllerClient<Channel>,
    mut announcement: Announcement<E>,
    stop: CancellationToken,
) -> ComputerInfo {
    let mut works = None;
    let mut failures: u32 = 0;
    loop {
        announcement.refresh();
        let info = &announcement.info;
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
        // Who cannot be reached is not asked more often because there is more to say.
        let pause = pause_after(failures);
        let due = async {
            if failures == 0 {
                announcement.due(pause).await;
            } else {
                tokio::time::sleep(pause).await;
            }
        };
        if stop.run_until_cancelled(due).await.is_none() {
            return announcement.info;
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
