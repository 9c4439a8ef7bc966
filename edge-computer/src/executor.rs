//! The trait behind which lambdas are executed, whatever executes them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::rpc::{Outcome, State, Utilization, computer_info};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::sim::Loads;

/// Executes lambdas: the simulated platform, real functions in processes of this machine, or a
/// platform that is fronted.
///
/// What is the same for all of them (announcements, deadlines, callbacks, states, metrics, drain)
/// is the business of the server; what differs is here:
/// - What is served may change while it runs: functions come and go on a fronted platform, and all
///   of them are gone while it cannot be reached. [`Executor::changes`] tells, and
///   [`Executor::containers`] leaves out what would fail anyhow.
/// - Some know how long a request takes before they execute it, others learn it by executing
///   ([`Turns`](crate::turns::Turns) is for those).
/// - Whose fault a failure is: [`ExecutionError`] keeps functions that fail apart from platforms
///   that do, and those that were never begun from those that perhaps were.
/// - What it took to prepare is told apart from the execution: [`Execution::cold_start`].
pub trait Executor: Debug + Send + Sync + 'static {
    /// Executes one request, at the latest until `deadline`. Dropping the future cancels the
    /// request, waiting or running, and frees what it holds here. A fronted platform that cannot be
    /// told so goes on, and nobody waits for it.
    fn run(
        &self,
        invocation: Invocation,
        deadline: Instant,
    ) -> impl Future<Output = Result<Execution, ExecutionError>> + Send;

    /// Whether [`Executor::run`] would take such a request now, for those that are acknowledged
    /// before they run.
    ///
    /// # Errors
    /// Why it would not.
    fn admits(&self, terms: Terms<'_>) -> Result<(), ExecutionError>;

    /// How long such a request would take if it came now and nothing after it; what has taken so
    /// far on the average, where that is all that is known, and zero before there is anything.
    ///
    /// # Errors
    /// If it could not be executed now however long it took.
    fn estimate(&self, lambda: &str, input_bytes: usize) -> Result<Duration, ExecutionError>;

    /// How busy it is for `lambda`; `None` if it does not serve it.
    fn standing(&self, lambda: &str) -> Option<Standing>;

    /// What it serves at present, as controllers want to know it.
    fn containers(&self) -> Vec<computer_info::Container>;

    /// Changes whenever [`Executor::containers`] has.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Whether functions get the states of their requests. Elsewhere those that depend on one are
    /// turned away, and states that nobody depends on are passed on as they are.
    fn takes_states(&self) -> bool {
        false
    }

    /// Everything about its present state, for operators.
    fn snapshot(&self) -> Snapshot;

    /// The utilisation of its processors, one sample per second from now on. Whoever is slow to
    /// take them misses the oldest.
    fn utilization(&self) -> broadcast::Receiver<Arc<Utilization>>;

    /// Ends it: what waits learns that it will not be executed, what runs is cut off, and nothing
    /// that it started is left. Returns within seconds.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// What an executor needs to know of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Invocation {
    /// Name of the lambda.
    pub lambda: String,
    /// Identity of the request, as its sender wrote it.
    pub uuid: String,
    /// Nodes that the request has passed, this computer not counted.
    pub hops: u32,
    /// Text input.
    pub input: String,
    /// Binary input.
    pub datain: Bytes,
    /// States that the function may read and change.
    pub states: BTreeMap<String, State>,
    /// How long it may wait for its turn.
    pub patience: Patience,
}

/// How long a request may wait for its turn. Executors that do not know how long requests take
/// before they have executed them estimate the wait as [`edge_balance::Acceptance`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// As long as the executor lets anybody wait: beyond that it is overloaded.
    #[default]
    Usual,
    /// As [`Patience::Usual`]; and refuse it if all workers are busy and the wait is expected to
    /// be longer than this.
    AtMost(Duration),
    /// Until its deadline: [`Executor::admits`] has taken it, it has been acknowledged, and nobody
    /// can try elsewhere any more. [`Executor::run`] does not compare it with bounds again.
    UntilDeadline,
}

/// What decides whether a request is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms<'a> {
    /// Name of the lambda.
    pub lambda: &'a str,
    /// Length of its text input, which the simulated platform goes by.
    pub input_bytes: usize,
    /// How long it may wait for its turn.
    pub patience: Patience,
    /// When it has to be done.
    pub deadline: Instant,
}

impl Invocation {
    /// The terms on which it is to be executed until `deadline`.
    pub fn terms(&self, deadline: Instant) -> Terms<'_> {
        Terms {
            lambda: &self.lambda,
            input_bytes: self.input.len(),
            patience: self.patience,
            deadline,
        }
    }
}

/// What came out of an execution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    /// Text output.
    pub output: String,
    /// Binary output.
    pub dataout: Bytes,
    /// States after the execution.
    pub states: BTreeMap<String, State>,
    /// Loads of the processor when the request was accepted, or of the workers of the lambda where it
    /// has some of its own.
    pub loads: Loads,
    /// How long it executed, without waiting for its turn and without its cold start.
    pub service: Duration,
    /// How long it took to prepare the execution, which the next request is spared; `None` if
    /// everything was warm.
    pub cold_start: Option<Duration>,
}

/// How busy an executor is for one lambda.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Requests that wait or run.
    pub in_flight: u32,
    /// Requests that it executes at the same time.
    pub workers: u32,
    /// Loads of the processor, or of the workers of the lambda where it has some of its own.
    pub loads: Loads,
}

/// Why a request was not executed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecutionError {
    /// The lambda is not served; another computer may.
    #[error("{0}")]
    NotFound(String),
    /// The request or its function is at fault; no computer would do better.
    #[error("{0}")]
    Application(String),
    /// The function was executed and failed, which is for its caller to know; the platform works.
    #[error("{text}")]
    Failed {
        /// How, for a person.
        text: String,
        /// What the function has answered, and how long it took.
        execution: Box<Execution>,
    },
    /// The platform that executes cannot be reached, or broke.
    #[error("{text}")]
    Unavailable {
        /// How, for a person.
        text: String,
        /// Whether the function may have been executed, at least in part.
        begun: bool,
    },
    /// It would wait longer than it wants to; it was not executed.
    #[error(
        "refused: lambda {lambda} would wait {wait:?} for a worker, the request allows {max_wait:?}"
    )]
    Refused {
        /// The lambda.
        lambda: String,
        /// How long it would wait.
        wait: Duration,
        /// How long it wants to wait at the most.
        max_wait: Duration,
    },
    /// Too many requests wait already, or for too long; it was not executed.
    #[error("{text}")]
    Overloaded {
        /// Which bound was reached.
        text: String,
        /// How long until there is likely to be a place.
        place_in: Duration,
    },
    /// It would not be done in time; it was not executed.
    #[error(
        "deadline exceeded: lambda {lambda} would be done in {expected:?}, the request has \
         {left:?} left; it was not executed"
    )]
    TooLate {
        /// The lambda.
        lambda: String,
        /// How long it would take, waiting included.
        expected: Duration,
        /// How long it may take.
        left: Duration,
    },
    /// The deadline passed before it was done; it was cancelled.
    #[error("deadline exceeded: lambda {lambda} was cancelled before it was done")]
    Deadline {
        /// The lambda.
        lambda: String,
    },
    /// The executor is about to end; it was not executed.
    #[error("lambda {lambda} was not executed: the computer is stopping")]
    Stopping {
        /// The lambda.
        lambda: String,
    },
    /// The executor ended while it ran.
    #[error("lambda {lambda} was cut off: the computer has stopped")]
    CutOff {
        /// The lambda.
        lambda: String,
    },
}

impl ExecutionError {
    /// What it means to those who decide where to try next.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound(_) => Outcome::NotFound,
            Self::Application(_) | Self::Failed { .. } => Outcome::ApplicationError,
            Self::Refused { .. } => Outcome::Refused,
            // It was never begun, so that another computer may have it at once.
            Self::Overloaded { .. } | Self::Stopping { .. } => Outcome::Overloaded,
            Self::TooLate { .. } | Self::Deadline { .. } => Outcome::Deadline,
            Self::CutOff { .. } | Self::Unavailable { .. } => Outcome::Unavailable,
        }
    }

    /// Whether it was turned down before it began although its outcome can also mean that it was
    /// executed, at least in part.
    pub fn needs_mark(&self) -> bool {
        matches!(
            self,
            Self::TooLate { .. } | Self::Unavailable { begun: false, .. }
        )
    }

    /// How long until there is likely to be a place, if that is what it lacked.
    pub fn place_in(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { place_in, .. } => Some(*place_in),
            _ => None,
        }
    }
}

/// The state of an executor at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Name of the computer.
    pub name: String,
    /// Processors by name.
    pub processors: Vec<ProcessorSnapshot>,
    /// Containers by name of their lambda.
    pub containers: Vec<ContainerSnapshot>,
    /// Platforms that are fronted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<BackendSnapshot>,
}

/// A fronted platform at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendSnapshot {
    /// What it is called in the configuration.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether its functions are announced.
    pub healthy: bool,
    /// Faults in a row.
    pub failures: u32,
    /// The latest one, for a person; empty if there was none.
    pub last_fault: String,
    /// Functions that are known.
    pub functions: usize,
    /// Requests that wait or run.
    pub in_flight: u32,
    /// Requests that it is given at the same time.
    pub max_in_flight: u32,
}

/// A processor at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessorSnapshot {
    /// Name of the processor.
    pub name: String,
    /// What it is called.
    pub kind: String,
    /// Number of cores.
    pub cores: u32,
    /// Operations per second and core.
    pub speed: f64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes that running requests hold.
    pub memory_used_bytes: u64,
    /// Requests that run.
    pub running: u32,
    /// Share of its cores that was busy during the last second, from 0 to 1.
    pub utilization: f32,
}

/// A container at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerSnapshot {
    /// Name of the container.
    pub name: String,
    /// Name of its processor.
    pub processor: String,
    /// The lambda that it serves.
    pub lambda: String,
    /// Requests that it executes at the same time.
    pub workers: u32,
    /// Requests that run.
    pub active: u32,
    /// Requests that wait.
    pub pending: usize,
}
