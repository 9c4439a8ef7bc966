//! Whom requests go to, and how their results come back: the one door of the load generators.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::LambdaRequest;
use edge_transport::{Endpoint, LambdaClient};

use crate::callback::CallbackReceiver;
use crate::{Answer, Client, FollowingClient, MultiClient, MultiClientError, RequestError};

/// A client of one end-point, of several, or of one that moves; synchronous or asynchronous.
#[derive(Debug)]
pub struct Caller {
    target: Target,
    /// The only end-point, as text.
    only: Option<String>,
    callbacks: Option<Arc<CallbackReceiver>>,
}

#[derive(Debug)]
enum Target {
    One(Client),
    Several(MultiClient),
    Followed(FollowingClient),
}

impl Caller {
    /// A caller of `endpoints`: a plain [`Client`] if there is one, else a
    /// [`MultiClient`] with `persistence` and `seed`. With `callbacks`,
    /// requests are asynchronous: their results arrive there.
    ///
    /// # Errors
    /// If there is no end-point, or `persistence` is no probability.
    pub fn new(
        transport: Arc<LambdaClient>,
        endpoints: &[Endpoint],
        persistence: f64,
        seed: u64,
        callbacks: Option<Arc<CallbackReceiver>>,
    ) -> Result<Self, MultiClientError> {
        let distinct: BTreeSet<_> = endpoints.iter().cloned().collect();
        let only = distinct.first().filter(|_| distinct.len() == 1).cloned();
        let target = match &only {
            Some(only) => Target::One(Client::new(transport, only.clone())),
            None => Target::Several(MultiClient::new(transport, distinct, persistence, seed)?),
        };
        Ok(Self {
            target,
            only: only.map(String::from),
            callbacks,
        })
    }

    /// A caller of an application that moves.
    pub fn following(client: FollowingClient, callbacks: Option<Arc<CallbackReceiver>>) -> Self {
        Self {
            target: Target::Followed(client),
            only: None,
            callbacks,
        }
    }

    /// The end-point that all answers come from, if it is the only one.
    pub(crate) fn only_endpoint(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Sends `request` and waits for its result, at most for `timeout`; in
    /// asynchronous mode, sets its `callback`. An answer that is not a mere
    /// acknowledgement counts as the result in either mode.
    ///
    /// # Errors
    /// As [`Client::call`]; and if the result did not arrive in time.
    pub async fn call(
        &self,
        mut request: LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        let Some(callbacks) = &self.callbacks else {
            return self.call_synchronously(&request, timeout).await;
        };
        let begin = Instant::now();
        request.callback = callbacks.endpoint().to_string();
        let mut expected = callbacks.expect(&request.uuid);
        let answer = self.call_synchronously(&request, timeout).await?;
        if !answer.response.asynchronous {
            return Ok(answer);
        }
        let left = timeout.saturating_sub(begin.elapsed());
        let Ok(Some(response)) = tokio::time::timeout(left, expected.result()).await else {
            return Err(RequestError::CallbackOverdue);
        };
        let mut response = RequestError::unless_ok(response)?;
        // Who has acknowledged a lambda has executed it; of several functions, only the first.
        let is_single = request.chain.is_empty() && request.dag.is_none();
        if response.responder.is_empty() && is_single {
            response.responder = answer.response.responder;
        }
        Ok(Answer {
            response,
            latency: begin.elapsed(),
        })
    }

    /// Whether results arrive at a callback end-point.
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.callbacks.is_some()
    }

    /// As [`Self::call`], but without a callback in either mode.
    pub(crate) async fn call_synchronously(
        &self,
        request: &LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        match &self.target {
            Target::One(client) => client.call(request, timeout).await,
            Target::Several(client) => client.call(request, timeout).await,
            Target::Followed(client) => client.call(request, timeout).await,
        }
    }
}
