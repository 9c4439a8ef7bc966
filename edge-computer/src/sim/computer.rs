//! The simulated computer: accepts tasks, and says which of them are done at what time.

mod builder;
mod view;

pub use self::builder::{BuildError, ComputerBuilder, DEFAULT_MAX_PENDING};
pub use self::view::{ContainerView, LambdaStatus, ProcessorView};
pub use super::container::TaskId;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::container::Task;
use super::estimate::{Estimate, Estimator, estimate, forecast};
use super::lambda::Output;
use super::processor::ProcessorError;
use super::requirements::Demand;
use super::station::{Bounds, Finished, Forecast, Horizon, Station};
use super::time::{Moment, SimTime};
use super::utilization::Loads;

/// Why a task is not accepted. A task that is refused leaves no trace.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// No container serves the lambda; another computer may.
    #[error("No container for lambda {lambda} found in computer {computer}")]
    UnknownLambda {
        /// The lambda asked for.
        lambda: String,
        /// Name of the computer.
        computer: String,
    },
    /// The task needs more memory than its processor has, so it could never run here.
    #[error(
        "a request for lambda {lambda} needs {needed} bytes of memory, processor {processor} has {total}"
    )]
    TooLarge {
        /// The lambda asked for.
        lambda: String,
        /// Bytes that the task needs.
        needed: u64,
        /// Name of the processor.
        processor: String,
        /// Bytes that the processor has.
        total: u64,
    },
    /// As many tasks wait already as the container allows; later there may be room.
    #[error("the queue of lambda {lambda} is full: {max_pending} requests wait already")]
    QueueFull {
        /// The lambda asked for.
        lambda: String,
        /// Tasks that may wait.
        max_pending: usize,
    },
}

/// Why the speed of a processor stays what it is.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SetSpeedError {
    /// No processor has this name.
    #[error("unknown processor: {0}")]
    UnknownProcessor(String),
    /// The speed is no positive number of single precision.
    #[error(transparent)]
    Speed(#[from] ProcessorError),
}

/// A task that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// What [`Computer::submit`] returned for it.
    pub id: TaskId,
    /// The lambda that it called.
    pub lambda: Arc<str>,
    /// When it ended, to the nearest nanosecond; may be long before it was collected.
    pub finished_at: SimTime,
    /// How long it waited for a worker and memory.
    pub queued_for: Duration,
    /// How long it ran. Submission + `queued_for` + `service` = `finished_at`.
    pub service: Duration,
    /// Loads of its processor when it was accepted.
    pub loads: Loads,
    /// What it answers.
    pub output: Output,
}

/// Where a lambda is served.
#[derive(Clone, Copy, Debug)]
struct Route {
    station: usize,
    container: usize,
}

/// A set of processors and the containers on them, in virtual time.
///
/// Inputs are not kept: the owner remembers them by [`TaskId`] where the output is the input.
/// A `now` that is earlier than that of a previous call counts as that one.
#[derive(Clone, Debug)]
pub struct Computer {
    name: String,
    stations: Vec<Station>,
    routes: BTreeMap<Arc<str>, Route>,
    max_pending: usize,
    accepted: u64,
    now: SimTime,
    /// Ended but not yet collected, in order.
    done: Vec<Completion>,
}

impl Computer {
    /// Begins the description of a computer.
    pub fn builder(name: &str) -> ComputerBuilder {
        ComputerBuilder::new(name)
    }

    /// Name of the computer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Accepts a request for `lambda` with `input_bytes` bytes of input.
    pub fn submit(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<TaskId, SubmitError> {
        self.run_until(now);
        let place = self.admit(lambda, input_bytes)?;
        Ok(self.push(place))
    }

    /// As [`Computer::submit`], whether or not there is room in the queue.
    pub fn submit_beyond(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<TaskId, SubmitError> {
        self.run_until(now);
        let place = self.locate(lambda, input_bytes)?;
        Ok(self.push(place))
    }

    fn push(&mut self, (route, demand): (Route, Demand)) -> TaskId {
        let id = TaskId::new(self.accepted);
        self.accepted += 1;
        let station = &mut self.stations[route.station];
        let task = Task {
            id,
            container: route.container,
            demand,
            submitted_at: self.now,
            loads: station.loads(),
        };
        station.push(self.now.into(), task);
        id
    }

    /// Whether [`Computer::submit`] would accept a request now.
    pub fn accepts(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<(), SubmitError> {
        self.run_until(now);
        self.admit(lambda, input_bytes).map(drop)
    }

    /// Takes a task away, pending or running, because nobody waits for it any more; others may
    /// start in its place. False if it is unknown or has ended, in which case its completion has
    /// been or will be returned by [`Computer::advance`].
    pub fn cancel(&mut self, now: SimTime, id: TaskId) -> bool {
        self.run_until(now);
        let now = Moment::from(self.now);
        self.stations
            .iter_mut()
            .any(|station| station.cancel(now, id))
    }

    /// Takes a task away as [`Computer::cancel`] does, but only if it waits for its turn yet.
    pub fn cancel_waiting(&mut self, now: SimTime, id: TaskId) -> bool {
        self.run_until(now);
        self.waits(id) && self.cancel(now, id)
    }

    /// When to call [`Computer::advance`] next: the end of the task that ends first if nothing is
    /// submitted or cancelled before, or an instant in the past if completions wait to be
    /// collected. `None` if nothing runs.
    pub fn next_completion(&self) -> Option<SimTime> {
        match self.done.first() {
            Some(completion) => Some(completion.finished_at),
            None => self.earliest().map(|(due, _)| due.nearest()),
        }
    }

    /// Returns what has ended up to `now` and was not returned before, in order of time.
    pub fn advance(&mut self, now: SimTime) -> Vec<Completion> {
        self.run_until(now);
        std::mem::take(&mut self.done)
    }

    /// How long a request would take if it came now. Fails where [`Computer::submit`] would.
    pub fn estimate(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
        estimator: Estimator,
    ) -> Result<Estimate, SubmitError> {
        self.run_until(now);
        let (route, demand) = self.admit(lambda, input_bytes)?;
        let station = &self.stations[route.station];
        Ok(estimate(
            station,
            self.now,
            route.container,
            demand,
            estimator,
        ))
    }

    /// What a request would meet if it came now, as far as `horizon` exactly, whether or not there
    /// is room for it in the queue. Costs O(log n) per event that is replayed.
    pub fn forecast(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
        horizon: Horizon,
    ) -> Result<Forecast, SubmitError> {
        self.run_until(now);
        let (route, demand) = self.locate(lambda, input_bytes)?;
        let station = &self.stations[route.station];
        let now = self.now;
        Ok(forecast(station, now, route.container, demand, horizon))
    }

    /// Bounds of the forecast of a request that comes now, at the same cost however many wait.
    pub fn bounds(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<Bounds, SubmitError> {
        self.run_until(now);
        let (route, demand) = self.locate(lambda, input_bytes)?;
        Ok(self.stations[route.station].bounds(route.container, demand))
    }

    /// Whether a task waits for its turn; false if it runs or is not here any more.
    pub fn waits(&self, id: TaskId) -> bool {
        self.stations.iter().any(|station| station.waits(id))
    }

    /// Makes a processor slower or faster from `now` on: running tasks keep what was done for
    /// them, and the rest of them goes at `speed` operations per second and core.
    pub fn set_speed(
        &mut self,
        now: SimTime,
        processor: &str,
        speed: f64,
    ) -> Result<(), SetSpeedError> {
        self.run_until(now);
        let now = Moment::from(self.now);
        let station = self
            .stations
            .iter_mut()
            .find(|station| station.processor().name() == processor)
            .ok_or_else(|| SetSpeedError::UnknownProcessor(processor.to_owned()))?;
        Ok(station.set_speed(now, speed)?)
    }

    /// Limits how many tasks may wait in each container; 0 refuses what cannot start at once.
    /// Those that wait already stay.
    pub fn set_max_pending(&mut self, tasks: usize) {
        self.max_pending = tasks;
    }

    /// Closes an interval of utilisation and returns the share of each processor's cores that was
    /// busy in it, from 0 to 1, by name of the processor. To be called once per second from the
    /// start on, so that [`Loads`] mean what they say.
    pub fn sample_utilization(&mut self, now: SimTime) -> BTreeMap<String, f32> {
        self.run_until(now);
        let now = Moment::from(self.now);
        self.stations
            .iter_mut()
            .map(|station| {
                let name = station.processor().name().to_owned();
                (name, station.sample_utilization(now))
            })
            .collect()
    }

    /// Where a request that may run is to go, and what it needs.
    fn locate(&self, lambda: &str, input_bytes: usize) -> Result<(Route, Demand), SubmitError> {
        let Some(&route) = self.routes.get(lambda) else {
            return Err(SubmitError::UnknownLambda {
                lambda: lambda.to_owned(),
                computer: self.name.clone(),
            });
        };
        let station = &self.stations[route.station];
        let container = station.container(route.container);
        let demand = container.lambda.requirements.demand(input_bytes);
        let processor = station.processor();
        if demand.memory > processor.memory_total() {
            return Err(SubmitError::TooLarge {
                lambda: lambda.to_owned(),
                needed: demand.memory,
                processor: processor.name().to_owned(),
                total: processor.memory_total(),
            });
        }
        Ok((route, demand))
    }

    fn admit(&self, lambda: &str, input_bytes: usize) -> Result<(Route, Demand), SubmitError> {
        let (route, demand) = self.locate(lambda, input_bytes)?;
        let station = &self.stations[route.station];
        let waits = !station.starts_at_once(route.container, demand);
        let pending = station.container(route.container).pending.len();
        if waits && pending >= self.max_pending {
            return Err(SubmitError::QueueFull {
                lambda: lambda.to_owned(),
                max_pending: self.max_pending,
            });
        }
        Ok((route, demand))
    }

    /// The station whose next task ends first, and when.
    fn earliest(&self) -> Option<(Moment, usize)> {
        let dues = self.stations.iter().enumerate();
        dues.filter_map(|(index, station)| station.due().map(|due| (due, index)))
            .min()
    }

    /// Replays what happens up to `now`, each event at its own instant.
    fn run_until(&mut self, now: SimTime) {
        self.now = self.now.max(now);
        while let Some((due, index)) = self.earliest() {
            if due.nearest() > self.now {
                break;
            }
            let station = &mut self.stations[index];
            if let Some(finished) = station.complete_next() {
                let lambda = &station.container(finished.task.container).lambda;
                let completion = completion(finished, lambda.name.clone(), lambda.output.clone());
                self.done.push(completion);
            }
        }
    }
}

fn completion(finished: Finished, lambda: Arc<str>, output: Output) -> Completion {
    let task = finished.task;
    let started_at = finished.started_at.nearest();
    let finished_at = finished.finished_at.nearest();
    Completion {
        id: task.id,
        lambda,
        finished_at,
        queued_for: started_at.since(task.submitted_at),
        service: finished_at.since(started_at),
        loads: task.loads,
        output,
    }
}
