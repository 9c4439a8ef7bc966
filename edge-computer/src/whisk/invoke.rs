//! Invocations: what an action is given, how it is executed, what is kept of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::activations::{Outcome, Record, millis_now};
use super::entities::{Action, KeyValue};
use super::reply::{Refusal, Reply};
use super::{MAX_WAIT, Platform};
use crate::executor::{ExecutionError, Executor as _, Patience, Terms};
use crate::openwhisk::ActionName;
use crate::runtime::{Activation, Status};

/// How deep sequences may be within each other.
const MAX_DEPTH: usize = 8;

/// How an action is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) blocking: bool,
    /// Whether only the result is wanted.
    pub(super) result: bool,
    pub(super) wait: Duration,
}

/// Counts an invocation of a namespace as long as it goes on.
struct InFlight(Arc<Platform>, String);

impl InFlight {
    fn begin(platform: &Arc<Platform>, namespace: &str) -> Result<Self, Refusal> {
        let config = &platform.config;
        let minute_ago = millis_now().saturating_sub(60_000);
        platform.with(namespace, |space| {
            let recent = space.activations.since(minute_ago) + space.in_flight;
            let refuse = |what: &str, count: usize, allowed: usize| {
                let text = format!("Too many {what} (count: {count}, allowed: {allowed}).");
                Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, text))
            };
            let allowed = config.invocations_per_minute;
            if recent >= allowed {
                return refuse("requests in the last minute", recent + 1, allowed);
            }
            let allowed = config.concurrent_invocations;
            if space.in_flight >= allowed {
                return refuse(
                    "concurrent requests in flight",
                    space.in_flight + 1,
                    allowed,
                );
            }
            space.in_flight += 1;
            Ok(())
        })?;
        Ok(Self(platform.clone(), namespace.to_owned()))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.with(&self.1, |space| space.in_flight -= 1);
    }
}

/// Invokes `action` on behalf of `namespace`.
pub(super) async fn invoke(
    platform: Arc<Platform>,
    namespace: &str,
    action: Action,
    payload: Box<RawValue>,
    call: Call,
) -> Result<Reply, Refusal> {
    let params = merged(&platform, &action, payload)?;
    let in_flight = InFlight::begin(&platform, namespace)?;
    let id = new_id();
    let execution = Execution {
        platform: platform.clone(),
        namespace: namespace.to_owned(),
        cause: None,
        depth: 0,
    };
    let own_id = id.clone();
    let executing = platform.executions.spawn(async move {
        let record = execution.execute(own_id, action, params).await;
        drop(in_flight);
        record
    });
    let accepted = || {
        let body = json!({ "activationId": id });
        Ok(Reply::json(StatusCode::ACCEPTED, &body).of(&id))
    };
    if !call.blocking {
        return accepted();
    }
    let Ok(executed) = tokio::time::timeout(call.wait, executing).await else {
        return accepted();
    };
    let record = executed.map_err(|error| {
        let text = format!("The execution has failed: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    })?;
    let status = match record.outcome {
        Outcome::Success => StatusCode::OK,
        Outcome::ApplicationError | Outcome::DeveloperError => StatusCode::BAD_GATEWAY,
        Outcome::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = if call.result {
        record.result.get().to_owned()
    } else {
        record.document()
    };
    Ok(Reply::text(status, body).of(&record.id))
}

/// 32 hexadecimal digits.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The payload over the parameters of the action, and those over the ones of its package.
fn merged(
    platform: &Platform,
    action: &Action,
    payload: Box<RawValue>,
) -> Result<Box<RawValue>, Refusal> {
    let package = platform.with(&action.namespace, |space| {
        let package = space.entities.packages.get(&action.package);
        package
            .map(|package| package.parameters.clone())
            .unwrap_or_default()
    });
    let defaults: Vec<_> = package.iter().chain(&action.parameters).collect();
    if defaults.is_empty() {
        return Ok(payload);
    }
    let given: BTreeMap<String, Box<RawValue>> = serde_json::from_str(payload.get())
        .map_err(|error| Refusal::bad(format!("The request content was malformed: {error}")))?;
    if action.is_final()
        && defaults
            .iter()
            .any(|default| given.contains_key(&default.key))
    {
        let text =
            "The request defines parameters that are not allowed (e.g., reserved properties).";
        return Err(Refusal::bad(text));
    }
    let raw = |value: &Value| RawValue::from_string(value.to_string()).expect("it is JSON");
    let defaults = defaults
        .into_iter()
        .map(|default| (default.key.clone(), raw(&default.value)));
    let all: BTreeMap<String, Box<RawValue>> = defaults.chain(given).collect();
    let text = serde_json::to_string(&all).expect("keys are texts");
    Ok(RawValue::from_string(text).expect("it is JSON"))
}

/// On whose behalf something is executed.
struct Execution {
    platform: Arc<Platform>,
    namespace: String,
    cause: Option<String>,
    depth: usize,
}

/// What an execution has come to.
struct Ended {
    outcome: Outcome,
    result: Box<RawValue>,
    logs: Vec<String>,
    annotations: Vec<KeyValue>,
    /// When it began, after it had waited.
    start: u64,
}

impl Ended {
    fn failed(outcome: Outcome, text: &str) -> Self {
        let result = json!({ "error": text }).to_string();
        Self {
            outcome,
            result: RawValue::from_string(result).expect("it is JSON"),
            logs: Vec::new(),
            annotations: Vec::new(),
            start: millis_now(),
        }
    }
}

impl Execution {
    /// Executes an action or a sequence, and keeps the record.
    fn execute(
        self,
        id: String,
        action: Action,
        params: Box<RawValue>,
    ) -> BoxFuture<'static, Arc<Record>> {
        async move {
            let ended = if action.exec.is_sequence() {
                self.sequence(&id, &action, params).await
            } else {
                self.single(&id, &action, params).await
            };
            let mut annotations = vec![
                KeyValue::new("path", action.full_name().trim_start_matches('/')),
                KeyValue::new("kind", action.exec.kind.clone()),
                KeyValue::new("limits", json!(action.limits)),
            ];
            if action.exec.is_sequence() {
                annotations.push(KeyValue::new("topmost", self.cause.is_none()));
            } else if self.cause.is_some() {
                annotations.push(KeyValue::new("causedBy", "sequence"));
            }
            annotations.extend(ended.annotations);
            let record = Arc::new(Record {
                id,
                namespace: self.namespace.clone(),
                path: action.path(),
                name: action.name.clone(),
                version: action.version(),
                start: ended.start,
                end: millis_now(),
                cause: self.cause.clone(),
                annotations,
                logs: ended.logs,
                outcome: ended.outcome,
                result: ended.result,
            });
            let config = &self.platform.config;
            let (max, max_bytes) = (config.max_activations, config.max_activation_bytes);
            let kept = record.clone();
            self.platform.with(&self.namespace, |space| {
                space.activations.add(kept, max, max_bytes);
            });
            record
        }
        .boxed()
    }

    async fn single(&self, id: &str, action: &Action, params: Box<RawValue>) -> Ended {
        let name = action.full_name();
        let Some(pool) = self.platform.runtimes.pool(&name) else {
            return Ended::failed(Outcome::InternalError, "The action has been deleted.");
        };
        let activation = Activation {
            id: id.to_owned(),
            transaction_id: new_id(),
            namespace: self.namespace.clone(),
            version: action.version(),
            api_host: self.platform.api_host.clone(),
            params,
        };
        let terms = Terms {
            lambda: &name,
            input_bytes: 0,
            patience: Patience::UntilDeadline,
            deadline: Instant::now() + MAX_WAIT + pool.function().limits.timeout,
        };
        let activated = match self.platform.runtimes.admits(terms) {
            Ok(()) => pool.activate(activation, &terms).await,
            Err(error) => Err(error),
        };
        let activated = match activated {
            Ok(activated) => activated,
            Err(error) => return Ended::failed(Outcome::InternalError, &told(&error)),
        };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let init = activated.init.unwrap_or_default();
        let mut annotations = vec![KeyValue::new("waitTime", millis(activated.wait))];
        if activated.init.is_some() {
            annotations.push(KeyValue::new("initTime", millis(init)));
        }
        annotations.push(KeyValue::new("timeout", activated.timed_out));
        Ended {
            outcome: match activated.status {
                Status::Success => Outcome::Success,
                Status::ApplicationError => Outcome::ApplicationError,
                Status::DeveloperError => Outcome::DeveloperError,
            },
            result: activated.result,
            logs: activated.logs,
            annotations,
            start: millis_now().saturating_sub(millis(init + activated.run)),
        }
    }

    /// One action after the other, until one fails.
    async fn sequence(&self, id: &str, action: &Action, params: Box<RawValue>) -> Ended {
        let mut ended = Ended::failed(
            Outcome::ApplicationError,
            "Sequences are nested too deeply.",
        );
        if self.depth >= MAX_DEPTH {
            return ended;
        }
        let mut next = params;
        for component in &action.exec.components {
            let found = find(&self.platform, &self.namespace, component);
            let Some(found) = found else {
                let text = "Sequence component does not exist.";
                return Ended {
                    logs: ended.logs,
                    ..Ended::failed(Outcome::ApplicationError, text)
                };
            };
            let params = match merged(&self.platform, &found, next) {
                Ok(params) => params,
                Err(refusal) => {
                    let failed = Ended::failed(Outcome::ApplicationError, &refusal.text);
                    return Ended {
                        logs: ended.logs,
                        ..failed
                    };
                }
            };
            let execution = Self {
                platform: self.platform.clone(),
                namespace: self.namespace.clone(),
                cause: Some(id.to_owned()),
                depth: self.depth + 1,
            };
            let record = execution.execute(new_id(), found, params).await;
            ended.logs.push(record.id.clone());
            ended.outcome = record.outcome;
            ended.result = record.result.clone();
            if record.outcome != Outcome::Success {
                break;
            }
            next = record.result.clone();
        }
        ended
    }
}

/// The action that `full` names, `/namespace[/package]/name` with `_` for the own namespace.
pub(super) fn find(platform: &Platform, own: &str, full: &str) -> Option<Action> {
    let name = ActionName::parse(full).ok()?;
    let namespace = if name.namespace == "_" {
        own
    } else {
        &name.namespace
    };
    let key = (name.package.unwrap_or_default(), name.name);
    platform.with(namespace, |space| space.entities.actions.get(&key).cloned())
}

fn told(error: &ExecutionError) -> String {
    format!("The action could not be executed: {error}")
}
