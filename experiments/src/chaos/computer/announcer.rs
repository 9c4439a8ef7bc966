//! Tells a controller that the computer is there, as `edgecomputer` does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_proto::rpc::{ComputerInfo, computer_info};
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};
use tokio_util::task::AbortOnDropHandle;

/// How long an announcement holds.
const LEASE: Duration = Duration::from_secs(10);
/// How often it is repeated.
const EVERY: Duration = Duration::from_secs(1);
/// How long the controller may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A computer that is being announced.
#[derive(Debug)]
pub(super) struct Announcer {
    client: EdgeControllerClient<Channel>,
    info: ComputerInfo,
    task: AbortOnDropHandle<()>,
}

impl Announcer {
    pub(super) fn start(
        controller: &Endpoint,
        computer: &Endpoint,
        containers: Vec<computer_info::Container>,
    ) -> Self {
        let client = EdgeControllerClient::new(control::channel(controller, None, ANSWERED_WITHIN));
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let generation = since_epoch.unwrap_or_default().as_millis();
        let info = ComputerInfo {
            edge_server_endpoint: computer.to_string(),
            containers,
            lease_ms: u32::try_from(LEASE.as_millis()).unwrap_or(u32::MAX),
            generation: u64::try_from(generation).unwrap_or(u64::MAX),
        };
        let renewing = renew(client.clone(), info.clone());
        Self {
            client,
            info,
            task: AbortOnDropHandle::new(tokio::spawn(renewing)),
        }
    }

    /// Has the computer removed.
    pub(super) async fn withdraw(mut self) {
        self.task.abort();
        if let Err(status) = self.client.remove_computer(self.info).await {
            eprintln!("not removed: {}", control::explain(&status));
        }
    }
}

async fn renew(mut client: EdgeControllerClient<Channel>, info: ComputerInfo) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        // A controller that is away is what these experiments are about.
        let _answered = client.announce_computer(info.clone()).await;
    }
}
