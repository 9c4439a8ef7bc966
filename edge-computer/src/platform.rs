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
use tokio::sync::broadcast;

use self::shared::{Shared, Ticket};
use crate::executor::{Execution, ExecutionError, Executor, Invocation, Snapshot, Standing};
use crate::sim::{Computer, Estimator, Output, SetSpeedError, SubmitError};

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
    /// Starts the clock of `computer`. Dry requests are answered by `estimator`.
    ///
    /// # Errors
    /// If the system refuses the thread.
    pub fn start(computer: Computer, estimator: Estimator) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(computer, estimator));
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
        let (ticket, completion) = Ticket::take(&self.shared, &invocation)?;
        let completion = match tokio::time::timeout_at(deadline.into(), completion).await {
            Ok(Ok(completion)) => completion,
            Ok(Err(_)) => {
                let lambda = invocation.lambda;
                return Err(ExecutionError::Stopping { lambda });
            }
            Err(_) => {
                let lambda = invocation.lambda;
                return Err(ExecutionError::Deadline { lambda });
            }
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
        })
    }

    fn admits(
        &self,
        lambda: &str,
        input_bytes: usize,
        max_wait: Option<Duration>,
    ) -> Result<(), ExecutionError> {
        self.shared.admits(lambda, input_bytes, max_wait)
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

    fn snapshot(&self) -> Snapshot {
        self.shared.with_computer(view::snapshot)
    }

    fn utilization(&self) -> broadcast::Receiver<Arc<Utilization>> {
        self.shared.samples.subscribe()
    }
}

impl From<SubmitError> for ExecutionError {
    fn from(error: SubmitError) -> Self {
        let text = error.to_string();
        match error {
            SubmitError::UnknownLambda { .. } => Self::NotFound(text),
            SubmitError::TooLarge { .. } => Self::Application(text),
            SubmitError::QueueFull { .. } => Self::Overloaded(text),
        }
    }
}

#[cfg(test)]
mod tests;
