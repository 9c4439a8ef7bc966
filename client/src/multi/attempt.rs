//! One copy of a request to one of several end-points.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use edge_proto::rpc::LambdaResponse;
use edge_transport::{CallError, Endpoint, LambdaCall, LambdaClient};
use tokio_util::task::AbortOnDropHandle;

use crate::RequestError;
use crate::client::exchange;

/// One end-point.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) endpoint: Endpoint,
    /// The last attempt that ran to its end was answered.
    answers: AtomicBool,
    /// An attempt that lost goes on in the background.
    background: AtomicBool,
}

pub(super) type Outcome = Result<LambdaResponse, RequestError>;

/// A copy of a request on its way, by itself, so that it can outlive the call.
#[derive(Debug)]
pub(super) struct Attempt {
    index: usize,
    peer: Arc<Peer>,
    task: AbortOnDropHandle<Outcome>,
}

impl Peer {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            answers: AtomicBool::new(false),
            background: AtomicBool::new(false),
        }
    }

    /// Whether the last attempt that ran to its end was answered.
    pub(super) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) async fn attempt(&self, transport: &LambdaClient, call: &LambdaCall) -> Outcome {
        let outcome = exchange(transport, &self.endpoint, call).await;
        let answered = matches!(outcome, Ok(_) | Err(RequestError::Retcode { .. }));
        self.answers.store(answered, Ordering::Relaxed);
        self.background.store(false, Ordering::Relaxed);
        outcome
    }
}

impl Attempt {
    /// Sends `call` to `peer`, which is the end-point `index`.
    pub(super) fn spawn(
        index: usize,
        peer: Arc<Peer>,
        transport: Arc<LambdaClient>,
        call: LambdaCall,
    ) -> Self {
        let own = peer.clone();
        let task = tokio::spawn(async move { own.attempt(&transport, &call).await });
        Self {
            index,
            peer,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Somebody else was faster.
    pub(super) fn lose(self) {
        let unproven = !self.peer.answers();
        if unproven && !self.peer.background.swap(true, Ordering::Relaxed) {
            self.task.detach();
        }
    }
}

impl Future for Attempt {
    type Output = (usize, Outcome);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(outcome) => outcome,
            Err(error) => Err(RequestError::Call(CallError::Lost {
                endpoint: self.peer.endpoint.clone(),
                reason: error.to_string(),
            })),
        };
        Poll::Ready((self.index, outcome))
    }
}
