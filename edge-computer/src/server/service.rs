//! Executes one function, synchronously: what all kinds of requests come down to.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_proto::workflow::Workflow;
use edge_transport::{Endpoint, Seldom};

use super::answer::{Answer, success};
use super::asynchronous::Asynchronous;
use super::channels::Channels;
use super::metrics::Metrics;
use crate::executor::{Execution, ExecutionError, Executor, Invocation, Patience};
use crate::states::{StateHome, bring_home};

/// What all requests of a computer share.
#[derive(Debug)]
pub(super) struct Service<E> {
    pub(super) executor: Arc<E>,
    /// Under which others know this computer.
    pub(super) endpoint: Endpoint,
    pub(super) channels: Channels,
    pub(super) home: Option<StateHome>,
    pub(super) asynchronous: Option<Asynchronous>,
    pub(super) metrics: Metrics,
    /// When lost answers were logged.
    pub(super) lost: Seldom,
    /// Until when requests in flight may take, once the computer is asked to end; no new ones are
    /// taken from then on.
    pub(super) draining_until: OnceLock<Instant>,
}

impl<E: Executor> Service<E> {
    /// How long the request would take.
    pub(super) fn estimate(&self, request: &LambdaRequest) -> Answer {
        match self.executor.estimate(&request.name, request.input.len()) {
            Err(error) => error.into(),
            Ok(duration) => {
                let loads = self.executor.standing(&request.name);
                let [load1, load10, load30] = loads.unwrap_or_default().loads.percent();
                LambdaResponse {
                    ptime: u32::try_from(duration.as_millis()).unwrap_or(u32::MAX),
                    load1,
                    load10,
                    load30,
                    ..success()
                }
                .into()
            }
        }
    }

    /// Executes the function of `request`, if it can be done until `deadline`, and brings the remote
    /// states home that it depends on. The inputs of the request are taken out of it.
    pub(super) async fn execute(
        &self,
        request: &mut LambdaRequest,
        workflow: &Workflow,
        patience: Patience,
        deadline: Instant,
    ) -> Answer {
        let accepted = Instant::now();
        let needed = workflow.states_of(&request.name);
        if let Some(state) = needed.first()
            && !self.executor.takes_states()
        {
            let text = format!(
                "lambda {} depends on state '{state}', which functions do not get here",
                request.name
            );
            return Answer::error(Outcome::ApplicationError, text);
        }
        let invocation = Invocation {
            lambda: request.name.clone(),
            uuid: request.uuid.clone(),
            hops: request.hops,
            input: std::mem::take(&mut request.input),
            datain: std::mem::take(&mut request.datain),
            states: std::mem::take(&mut request.states),
            patience,
        };
        let execution = match self.executor.run(invocation, deadline).await {
            Ok(execution) => execution,
            Err(ExecutionError::Failed { text, execution }) => {
                return LambdaResponse {
                    retcode: text,
                    outcome: Outcome::ApplicationError as i32,
                    ..answer(*execution, accepted.elapsed())
                }
                .into();
            }
            Err(error) => return error.into(),
        };
        let mut response = answer(execution, accepted.elapsed());
        let home = self.home.as_ref();
        let moved = bring_home(home, &self.channels, &needed, &mut response.states);
        match tokio::time::timeout_at(deadline.into(), moved).await {
            Ok(Ok(())) => response.into(),
            Ok(Err(error)) => Answer::error(Outcome::ApplicationError, error.to_string()),
            Err(_) => {
                let text = format!(
                    "deadline exceeded: the states of lambda {} did not arrive in time",
                    request.name
                );
                Answer::error(Outcome::Deadline, text)
            }
        }
    }
}

/// The answer to an executed request that took `processing` since it was accepted.
fn answer(execution: Execution, processing: Duration) -> LambdaResponse {
    let [load1, load10, load30] = execution.loads.percent();
    let rounded_ms = (processing + Duration::from_micros(500)).as_millis();
    LambdaResponse {
        output: execution.output,
        dataout: execution.dataout,
        states: execution.states,
        ptime: u32::try_from(rounded_ms).unwrap_or(u32::MAX),
        load1,
        load10,
        load30,
        service_us: micros(execution.service),
        cold_start_us: execution.cold_start.map_or(0, micros),
        ..success()
    }
}

/// How long the request may wait for its turn, as its sender put it.
pub(super) fn patience(request: &LambdaRequest) -> Patience {
    match request.max_wait_us {
        0 => Patience::Usual,
        micros => Patience::AtMost(Duration::from_micros(micros)),
    }
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
