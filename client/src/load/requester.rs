//! What requests are for, a lambda or a plan with its states, and who sends them.

use std::sync::Arc;
use std::time::Duration;

use edge_proto::rpc::LambdaRequest;

use super::RunError;
use crate::config::{Config, ConfigProblem};
use crate::workflow::{Plan, RemoteStates, Session};
use crate::{Answer, Caller, RequestError};

/// What all requests of a run are for.
#[derive(Debug)]
pub(super) enum Work {
    /// The lambda that they name.
    Lambda(String),
    /// A plan; each requester has states of its own.
    Plan(Arc<Plan>),
    /// A plan whose states are kept elsewhere, for the only requester.
    Remote(Arc<Session>, Arc<RemoteStates>),
}

impl Work {
    /// What `config` says; puts the states where it says.
    pub(super) async fn prepare(config: &Config) -> Result<Self, RunError> {
        if config.template().is_some() {
            let problem = "a template is written by the program edgeclient, not executed";
            return Err(RunError::Config(ConfigProblem {
                key: if config.dag.is_some() { "dag" } else { "chain" },
                problem: problem.to_owned(),
            }));
        }
        let Some(plan) = config.plan()?.map(Arc::new) else {
            return Ok(Self::Lambda(config.lambda.clone()));
        };
        let Some(endpoint) = &config.state_endpoint else {
            return Ok(Self::Plan(plan));
        };
        let remote = Arc::new(if config.state_server {
            RemoteStates::serve(endpoint)?
        } else {
            RemoteStates::elsewhere(endpoint.clone())
        });
        match Session::remote(plan, remote.clone(), config.timeout).await {
            Ok(session) => Ok(Self::Remote(Arc::new(session), remote)),
            Err(error) => {
                remote.stop().await;
                Err(error.into())
            }
        }
    }

    /// The name in the lines of the answers.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Lambda(name) => name.clone(),
            Self::Plan(plan) => plan.name(),
            Self::Remote(session, _) => session.plan().name(),
        }
    }

    /// One more requester, who calls through `caller`.
    pub(super) fn requester(&self, caller: Caller) -> Requester {
        let session = match self {
            Self::Lambda(_) => None,
            Self::Plan(plan) => Some(Arc::new(Session::new(plan.clone()))),
            Self::Remote(session, _) => Some(session.clone()),
        };
        Requester { caller, session }
    }

    /// Stops what was started for it.
    pub(super) async fn stop(&self) {
        if let Self::Remote(_, remote) = self {
            remote.stop().await;
        }
    }
}

/// Sends requests on one connection.
#[derive(Debug)]
pub(super) struct Requester {
    caller: Caller,
    session: Option<Arc<Session>>,
}

impl Requester {
    pub(super) async fn call(
        &self,
        request: LambdaRequest,
        timeout: Duration,
    ) -> Result<Answer, RequestError> {
        match &self.session {
            Some(session) => session.call(&self.caller, request, timeout).await,
            None => self.caller.call(request, timeout).await,
        }
    }

    /// The end-point that all answers come from, if it is the only one.
    pub(super) fn only_endpoint(&self) -> Option<&str> {
        self.caller.only_endpoint()
    }
}
