//! Runs actions on one core: lambdas through the routers, sequences step by step.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use edge_transport::{Core, LambdaClient, Metadata};

use crate::activation::{Activation, ActivationId, Kind, Status, Texts, Trail, now_ms};
use crate::ask::{Ask, Binary, Executed, Refusal};
use crate::json;
use crate::names::{ActionName, Known};
use crate::plan::Plan;
use crate::shared::Shared;
use crate::timers::Timers;

/// What is served by one core: its connections to routers, and all that the cores share.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) core: Core,
    pub(crate) client: LambdaClient,
    pub(crate) known: Known,
    pub(crate) timers: Timers,
}

/// An action that is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: ActivationId,
    pub(crate) action: ActionName,
    /// The client wrote the namespace rather than `_`.
    pub(crate) written_out: bool,
    /// Compact JSON.
    pub(crate) parameters: String,
    pub(crate) hops: u32,
    /// What is passed on of the client's headers.
    pub(crate) metadata: Metadata,
    /// The sequence that it is a step of.
    pub(crate) cause: Option<ActivationId>,
    /// Its client was promised that it runs: its end is to be on the disk.
    pub(crate) promised: bool,
}

impl Lane {
    /// Runs an action from `now` on to its end and records it.
    ///
    /// # Errors
    /// If nothing of it was executed; then there is no record.
    pub(crate) async fn run(&self, task: &Task, now: Instant) -> Result<Arc<Activation>, Refusal> {
        let mut steps_left = self.shared.config.invoke.max_steps;
        self.run_within(task, now, &mut steps_left).await
    }

    async fn run_within(
        &self,
        task: &Task,
        now: Instant,
        steps_left: &mut usize,
    ) -> Result<Arc<Activation>, Refusal> {
        let registry = &self.shared.registry;
        match registry.plan(&task.action, task.written_out, &task.parameters)? {
            Plan::Lambda {
                action,
                written_out,
                parameters,
            } => {
                self.run_lambda(task, now, &action, written_out, &parameters)
                    .await
            }
            Plan::Sequence { steps, parameters } => {
                let parameters = parameters.into_owned();
                Box::pin(self.run_sequence(task, &steps, parameters, steps_left)).await
            }
        }
    }

    async fn run_lambda(
        &self,
        task: &Task,
        now: Instant,
        action: &ActionName,
        written_out: bool,
        parameters: &str,
    ) -> Result<Arc<Activation>, Refusal> {
        let shared = &*self.shared;
        let table = shared.table.now();
        let ask = Ask {
            lambdas: shared
                .naming
                .lambdas(action, written_out, |lambda| table.serves(lambda)),
            input: parameters,
            binary: Binary {
                member: &shared.config.invoke.binary_member,
                input: shared.config.invoke.binary_input,
            },
            id: task.id,
            hops: task.hops,
            metadata: &task.metadata,
            timeout: shared.config.invoke.action_timeout,
        };
        let mut running = Running::new(self, task, Kind::Lambda);
        let answer = ask.call(&shared.routers, &self.client, now).await;
        let executed = answer.inspect_err(|_| running.over = true)?;
        Ok(running.end(executed).await)
    }

    async fn run_sequence(
        &self,
        task: &Task,
        steps: &[ActionName],
        parameters: String,
        steps_left: &mut usize,
    ) -> Result<Arc<Activation>, Refusal> {
        let mut running = Running::new(self, task, Kind::Sequence);
        let mut step = Task {
            cause: Some(task.id),
            written_out: true,
            parameters,
            promised: false,
            ..task.clone()
        };
        let mut last = None;
        for action in steps {
            if *steps_left == 0 {
                let most = self.shared.config.invoke.max_steps;
                let text = format!("The sequence has more than {most} steps.");
                return Ok(running.end(failure(Status::ApplicationError, &text)).await);
            }
            *steps_left -= 1;
            step.id = ActivationId::random();
            step.action = action.clone();
            let ended = match self.run_within(&step, Instant::now(), steps_left).await {
                Ok(ended) => ended,
                // Nothing has been done yet: it may as well be tried again.
                Err(refusal) if running.steps.is_empty() => {
                    running.over = true;
                    return Err(refusal);
                }
                Err(refusal) => {
                    let text = format!("The step {action} was not executed: {refusal}");
                    // As in OpenWhisk, it is the sequence that is wrong if there is no such action.
                    let status = match refusal {
                        Refusal::NotFound(_) | Refusal::Unfit(_) => Status::ApplicationError,
                        _ => Status::InternalError,
                    };
                    return Ok(running.end(failure(status, &text)).await);
                }
            };
            running.steps.push(step.id);
            let goes_on = ended.status == Status::Success;
            if goes_on {
                // An array goes on, too, as in OpenWhisk; those who want an object say so.
                ended.texts.result().clone_into(&mut step.parameters);
            }
            last = Some(ended);
            if !goes_on {
                break;
            }
        }
        let executed = match last {
            Some(last) => Executed {
                status: last.status,
                texts: Texts::new("", "", last.texts.result()),
                trail: Trail::default(),
                timed_out: last.timed_out,
            },
            None => failure(Status::ApplicationError, "The sequence has no steps."),
        };
        Ok(running.end(executed).await)
    }
}

/// An activation under way. Dropped before its end, because its client has left or the process
/// ends, it leaves a record that says so.
struct Running<'a> {
    lane: &'a Lane,
    task: &'a Task,
    kind: Kind,
    start_ms: u64,
    steps: Vec<ActivationId>,
    over: bool,
}

impl<'a> Running<'a> {
    fn new(lane: &'a Lane, task: &'a Task, kind: Kind) -> Self {
        Self {
            lane,
            task,
            kind,
            start_ms: now_ms(),
            steps: Vec::new(),
            over: false,
        }
    }

    async fn end(mut self, executed: Executed) -> Arc<Activation> {
        let activation = self.record(executed);
        let archive = &self.lane.shared.archive;
        if self.task.promised {
            archive.keep_surely(&activation).await;
        } else {
            archive.keep(&activation);
        }
        self.over = true;
        activation
    }

    fn record(&mut self, executed: Executed) -> Arc<Activation> {
        let limit = self.lane.shared.config.invoke.action_timeout;
        Arc::new(Activation {
            id: self.task.id,
            action: self.task.action.clone(),
            kind: self.kind,
            start_ms: self.start_ms,
            end_ms: now_ms().max(self.start_ms),
            cause: self.task.cause,
            steps: std::mem::take(&mut self.steps),
            trail: executed.trail,
            timed_out: executed.timed_out,
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            status: executed.status,
            texts: executed.texts,
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let text = if self.lane.shared.ending.load(Ordering::Relaxed) {
            "The proxy ended before the action did."
        } else {
            "The client went away before the action ended; it was cancelled."
        };
        let activation = self.record(failure(Status::InternalError, text));
        self.lane.shared.archive.keep(&activation);
        self.lane.shared.metrics.interrupted();
    }
}

/// What comes of an action that the proxy ends by itself.
pub(crate) fn failure(status: Status, text: &str) -> Executed {
    Executed {
        status,
        texts: Texts::new("", "", &json::object("error", text)),
        trail: Trail::default(),
        timed_out: false,
    }
}
