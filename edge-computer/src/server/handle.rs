//! A running computer: where it is, how it is changed, how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_daemon::admin::{Readiness, RunningAdmin};
use edge_transport::services::Health;
use edge_transport::{Cores, Endpoint, ServerHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::announce::Announcer;
use super::service::Service;
use crate::executor::Executor;
use crate::platform::Simulated;
use crate::sim::SetSpeedError;

/// A running computer, whose lambdas `E` executes. Dropped, it ends like one that is killed, but
/// nobody waits for it.
#[derive(Debug)]
pub struct Handle<E: Executor = Simulated> {
    pub(super) endpoint: Endpoint,
    pub(super) executor: Arc<E>,
    pub(super) service: Arc<Service<E>>,
    pub(super) cores: Arc<Cores>,
    pub(super) lambda: ServerHandle,
    pub(super) utilization: Option<ServerHandle>,
    pub(super) state: Option<ServerHandle>,
    /// Ends the streams of utilisation.
    pub(super) streams: CancellationToken,
    pub(super) admin: Option<RunningAdmin>,
    pub(super) readiness: Readiness,
    /// Of each port, whether it is there or not.
    pub(super) health: [Health; 3],
    pub(super) announcer: Option<Announcer>,
    pub(super) sweeper: AbortOnDropHandle<()>,
}

impl<E: Executor> Drop for Handle<E> {
    fn drop(&mut self) {
        // The servers keep their cores alive until they end. After a shutdown there is no core
        // left to run this, and nothing to do.
        let servers = [&self.utilization, &self.state].into_iter().flatten();
        for server in servers.chain([&self.lambda]) {
            let server = server.clone();
            self.cores.all()[0].spawn(async move { server.kill().await });
        }
    }
}

impl Handle<Simulated> {
    /// Makes the simulated processors slower (below 1) or faster than they were configured, from
    /// now on; running requests keep what was done for them.
    ///
    /// # Errors
    /// If the factor is not positive, or no processor can be so fast or slow.
    pub fn set_speed_factor(&self, factor: f64) -> Result<(), SetSpeedError> {
        self.executor.set_speed_factor(factor)
    }
}

impl<E: Executor> Handle<E> {
    /// Under which the computer is announced.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where it serves lambdas.
    pub fn address(&self) -> SocketAddr {
        self.lambda.local_addr()
    }

    /// Where it streams its utilisation, if anywhere.
    pub fn utilization_address(&self) -> Option<SocketAddr> {
        self.utilization.as_ref().map(ServerHandle::local_addr)
    }

    /// Where its state server listens, if it has one.
    pub fn state_address(&self) -> Option<SocketAddr> {
        self.state.as_ref().map(ServerHandle::local_addr)
    }

    /// Where it shows metrics and health, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(RunningAdmin::address)
    }

    /// What executes its lambdas.
    pub fn executor(&self) -> &Arc<E> {
        &self.executor
    }

    /// Has itself removed from the controller, then takes no more requests, finishes what is in
    /// flight, callbacks included, and ends, all within `patience`; cuts off what is left then.
    /// True if nothing was.
    pub async fn shutdown(mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        self.readiness.not_ready("draining");
        for health in &self.health {
            health.leave().await;
        }
        if let Some(announcer) = self.announcer.take() {
            // The controller finds out by itself in the end.
            let _withdrawn = timeout_at(deadline, announcer.withdraw()).await;
        }
        // On connections that were there before, requests come in until their peers have heard.
        let until = self.service.draining_until.set(deadline.into_std());
        until.expect("a computer is shut down once");
        let answered = self.lambda.drain(left()).await;
        let finished = timeout_at(deadline, self.service.finish()).await.is_ok();
        self.streams.cancel();
        let mut closed = true;
        for server in [&self.utilization, &self.state].into_iter().flatten() {
            closed &= server.drain(left()).await;
        }
        self.sweeper.abort();
        self.cores.join().await;
        self.executor.close().await;
        if let Some(admin) = self.admin.take() {
            admin.stop().await;
        }
        answered && finished && closed
    }

    /// Ends at once, without a word to anybody: connections are reset, accepted requests
    /// forgotten, as when the process dies.
    pub async fn kill(mut self) {
        if let Some(announcer) = self.announcer.take() {
            announcer.abandon();
        }
        self.sweeper.abort();
        self.lambda.kill().await;
        for server in [&self.utilization, &self.state].into_iter().flatten() {
            server.kill().await;
        }
        self.cores.join().await;
        self.executor.close().await;
        drop(self.admin.take());
    }
}
