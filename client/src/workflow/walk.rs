//! Walks a plan: calls its functions one by one, those of a graph at the same time where possible.

mod order;

use std::future::Future;
use std::time::Instant;

use edge_proto::OK;
use edge_proto::rpc::{FunctionList, LambdaRequest, LambdaResponse, Outcome};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use self::order::{Input, Order};
use super::Session;
use crate::{Answer, Caller, RequestError};

/// One execution of a plan.
pub(super) struct Walk<'a> {
    session: &'a Session,
    caller: &'a Caller,
    /// What all calls have in common.
    request: LambdaRequest,
    deadline: Instant,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        session: &'a Session,
        caller: &'a Caller,
        request: LambdaRequest,
        deadline: Instant,
    ) -> Self {
        Self {
            session,
            caller,
            request,
            deadline,
        }
    }

    /// Calls all functions; after the first failure only waits for those that
    /// are under way, so that their states are not lost.
    pub(super) async fn run(mut self) -> Result<LambdaResponse, RequestError> {
        let workflow = self.session.plan().workflow();
        let input = Input {
            text: std::mem::take(&mut self.request.input),
            data: std::mem::take(&mut self.request.datain),
        };
        let mut order = Order::new(workflow, input);
        let mut under_way = FuturesUnordered::new();
        let mut total = Total::default();
        let mut failure = None;
        loop {
            while failure.is_none()
                && let Some((index, input)) = order.begin()
            {
                let kept = self.request.dry.then(|| input.clone());
                let call = self.call(workflow.functions()[index as usize].as_str(), input);
                under_way.push(async move { (index, kept, call.await) });
            }
            let Some((index, kept, result)) = under_way.next().await else {
                break;
            };
            match result {
                Ok(Answer { response, .. }) => {
                    self.session.keep(&response.states);
                    let output = kept.unwrap_or_else(|| Input {
                        text: response.output.clone(),
                        data: response.dataout.clone(),
                    });
                    order.end(index, &output);
                    total.add(index, response);
                }
                Err(error) => {
                    failure.get_or_insert_with(|| self.blame(index, error));
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(LambdaResponse {
                uuid: self.request.uuid,
                states: self.session.needed_states(),
                ..total.finish()
            }),
        }
    }

    /// Calls one function alone: a chain of one, which says, unlike a plain
    /// request, which states it depends on.
    fn call(
        &self,
        function: &str,
        input: Input,
    ) -> impl Future<Output = Result<Answer, RequestError>> + use<'a> {
        let states = self.session.plan().workflow().states_of(function);
        let own = || FunctionList {
            functions: vec![function.to_owned()],
        };
        let request = LambdaRequest {
            dry: self.request.dry,
            idempotent: self.request.idempotent,
            datain: input.data,
            states: self.session.select(states.iter().copied()),
            chain: vec![function.to_owned()],
            dependencies: states
                .iter()
                .map(|&state| (state.to_owned(), own()))
                .collect(),
            ..LambdaRequest::new(function, input.text)
        };
        let (caller, deadline) = (self.caller, self.deadline);
        async move {
            let left = deadline.saturating_duration_since(Instant::now());
            caller.call_synchronously(&request, left).await
        }
    }

    fn blame(&self, index: u32, error: RequestError) -> RequestError {
        match self.session.plan().workflow().functions() {
            [_only] => error,
            functions => RequestError::Function {
                index,
                function: functions[index as usize].clone(),
                source: Box::new(error),
            },
        }
    }
}

/// What the answers of all functions amount to.
#[derive(Default)]
struct Total {
    answers: u32,
    hops: u32,
    ptime_ms: u32,
    /// The answer of the last function by position.
    last: Option<(u32, LambdaResponse)>,
}

impl Total {
    fn add(&mut self, index: u32, response: LambdaResponse) {
        self.answers += 1;
        self.hops = self.hops.saturating_add(response.hops);
        self.ptime_ms = self.ptime_ms.saturating_add(response.ptime);
        if self.last.as_ref().is_none_or(|&(last, _)| last < index) {
            self.last = Some((index, response));
        }
    }

    fn finish(self) -> LambdaResponse {
        let last = self.last.map(|(_, response)| response).unwrap_or_default();
        if self.answers == 1 {
            return last;
        }
        LambdaResponse {
            retcode: OK.to_owned(),
            outcome: Outcome::Ok as i32,
            output: last.output,
            dataout: last.dataout,
            hops: self.hops,
            ptime: self.ptime_ms,
            ..LambdaResponse::default()
        }
    }
}
