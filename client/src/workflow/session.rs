//! Executes a plan time and again; its states evolve from one time to the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_daemon::shown;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, State};

use super::walk::Walk;
use super::{Plan, RemoteStates, StatesError};
use crate::{Answer, Caller, RequestError};

/// A plan and its states, wherever they are by now.
///
/// Calls may be concurrent if the states travel by value: each begins with
/// those that the last answer brought back. Remote states follow one call after
/// the other, and belong to one session.
#[derive(Debug)]
pub struct Session {
    plan: Arc<Plan>,
    remote: Option<Arc<RemoteStates>>,
    states: Mutex<BTreeMap<String, State>>,
}

impl Session {
    /// A session whose states travel by value.
    pub fn new(plan: Arc<Plan>) -> Self {
        let states = Mutex::new(plan.initial_states());
        Self {
            plan,
            remote: None,
            states,
        }
    }

    /// A session whose states are put at `remote`, once, and passed by location.
    /// Waits for the answer to each at most for `timeout`.
    ///
    /// # Errors
    /// If they cannot be put there.
    pub async fn remote(
        plan: Arc<Plan>,
        remote: Arc<RemoteStates>,
        timeout: Duration,
    ) -> Result<Self, StatesError> {
        let session = Self {
            plan,
            remote: Some(remote),
            states: Mutex::default(),
        };
        session.put(timeout).await?;
        Ok(session)
    }

    /// What is executed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All states as they are now: with their contents or with their locations.
    pub fn states(&self) -> BTreeMap<String, State> {
        self.lock().clone()
    }

    /// Executes the plan once with the input of `request`, within `timeout`,
    /// and returns the answer of the last function.
    ///
    /// If `caller` is asynchronous, the request leaves once, for the first
    /// function, describes the whole and carries the states that some function
    /// depends on; computers pass it on, and the last one calls back. Otherwise
    /// the functions are called one by one, those of a graph at the same time
    /// if nothing forbids it: each gets the states that it depends on and the
    /// output of the function before it; of several, of the last one by
    /// position. Two functions that depend on the same state run one after the
    /// other. Hops and processing times of the answer are then sums, and if
    /// there is more than one function, loads and responder are empty. Dry
    /// requests are always walked, with the same input for all functions,
    /// because estimates come without output.
    ///
    /// After a failure nobody knows where remote states are: they are put at
    /// the state server again, as they were in the beginning.
    ///
    /// # Errors
    /// As [`Caller::call`]; of several functions it says which one failed.
    pub async fn call(
        &self,
        caller: &Caller,
        request: LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        let begin = Instant::now();
        let result = if caller.is_asynchronous() && !request.dry {
            self.send_whole(caller, &request, timeout).await
        } else {
            Walk::new(self, caller, request, begin + timeout)
                .run()
                .await
        };
        let latency = begin.elapsed();
        if result.is_err()
            && self.remote.is_some()
            && let Err(error) = self.put(timeout).await
        {
            let error = shown(&error.to_string()).into_owned();
            tracing::warn!(%error, "states are lost");
        }
        result.map(|response| Answer { response, latency })
    }

    async fn send_whole(
        &self,
        caller: &Caller,
        request: &LambdaRequest,
        timeout: Duration,
    ) -> Result<LambdaResponse, RequestError> {
        let whole = LambdaRequest {
            states: self.needed_states(),
            ..self.plan.workflow().begin(request.clone())
        };
        let response = caller.call(whole, timeout).await?.response;
        self.keep(&response.states);
        Ok(response)
    }

    /// The states that some function depends on.
    pub(super) fn needed_states(&self) -> BTreeMap<String, State> {
        self.select(self.plan.needed_states())
    }

    /// The states of these names.
    pub(super) fn select<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, State> {
        let states = self.lock();
        let known = names
            .into_iter()
            .filter_map(|name| states.get_key_value(name));
        known
            .map(|(name, state)| (name.clone(), state.clone()))
            .collect()
    }

    /// Remembers what became of states; those that are not ours are ignored.
    pub(super) fn keep(&self, returned: &BTreeMap<String, State>) {
        let mut states = self.lock();
        for (name, state) in returned {
            if let Some(own) = states.get_mut(name) {
                own.clone_from(state);
            }
        }
    }

    /// Puts all states at the state server, as they were in the beginning.
    async fn put(&self, timeout: Duration) -> Result<(), StatesError> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let initial = self.plan.initial_states();
        remote.put(initial.into_values(), timeout).await?;
        let names = self.plan.state_sizes().keys();
        let located = names.map(|name| {
            let state = State {
                name: name.clone(),
                location: remote.endpoint().to_string(),
                ..State::default()
            };
            (name.clone(), state)
        });
        *self.lock() = located.collect();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
