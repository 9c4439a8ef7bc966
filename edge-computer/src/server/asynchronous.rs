//! Requests with a callback: acknowledged at once, executed, answered or passed on afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_proto::workflow::Workflow;
use edge_transport::{Core, Endpoint, EndpointError};
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::answer::{Answer, success};
use super::callback::deliver;
use super::companion::Companion;
use super::join::{Accepted, Joins};
use super::queue::{Full, Queue};
use super::service::{Service, patience};
use crate::executor::{ExecutionError, Executor, Patience, Terms};

/// Callbacks of branches that are given up that are under way at the same time: one whose server
/// does not answer takes seconds, and there may be thousands.
const CALLBACKS_AT_ONCE: usize = 32;

/// What a computer needs that takes requests with a callback.
#[derive(Debug)]
pub(super) struct Asynchronous {
    pub(super) companion: Option<Companion>,
    pub(super) queue: Queue,
    pub(super) joins: Joins,
    pub(super) tasks: TaskTracker,
    /// On which branches are given up.
    pub(super) core: Core,
    /// How long one execution may take.
    pub(super) deadline: Duration,
}

/// Why a request with a callback is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("this computer takes no requests with a callback (it runs without --asynchronous)")]
    Synchronous,
    #[error("invalid callback: {0}")]
    Callback(#[from] EndpointError),
    #[error(
        "function {next} comes after {function}, but this computer has no companion \
         (it runs without --companion-endpoint)"
    )]
    NoCompanion { function: String, next: String },
    #[error("lambda {lambda}: {full}")]
    Overloaded {
        lambda: String,
        full: Full,
        /// How long this one would take, for want of an idea when another one ends.
        place_in: Duration,
    },
    #[error(transparent)]
    Execution(#[from] ExecutionError),
}

impl Rejection {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Overloaded { .. } => Outcome::Overloaded,
            Self::Execution(error) => error.outcome(),
            Self::Synchronous | Self::Callback(_) | Self::NoCompanion { .. } => {
                Outcome::ApplicationError
            }
        }
    }
}

impl From<Rejection> for Answer {
    fn from(rejection: Rejection) -> Self {
        let place_in = match rejection {
            Rejection::Execution(error) => return error.into(),
            Rejection::Overloaded { place_in, .. } => Some(place_in),
            Rejection::Synchronous | Rejection::Callback(_) | Rejection::NoCompanion { .. } => None,
        };
        Self {
            place_in,
            ..Self::error(rejection.outcome(), rejection.to_string())
        }
    }
}

impl<E: Executor> Service<E> {
    /// Takes a request that will be answered by a callback: from here on there will be one,
    /// whatever happens.
    pub(super) fn accept(
        self: &Arc<Self>,
        core: &Core,
        request: LambdaRequest,
        workflow: Workflow,
    ) -> Result<(), Rejection> {
        let asynchronous = self.asynchronous.as_ref().ok_or(Rejection::Synchronous)?;
        let callback: Endpoint = request.callback.parse()?;
        // Nobody waits for it here: what bounds it is its deadline, unless it says more.
        let patience = match patience(&request) {
            Patience::Usual => Patience::UntilDeadline,
            own => own,
        };
        self.executor.admits(Terms {
            lambda: &request.name,
            input_bytes: request.input.len(),
            patience,
            deadline: Instant::now() + asynchronous.deadline,
        })?;
        let lambda = || request.name.clone();
        if asynchronous.companion.is_none()
            && let Some((_, next)) = workflow.next(request.next_function_index).first()
        {
            return Err(Rejection::NoCompanion {
                function: lambda(),
                next: (*next).to_owned(),
            });
        }
        let place = asynchronous.queue.enter(request.encoded_len());
        let place = place.map_err(|full| Rejection::Overloaded {
            lambda: lambda(),
            full,
            place_in: self
                .executor
                .estimate(&request.name, request.input.len())
                .unwrap_or_default(),
        })?;
        let mut accepted = Accepted { request, place };
        if let Workflow::Dag(dag) = &workflow {
            match asynchronous.joins.arrive(accepted, dag, Instant::now()) {
                Some(complete) => accepted = complete,
                None => return Ok(()),
            }
        }
        let service = self.clone();
        let own = core.clone();
        core.spawn(asynchronous.tasks.track_future(async move {
            service.process(&own, accepted, &workflow, &callback).await;
        }));
        Ok(())
    }

    /// Executes, then calls back or passes on.
    async fn process(
        &self,
        core: &Core,
        accepted: Accepted,
        workflow: &Workflow,
        callback: &Endpoint,
    ) {
        let Accepted {
            mut request,
            place: _place,
        } = accepted;
        let Some(asynchronous) = &self.asynchronous else {
            return;
        };
        let deadline = Instant::now() + asynchronous.deadline;
        // Once it is acknowledged nobody can try elsewhere.
        let patience = Patience::UntilDeadline;
        let executed = self.execute(&mut request, workflow, patience, deadline);
        let response = executed.await.response;
        let next = workflow.next(request.next_function_index);
        if !response.is_ok() {
            return self
                .fail(core, &request, workflow, callback, response)
                .await;
        }
        if next.is_empty() {
            return self.call_back(&request, callback, response).await;
        }
        for (index, name) in next {
            let mut following = request.next_function(name, index, response.clone());
            following.previous_function = match workflow {
                Workflow::Dag(_) => request.next_function_index + 1,
                Workflow::Single | Workflow::Chain(_) => 0,
            };
            // Without a companion the request would have been turned down.
            let Some(companion) = &asynchronous.companion else {
                continue;
            };
            if let Err(error) = companion.forward(core, &following).await {
                let text = error.to_string();
                let failure = LambdaResponse::error(error.outcome, text);
                return self.fail(core, &request, workflow, callback, failure).await;
            }
        }
    }

    /// Tells the caller that `request` has failed on its way through `workflow`, unless another of
    /// its branches has: where all of them would have met is known who came first.
    async fn fail(
        &self,
        core: &Core,
        request: &LambdaRequest,
        workflow: &Workflow,
        callback: &Endpoint,
        failure: LambdaResponse,
    ) {
        let index = request.next_function_index as usize;
        if let Some(asynchronous) = &self.asynchronous
            && let (Workflow::Dag(dag), Some(companion)) = (workflow, &asynchronous.companion)
            && let Some(meeting) = dag.last_meeting()
            && dag.ancestors(meeting).contains(&index)
            && let Ok(position) = u32::try_from(meeting)
        {
            let (joins, uuid) = (&asynchronous.joins, &request.uuid);
            // Who cannot be asked any more, as when this computer is the one and stops, may have
            // been here before.
            if joins.has_failed(position, uuid, Instant::now())
                || companion
                    .has_failed_before(core, request, dag.to_name(meeting), position)
                    .await
            {
                return;
            }
            joins.fail(position, uuid, Instant::now());
        }
        self.call_back(request, callback, failure).await;
    }

    /// The answer to who has seen a graph fail: acknowledged if its caller has been told.
    pub(super) fn hear_of_failure(&self, request: &LambdaRequest) -> Answer {
        let index = request.next_function_index;
        let is_first = self.asynchronous.as_ref().is_none_or(|asynchronous| {
            asynchronous
                .joins
                .fail(index, &request.uuid, Instant::now())
        });
        let answer = if is_first {
            success()
        } else {
            LambdaResponse::acknowledgement()
        };
        answer.into()
    }

    /// Sends the answer of `request` to whoever asked for it.
    async fn call_back(
        &self,
        request: &LambdaRequest,
        callback: &Endpoint,
        response: LambdaResponse,
    ) {
        let outcome = response.outcome();
        let response = LambdaResponse {
            responder: self.endpoint.to_string(),
            hops: request.hops.saturating_add(1),
            uuid: request.uuid.clone(),
            ptime: 0,
            load1: 0,
            load10: 0,
            load30: 0,
            ..response
        };
        let delivered = deliver(&self.channels, &self.lost, callback, response).await;
        self.metrics.called_back(outcome, delivered);
    }

    /// Calls back for branches of graphs that have waited too long for others.
    pub(super) async fn expire_joins(self: &Arc<Self>) {
        let Some(asynchronous) = &self.asynchronous else {
            return;
        };
        let expired = asynchronous.joins.expire(Instant::now());
        self.give_up(asynchronous, expired, Outcome::Deadline, |function| {
            format!("function {function} waited in vain for other branches of its graph")
        })
        .await;
    }

    /// Waits until all accepted requests have been answered; branches of graphs that wait for
    /// others are answered with an error, because no more will come.
    pub(super) async fn finish(self: &Arc<Self>) {
        let Some(asynchronous) = &self.asynchronous else {
            return;
        };
        asynchronous.tasks.close();
        asynchronous.tasks.wait().await;
        // Functions before it were executed, so that the whole must not begin anew elsewhere.
        let left = asynchronous.joins.give_up();
        self.give_up(asynchronous, left, Outcome::Unavailable, |function| {
            format!(
                "function {function} waited for other branches of its graph until the computer \
                 stopped"
            )
        })
        .await;
    }

    /// Calls back for all of `requests` with an error, several at the same time, unless that has been
    /// done.
    async fn give_up(
        self: &Arc<Self>,
        asynchronous: &Asynchronous,
        requests: Vec<LambdaRequest>,
        outcome: Outcome,
        text: impl Fn(&str) -> String + Send + Sync + 'static,
    ) {
        if requests.is_empty() {
            return;
        }
        let (service, core) = (self.clone(), asynchronous.core.clone());
        let told = asynchronous.core.spawn(async move {
            let (service, core, text) = (&service, &core, &text);
            let each = stream::iter(requests).for_each_concurrent(
                CALLBACKS_AT_ONCE,
                async |request: LambdaRequest| {
                    let error = LambdaResponse::error(outcome, text(&request.name));
                    // Both were valid when the request was accepted.
                    let workflow = Workflow::of(&request);
                    if let (Ok(workflow), Ok(callback)) = (workflow, request.callback.parse()) {
                        service
                            .fail(core, &request, &workflow, &callback, error)
                            .await;
                    }
                },
            );
            each.await;
        });
        // It ends before if the core does.
        let _told = AbortOnDropHandle::new(told).await;
    }
}
