//! Time passing: leases that end, and probes of computers that have none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::{Scheme, quic};
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::fleet::Fleet;
use crate::names::Address;
use crate::registry::{Probe, Registry};

/// Leases are looked at at least so often; shorter than the shortest lease, so
/// that none ends unnoticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Probes under way at the same time.
const PROBES_AT_ONCE: usize = 256;

/// Ends leases as they run out.
pub(crate) async fn leases(fleet: Arc<Fleet>) {
    loop {
        fleet.happens(Registry::expire);
        let remaining = fleet
            .next_expiry()
            .map(|until| until.saturating_duration_since(Instant::now()));
        sleep(remaining.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))).await;
    }
}

/// Probes the computers that never renew, round after round.
pub(crate) async fn probes(fleet: Arc<Fleet>) {
    loop {
        sleep(fleet.liveness().probe_interval).await;
        let probe = async |computer: Address| {
            let within = fleet.liveness().probe_timeout;
            let outcome = match computer.scheme() {
                Scheme::Unsaid => connect(&computer, within).await,
                Scheme::Quic | Scheme::H3 => ask(&computer, within).await,
            };
            fleet.happens(|registry, now| registry.probed(now, &computer, outcome));
        };
        stream::iter(fleet.to_probe())
            .for_each_concurrent(PROBES_AT_ONCE, probe)
            .await;
    }
}

/// A computer that accepts a connection is alive enough; whether it answers
/// requests well is for the routers to learn.
#[expect(
    clippy::disallowed_methods,
    reason = "within a time-out, and nothing is to be sent"
)]
async fn connect(computer: &Address, within: Duration) -> Probe {
    let connecting = TcpStream::connect((computer.host(), computer.port()));
    match timeout(within, connecting).await {
        Ok(Ok(_)) => Probe::Answered,
        Ok(Err(error)) => {
            tracing::debug!(%computer, %error, "probe failed");
            Probe::Failed
        }
        Err(_) => {
            tracing::debug!(%computer, ?within, "probe failed: no connection in time");
            Probe::Failed
        }
    }
}

/// The same for one that is served over QUIC, and perhaps not over TCP: it says which versions it
/// speaks to anybody, whatever certificates they have.
async fn ask(computer: &Address, within: Duration) -> Probe {
    match quic::probe(computer, within).await {
        Ok(()) => Probe::Answered,
        Err(error) => {
            tracing::debug!(%computer, %error, "probe failed");
            Probe::Failed
        }
    }
}
