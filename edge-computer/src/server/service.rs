//! Executes one function, synchronously: what all kinds of requests come down to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::OK;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_proto::workflow::Workflow;
use edge_transport::Endpoint;

use super::asynchronous::Asynchronous;
use super::channels::Channels;
use super::metrics::Metrics;
use crate::executor::{Execution, ExecutionError, Executor, Invocation};
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
}

impl<E: Executor> Service<E> {
    /// How long the request would take.
    pub(super) fn estimate(&self, request: &LambdaRequest) -> LambdaResponse {
        match self.executor.estimate(&request.name, request.input.len()) {
            Err(error) => refusal(&error),
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
            }
        }
    }

    /// Executes the function of `request`, at the latest until `deadline`, and brings the remote
    /// states home that it depends on. The inputs of the request are taken out of it.
    pub(super) async fn execute(
        &self,
        request: &mut LambdaRequest,
        workflow: &Workflow,
        deadline: Instant,
    ) -> LambdaResponse {
        let accepted = Instant::now();
        let max_wait = longest_wait(request);
        let invocation = Invocation {
            lambda: request.name.clone(),
            input: std::mem::take(&mut request.input),
            datain: std::mem::take(&mut request.datain),
            states: std::mem::take(&mut request.states),
            max_wait,
        };
        let execution = match self.executor.run(invocation, deadline).await {
            Ok(execution) => execution,
            Err(error) => return refusal(&error),
        };
        let mut response = answer(execution, accepted.elapsed());
        let needed = workflow.states_of(&request.name);
        let home = self.home.as_ref();
        let moved = bring_home(home, &self.channels, &needed, &mut response.states);
        match tokio::time::timeout_at(deadline.into(), moved).await {
            Ok(Ok(())) => response,
            Ok(Err(error)) => LambdaResponse::error(Outcome::ApplicationError, error.to_string()),
            Err(_) => {
                let text = format!(
                    "deadline exceeded: the states of lambda {} did not arrive in time",
                    request.name
                );
                LambdaResponse::error(Outcome::Deadline, text)
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
        ..success()
    }
}

fn success() -> LambdaResponse {
    LambdaResponse {
        retcode: OK.to_owned(),
        outcome: Outcome::Ok as i32,
        ..LambdaResponse::default()
    }
}

pub(super) fn refusal(error: &ExecutionError) -> LambdaResponse {
    LambdaResponse::error(error.outcome(), error.to_string())
}

/// How long the request wants to wait for its turn at the most; `None`: as long as it takes.
pub(super) fn longest_wait(request: &LambdaRequest) -> Option<Duration> {
    let micros = request.max_wait_us;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
