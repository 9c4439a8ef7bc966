//! What becomes of a request: turned away, refused, estimated, acknowledged or executed, in this
//! order.

use std::sync::Arc;
use std::time::Instant;

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_proto::workflow::Workflow;
use edge_transport::{Core, LambdaHandler, TypedReply};

use super::answer::Answer;
use super::service::{Service, micros, patience};
use crate::executor::Executor;

/// The lambda service of a computer.
#[derive(Debug)]
pub(super) struct Handler<E>(pub(super) Arc<Service<E>>);

impl<E: Executor> LambdaHandler for Handler<E> {
    async fn handle(
        &self,
        core: &Core,
        request: LambdaRequest,
        deadline: Instant,
    ) -> Result<TypedReply, String> {
        let arrived = Instant::now();
        let request_in_flight = self.0.metrics.arrival();
        let hops = request.hops.saturating_add(1);
        let uuid = request.uuid.clone();
        let lambda = request.name.clone();
        let dry = request.dry;

        let mut answer = self.answer(core, request, deadline).await;

        let response = &mut answer.response;
        response.hops = hops;
        response.uuid = uuid;
        if !response.asynchronous {
            let standing = self.0.executor.standing(&lambda).unwrap_or_default();
            response.in_flight = standing.in_flight;
            response.workers = standing.workers;
            response.residence_us = micros(arrived.elapsed());
        }
        request_in_flight.answered(response, dry);
        Ok(answer.into())
    }
}

impl<E: Executor> Handler<E> {
    async fn answer(&self, core: &Core, mut request: LambdaRequest, deadline: Instant) -> Answer {
        if request.dry && request.given_up {
            return self.0.hear_of_failure(&request);
        }
        if let Some(end) = self.0.draining_until.get() {
            return Answer::draining(end.saturating_duration_since(Instant::now()));
        }
        let workflow = match Workflow::of(&request) {
            Ok(workflow) => workflow,
            Err(error) => return Answer::error(Outcome::ApplicationError, error.to_string()),
        };
        if request.dry {
            return self.0.estimate(&request);
        }
        if !request.callback.is_empty() {
            return match self.0.accept(core, request, workflow) {
                Ok(()) => LambdaResponse::acknowledgement().into(),
                Err(rejection) => rejection.into(),
            };
        }
        let patience = patience(&request);
        let executed = self.0.execute(&mut request, &workflow, patience, deadline);
        executed.await
    }
}
