//! One fronted OpenWhisk: its actions, its health, and how a request is executed there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::sync::{Notify, watch};

use super::breaker::Breaker;
use super::client::{Client, Fault, Invoked, Passing};
use super::config::{BackendConfig, BackendError, NamesConfig};
use super::name::ActionName;
use super::wire::{Activation, Limits, Status, Summary};
use crate::executor::{BackendSnapshot, Execution, ExecutionError, Invocation, Terms};
use crate::health::Turn;
use crate::params::failure;
use crate::turns::{Bounds, Turns};

/// How long a listing may take.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
/// How soon a platform that does not answer is tried again.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Shortest pause between two listings, whatever asks for them; a shorter interval counts.
const LISTED_EVERY: Duration = Duration::from_secs(1);
/// Pause before the record of an execution is asked for; it doubles each time, up to
/// [`POLL_SLOWEST`].
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL_SLOWEST: Duration = Duration::from_secs(1);
/// Faults in a row while records are asked for.
const POLL_FAULTS: u32 = 5;
/// Longest name of a lambda that controllers take, in bytes.
const MAX_NAME: usize = 255;

/// A fronted platform.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) config: BackendConfig,
    client: Client,
    pub(super) turns: Arc<Turns>,
    pub(super) breaker: Breaker,
    actions: RwLock<BTreeMap<ActionName, Arc<Action>>>,
    numbers: Mutex<Numbers>,
    changes: Arc<watch::Sender<u64>>,
    /// Its actions are to be listed soon, since one that was listed is not there.
    list_soon: Notify,
    /// It has been taken out of service.
    taken_out: Notify,
}

/// An action as it was listed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    pub(super) name: ActionName,
    pub(super) kind: String,
    version: String,
    limits: Limits,
    /// The lambdas that it serves.
    pub(super) lambdas: Vec<String>,
    /// Under which its times are known.
    pub(super) number: usize,
}

/// Gives actions the lowest numbers that are free.
#[derive(Debug, Default)]
struct Numbers {
    taken: HashMap<ActionName, usize>,
    free: Vec<usize>,
}

impl Numbers {
    fn of(&mut self, name: &ActionName) -> usize {
        if let Some(number) = self.taken.get(name) {
            return *number;
        }
        let number = self.free.pop().unwrap_or(self.taken.len());
        self.taken.insert(name.clone(), number);
        number
    }

    fn give_back(&mut self, name: &ActionName) {
        self.free.extend(self.taken.remove(name));
    }
}

impl Backend {
    pub(super) fn new(
        config: BackendConfig,
        max_pending: usize,
        max_wait: Duration,
        changes: Arc<watch::Sender<u64>>,
    ) -> Result<Self, BackendError> {
        config.validate()?;
        Ok(Self {
            name: config.display_name(),
            client: Client::new(&config)?,
            turns: Arc::new(Turns::new(Bounds {
                workers: config.max_in_flight,
                max_pending,
                max_wait,
            })),
            breaker: Breaker::new(config.max_failures),
            actions: RwLock::default(),
            numbers: Mutex::default(),
            changes,
            list_soon: Notify::new(),
            taken_out: Notify::new(),
            config,
        })
    }

    /// The actions that are announced: none while it is out of service.
    pub(super) fn announced(&self) -> Vec<Arc<Action>> {
        if !self.breaker.is_in_service() {
            return Vec::new();
        }
        self.known()
    }

    /// All actions that were in the latest listing.
    pub(super) fn known(&self) -> Vec<Arc<Action>> {
        let actions = self.actions.read().unwrap_or_else(PoisonError::into_inner);
        actions.values().cloned().collect()
    }

    /// Executions of `action` at the same time: as many as it may have containers, each with its
    /// concurrency, if it is bounded; else what the platform is given.
    pub(super) fn workers(&self, action: &Action) -> u32 {
        let instances = action.limits.instances.filter(|instances| *instances > 0);
        let own = instances
            .map(|count| count.saturating_mul(action.limits.concurrency.unwrap_or(1).max(1)));
        own.map_or(self.turns.workers(), |own| own.min(self.turns.workers()))
    }

    /// Lists its actions again and again, until it is dropped.
    pub(super) async fn discover(self: Arc<Self>) {
        loop {
            let mut pause = self.config.interval;
            match self.list().await {
                Ok(summaries) => {
                    self.turned(self.breaker.listed(Instant::now()), None);
                    self.replace(summaries);
                }
                Err(fault) => {
                    // What it has said before holds until it is out of service.
                    let turn = self.breaker.not_listed(&fault.to_string());
                    self.turned(turn, Some(&fault));
                    pause = pause.min(PROBE_EVERY);
                }
            }
            let jitter = rand::rng().random_range(0.9..1.1);
            self.rest(pause.mul_f64(jitter)).await;
        }
    }

    /// Waits for the next listing: at most `pause`, less if it is wanted sooner.
    async fn rest(&self, pause: Duration) {
        let now = Instant::now();
        let soonest = now + LISTED_EVERY.min(pause);
        let mut next = now + pause;
        loop {
            // The listing that brings it back does not wait for its turn.
            if let Some(until) = self.breaker.alone_until() {
                next = next.min(until.max(soonest));
            }
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => return,
                () = self.taken_out.notified() => {}
                () = self.list_soon.notified() => next = next.min(soonest),
            }
        }
    }

    async fn list(&self) -> Result<Vec<Summary>, Fault> {
        let deadline = Instant::now() + LISTED_WITHIN;
        let mut all = Vec::new();
        for namespace in &self.config.namespaces {
            let left = self.config.max_actions.saturating_sub(all.len());
            all.extend(self.client.list(namespace, left, deadline).await?);
        }
        Ok(all)
    }

    /// Takes over what was listed, and tells if that changes anything.
    fn replace(&self, summaries: Vec<Summary>) {
        let first = &self.config.namespaces[0];
        let mut own = None;
        let mut listed = BTreeMap::new();
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        for summary in summaries {
            let name = match ActionName::listed(&summary.namespace, &summary.name) {
                Ok(name) => name,
                Err(error) => {
                    tracing::debug!(backend = self.name, %error, "an action is left out");
                    continue;
                }
            };
            // The namespace that is listed first, as `_` perhaps, is the one whose actions have
            // short names.
            let own = if first == "_" {
                own.get_or_insert_with(|| name.namespace.clone())
            } else {
                first
            };
            let lambdas = self.lambdas(&name, name.namespace == *own);
            let action = Action {
                kind: summary.kind().to_owned(),
                version: summary.version,
                limits: summary.limits,
                number: numbers.of(&name),
                lambdas,
                name: name.clone(),
            };
            listed.insert(name, Arc::new(action));
        }
        let mut actions = self.actions.write().unwrap_or_else(PoisonError::into_inner);
        if *actions == listed {
            return;
        }
        let gone = actions.keys().filter(|name| !listed.contains_key(*name));
        let gone: Vec<_> = gone.cloned().collect();
        for name in &gone {
            numbers.give_back(name);
        }
        let is_new = |(name, action): &(&ActionName, &Arc<Action>)| {
            actions.get(*name).is_none_or(|before| before != *action)
        };
        tracing::info!(
            backend = self.name,
            actions = listed.len(),
            new_or_changed = listed.iter().filter(is_new).count(),
            gone = gone.len(),
            "the actions have changed"
        );
        *actions = listed;
        drop(actions);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lambdas(&self, name: &ActionName, own: bool) -> Vec<String> {
        let (full, short) = (name.to_string(), name.short());
        let lambdas = match self.config.names {
            NamesConfig::Fqn => vec![full],
            NamesConfig::Short => vec![short],
            NamesConfig::Auto if own => vec![full, short],
            NamesConfig::Auto => vec![full],
        };
        let fits = |lambda: &String| lambda.len() <= MAX_NAME;
        lambdas.into_iter().filter(fits).collect()
    }

    /// Notes that a call has found it working, or why not.
    fn judge(&self, fault: Option<&Fault>) {
        let turn = match fault {
            None => self.breaker.worked(),
            Some(fault) => self.breaker.call_failed(&fault.to_string(), Instant::now()),
        };
        self.turned(turn, fault);
    }

    /// Tells what became of its service, after `fault` if there was one.
    fn turned(&self, turn: Turn, fault: Option<&Fault>) {
        let (backend, url) = (&self.name, &self.config.api_root);
        match (turn, fault) {
            (Turn::Same, Some(fault)) if self.breaker.faults().0 == 1 => {
                tracing::warn!(backend, url, %fault, "a fault of the platform");
            }
            (Turn::Same, _) => {}
            (Turn::Recovered, _) => tracing::info!(backend, url, "the platform is in service"),
            (Turn::Failed, fault) => {
                let fault = fault.map(Fault::to_string);
                tracing::warn!(backend, url, fault, "the platform is out of service");
                self.taken_out.notify_one();
            }
        }
        if turn != Turn::Same {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// How long a request for `action` is expected to take, as it is compared with others.
    pub(super) fn cost(&self, action: &Action) -> f64 {
        self.turns.estimate(action.number).as_secs_f64() * self.config.weight
    }

    /// Executes `invocation`.
    pub(super) async fn run(
        &self,
        action: &Action,
        invocation: &Invocation,
        terms: &Terms<'_>,
    ) -> Result<Execution, ExecutionError> {
        let mapping = &self.config.mapping;
        let params = mapping.params(&invocation.input, &invocation.datain);
        let params = params.map_err(|error| ExecutionError::Application(error.to_string()))?;
        let turn = self.turns.enter(action.number, terms).await?;
        let passing = Passing {
            uuid: &invocation.uuid,
            hops: invocation.hops.saturating_add(1),
        };
        let deadline = terms.deadline;
        let invoked = self.client.invoke(&action.name, &params, passing, deadline);
        let activation = match invoked.await {
            Ok(Invoked::Done(activation)) => *activation,
            Ok(Invoked::Failed(result)) => {
                self.judge(None);
                return Err(failed(Status::ApplicationError, self.execution(&result)));
            }
            Ok(Invoked::Pending(id)) => self.wait_for(&id, terms).await?,
            Err(fault) => return Err(self.error(&fault, terms)),
        };
        self.judge(None);
        let Some(status) = activation.status() else {
            return Err(ExecutionError::Unavailable {
                text: format!("{}: its answer has no status", self.name),
                begun: true,
            });
        };
        let times = activation.times();
        let result = activation.result();
        let execution = Execution {
            service: times.service,
            cold_start: times.cold_start,
            states: invocation.states.clone(),
            ..self.execution(&result)
        };
        if status != Status::InternalError {
            turn.executed(times.service);
        }
        match status {
            Status::Success => Ok(execution),
            Status::InternalError => Err(ExecutionError::Unavailable {
                text: format!(
                    "{}: {}: {}",
                    self.name,
                    status.text(),
                    failure(&result).unwrap_or_default()
                ),
                begun: true,
            }),
            Status::ApplicationError | Status::DeveloperError => Err(failed(status, execution)),
        }
    }

    fn execution(&self, result: &serde_json::value::RawValue) -> Execution {
        let outputs = self.config.mapping.outputs(result);
        Execution {
            output: outputs.output,
            dataout: outputs.dataout,
            ..Execution::default()
        }
    }

    /// Asks for the record of an execution until there is one.
    async fn wait_for(&self, id: &str, terms: &Terms<'_>) -> Result<Activation, ExecutionError> {
        let mut pause = POLL_FIRST;
        let mut faults = 0;
        loop {
            let wake = (Instant::now() + pause).min(terms.deadline);
            tokio::time::sleep_until(wake.into()).await;
            if Instant::now() >= terms.deadline {
                return Err(self.error(&Fault::Deadline, terms));
            }
            match self.client.activation(id, terms.deadline).await {
                Ok(Some(activation)) => return Ok(activation),
                Ok(None) => faults = 0,
                Err(Fault::Deadline) => return Err(self.error(&Fault::Deadline, terms)),
                Err(Fault::Platform { text, .. }) if faults + 1 == POLL_FAULTS => {
                    return Err(self.error(&Fault::Platform { text, begun: true }, terms));
                }
                Err(_) => faults += 1,
            }
            pause = (pause * 2).min(POLL_SLOWEST);
        }
    }

    /// What a fault means to whoever has sent the request.
    fn error(&self, fault: &Fault, terms: &Terms<'_>) -> ExecutionError {
        if matches!(fault, Fault::Platform { .. }) {
            self.judge(Some(fault));
        } else if *fault != Fault::Deadline {
            self.judge(None);
        }
        let text = format!("{}: {fault}", self.name);
        match fault {
            Fault::Platform { begun, .. } => ExecutionError::Unavailable {
                text,
                begun: *begun,
            },
            Fault::Forbidden(_) => ExecutionError::Unavailable { text, begun: false },
            Fault::NotFound(_) => {
                // It has been deleted since.
                self.list_soon.notify_one();
                ExecutionError::NotFound(text)
            }
            Fault::Request(_) => ExecutionError::Application(text),
            Fault::Overloaded { place_in, .. } => ExecutionError::Overloaded {
                text,
                place_in: *place_in,
            },
            Fault::Deadline => ExecutionError::Deadline {
                lambda: terms.lambda.to_owned(),
            },
        }
    }

    pub(super) fn snapshot(&self) -> BackendSnapshot {
        let (failures, last_fault) = self.breaker.faults();
        let functions = self
            .actions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        BackendSnapshot {
            name: self.name.clone(),
            url: self.config.api_root.clone(),
            healthy: self.breaker.is_in_service(),
            failures,
            last_fault,
            functions,
            in_flight: self.turns.in_system(),
            max_in_flight: self.turns.workers(),
        }
    }
}

/// A function has failed.
fn failed(status: Status, execution: Execution) -> ExecutionError {
    let result = serde_json::value::RawValue::from_string(execution.output.clone());
    let said = result.ok().and_then(|result| failure(&result));
    ExecutionError::Failed {
        text: format!("{}: {}", status.text(), said.unwrap_or_default()),
        execution: Box::new(execution),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_stay_with_their_actions() {
        let name = |text: &str| ActionName::parse(text).unwrap();
        let mut numbers = Numbers::default();
        assert_eq!(numbers.of(&name("a")), 0);
        assert_eq!(numbers.of(&name("b")), 1);
        assert_eq!(numbers.of(&name("a")), 0);
        numbers.give_back(&name("a"));
        numbers.give_back(&name("never"));
        assert_eq!(numbers.of(&name("c")), 0);
        assert_eq!(numbers.of(&name("d")), 2);
    }
}
