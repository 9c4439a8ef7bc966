//! One request from its arrival to its answer: a worker, a container, the execution.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout_at;

use super::container::Host;
use super::execution::{Executed, Prepared};
use super::pool::Pool;
use super::protocol::{Activated, Activation};
use crate::executor::{ExecutionError, Terms};
use crate::turns::Turn;

/// Containers that turn out to be gone before a request is given up.
const MAX_GONE: usize = 3;

impl Pool {
    /// Executes the function once.
    ///
    /// # Errors
    /// If it was not executed, or the platform failed. What the function does wrong is no error
    /// but an [`Activated`] that says so.
    pub async fn activate(
        self: &Arc<Self>,
        activation: Activation,
        terms: &Terms<'_>,
    ) -> Result<Activated, ExecutionError> {
        let arrived = Instant::now();
        self.in_service()?;
        let mut turn = Some(self.turns.enter(0, terms).await?);
        let deadline = terms.deadline;
        let activation = Arc::new(activation);
        let mut gone = "its containers end by themselves".to_owned();
        for _ in 0..MAX_GONE {
            let lease = self.lease(terms, arrived).await?;
            // A server cannot be told to stop: it is busy until it answers, whoever waits.
            let goes_on = matches!(lease.container.host, Host::Endpoint(..));
            let latest = if goes_on {
                self.latest()
            } else {
                deadline.min(self.latest())
            };
            let prepared = lease.prepare(activation.clone(), arrived.elapsed(), latest);
            let prepared = timeout_at(deadline.into(), prepared).await;
            let (lease, activated) = match prepared.map_err(|_| self.too_late(arrived))?? {
                Prepared::Ready(lease, activated) => (lease, activated),
                // What it took says nothing about executions.
                Prepared::Failed(activated) => return Ok(activated),
                Prepared::Gone(fault) => {
                    gone = fault;
                    continue;
                }
            };
            let activation = activation.clone();
            let executing = async move {
                let executed = lease.execute(&activation, activated, latest).await;
                let turn = learn(turn, &executed);
                (executed, turn)
            };
            let (executed, back) = if goes_on {
                let executed = timeout_at(deadline.into(), tokio::spawn(executing)).await;
                let executed = executed.map_err(|_| self.late())?;
                executed.map_err(|_| self.cut_off())?
            } else {
                let executed = timeout_at(deadline.into(), executing).await;
                executed.map_err(|_| self.late())?
            };
            match executed? {
                Executed::Done(activated, _) => return Ok(activated),
                Executed::Gone(fault) => (gone, turn) = (fault, back),
            }
        }
        Err(self.unavailable(&gone))
    }

    /// When an execution that begins now has to be done.
    fn latest(&self) -> Instant {
        Instant::now() + self.function.limits.timeout
    }

    fn late(&self) -> ExecutionError {
        let lambda = self.function.name.clone();
        ExecutionError::Deadline { lambda }
    }
}

/// Those who come next are told how long it took, and the turn is over; else it is still to be used.
fn learn(turn: Option<Turn>, executed: &Result<Executed, ExecutionError>) -> Option<Turn> {
    match (turn, executed) {
        (Some(turn), Ok(Executed::Done(_, Some(service)))) => {
            turn.executed(*service);
            None
        }
        (turn, _) => turn,
    }
}
