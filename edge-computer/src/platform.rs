//! The simulated platform in real time: a [`Computer`] whose clock is that of the machine.

mod acceptance;
mod clock;
mod shared;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::rpc::{Utilization, computer_info};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout_at;

use self::shared::{End, Shared, Ticket};
use crate::executor::{Execution, ExecutionError, Executor, Invocation, Snapshot, Standing, Terms};
use crate::sim::{Computer, Estimator, Output, SetSpeedError};

/// A simulated computer that executes in real time, thousands of requests at once.
///
/// A thread of its own wakes up when something ends; tokio's timers tick once per millisecond,
/// which is longer than many lambdas take.
#[derive(Debug)]
pub struct Simulated {
    shared: Arc<Shared>,
    clock: Mutex<Option<JoinHandle<()>>>,
}

impl Simulated {
    /// Starts the clock of `computer`, on which nobody waits longer than `max_wait` for a worker.
    /// Dry requests are answered by `estimator`.
    ///
    /// # Errors
    /// If the system refuses the thread.
    pub fn start(
        computer: Computer,
        estimator: Estimator,
        max_wait: Duration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(computer, estimator, max_wait));
        let ticking = shared.clone();
        let clock = std::thread::Builder::new()
            .name("sim-clock".to_owned())
            .spawn(move || clock::tick(&ticking))?;
        Ok(Self {
            shared,
            clock: Mutex::new(Some(clock)),
        })
    }

    /// Multiplies the configured speed of all processors, from now on: 0.1 makes them ten times
    /// slower, 1 makes them what they were at the start.
    ///
    /// # Errors
    /// If the factor is not positive, or the product is no possible speed; processors in the
    /// order of their names before the one that is named have changed then.
    pub fn set_speed_factor(&self, factor: f64) -> Result<(), SetSpeedError> {
        self.shared.set_speed_factor(factor)
    }

    /// Stops the clock; whoever waits for an execution learns that it will not come.
    pub fn stop(&self) {
        self.shared.stop();
        let clock = self
            .clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if clock.is_some_and(|clock| clock.join().is_err()) {
            tracing::error!("the clock of the simulated platform panicked");
        }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Executor for Simulated {
    async fn run(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<Execution, ExecutionError> {
        let terms = invocation.terms(deadline);
        let (ticket, mut end) = Ticket::take(&self.shared, &terms)?;
        let latest = ticket.latest_start.unwrap_or(deadline).min(deadline);
        let mut ended = timeout_at(latest.into(), &mut end).await;
        if ended.is_err() && latest < deadline {
            if let Some(overdue) = ticket.overdue(&terms) {
                return Err(overdue);
            }
            ended = timeout_at(deadline.into(), end).await;
        }
        let lambda = || invocation.lambda.clone();
        let completion = match ended {
            Ok(Ok(End::Done(completion))) => completion,
            Ok(Ok(End::NeverBegan)) => return Err(ExecutionError::Stopping { lambda: lambda() }),
            Ok(Err(_)) => return Err(ExecutionError::CutOff { lambda: lambda() }),
            Err(_) => return Err(ExecutionError::Deadline { lambda: lambda() }),
        };
        ticket.redeem();
        Ok(Execution {
            output: match completion.output {
                Output::CopyInput => invocation.input,
                Output::Fixed(text) => text.to_string(),
            },
            dataout: Bytes::new(),
            states: invocation.states,
            loads: completion.loads,
            service: completion.service,
            cold_start: None,
        })
    }

    fn admits(&self, terms: Terms<'_>) -> Result<(), ExecutionError> {
        self.shared.admits(&terms)
    }

    fn estimate(&self, lambda: &str, input_bytes: usize) -> Result<Duration, ExecutionError> {
        self.shared.estimate(lambda, input_bytes)
    }

    fn standing(&self, lambda: &str) -> Option<Standing> {
        self.shared.with_computer(|computer| {
            let status = computer.status(lambda)?;
            let waiting = u32::try_from(status.pending).unwrap_or(u32::MAX);
            Some(Standing {
                in_flight: status.active.saturating_add(waiting),
                workers: status.workers,
                loads: computer.loads(lambda),
            })
        })
    }

    fn containers(&self) -> Vec<computer_info::Container> {
        self.shared.with_computer(view::containers)
    }

    /// Never: what is simulated is configured.
    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn takes_states(&self) -> bool {
        true
    }

    fn snapshot(&self) -> Snapshot {
        self.shared.with_computer(view::snapshot)
    }

    fn utilization(&self) -> broadcast::Receiver<Arc<Utilization>> {
        self.shared.samples.subscribe()
    }

    async fn close(&self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
