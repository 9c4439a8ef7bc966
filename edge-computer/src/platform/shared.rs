//! The computer behind its lock, and those who wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::rpc::Utilization;
use tokio::sync::{broadcast, oneshot};

use super::acceptance;
use crate::executor::{ExecutionError, Invocation};
use crate::sim::{Completion, Computer, Estimator, SetSpeedError, SimTime, TaskId};

/// Samples of utilisation that a slow subscriber may be behind.
const SAMPLES_KEPT: usize = 16;

/// What the clock and all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    origin: Instant,
    inner: Mutex<Inner>,
    /// Tells the clock that something ends earlier than it thinks.
    pub(super) changed: Condvar,
    pub(super) samples: broadcast::Sender<Arc<Utilization>>,
    estimator: Estimator,
    /// Processors and their speed at the start.
    speeds: Vec<(String, f64)>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) computer: Computer,
    waiting: HashMap<TaskId, oneshot::Sender<Completion>>,
    /// When the clock wakes up by itself; the beginning of time while it is awake.
    pub(super) armed: SimTime,
    pub(super) stopped: bool,
}

/// Completions on their way to those who wait for them, to be sent when the lock is free.
#[derive(Debug)]
#[must_use]
pub(super) struct Deliveries(Vec<(oneshot::Sender<Completion>, Completion)>);

impl Deliveries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn send(self) {
        for (waiting, completion) in self.0 {
            // An error means that nobody waits any more.
            drop(waiting.send(completion));
        }
    }
}

impl Shared {
    pub(super) fn new(computer: Computer, estimator: Estimator) -> Self {
        let speeds = computer.processors();
        let speeds = speeds.map(|p| (p.name.to_owned(), p.speed)).collect();
        Self {
            origin: Instant::now(),
            changed: Condvar::new(),
            samples: broadcast::Sender::new(SAMPLES_KEPT),
            estimator,
            speeds,
            inner: Mutex::new(Inner {
                computer,
                waiting: HashMap::new(),
                armed: SimTime::ZERO,
                stopped: false,
            }),
        }
    }

    pub(super) fn now(&self) -> SimTime {
        self.origin.elapsed().into()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the computer something, as of now.
    pub(super) fn with_computer<T>(&self, ask: impl FnOnce(&mut Computer) -> T) -> T {
        let mut inner = self.lock();
        let answer = ask(&mut inner.computer);
        self.settle(inner);
        answer
    }

    pub(super) fn admits(
        &self,
        lambda: &str,
        input_bytes: usize,
        max_wait: Option<Duration>,
    ) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        let admitted = inner.admit(self.now(), lambda, input_bytes, max_wait);
        self.settle(inner);
        admitted
    }

    pub(super) fn estimate(
        &self,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<Duration, ExecutionError> {
        let estimate = self.with_computer(|computer| {
            computer.estimate(self.now(), lambda, input_bytes, self.estimator)
        })?;
        Ok(duration(estimate.seconds()))
    }

    pub(super) fn set_speed_factor(&self, factor: f64) -> Result<(), SetSpeedError> {
        self.with_computer(|computer| {
            let now = self.now();
            self.speeds
                .iter()
                .try_for_each(|(name, speed)| computer.set_speed(now, name, speed * factor))
        })
    }

    pub(super) fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.waiting.clear();
        self.changed.notify_one();
    }

    /// After a change: hands out what has ended, and wakes the clock if it would come too late.
    fn settle(&self, mut inner: MutexGuard<'_, Inner>) {
        let deliveries = inner.collect(self.now());
        let next = inner.computer.next_completion();
        if next.is_some_and(|next| next < inner.armed) {
            self.changed.notify_one();
        }
        drop(inner);
        deliveries.send();
    }
}

impl Inner {
    /// What has ended up to `now`.
    pub(super) fn collect(&mut self, now: SimTime) -> Deliveries {
        let done = self.computer.advance(now).into_iter();
        Deliveries(
            done.filter_map(|completion| Some((self.waiting.remove(&completion.id)?, completion)))
                .collect(),
        )
    }

    /// Whether a request would be accepted, and not wait longer than `max_wait`.
    fn admit(
        &mut self,
        now: SimTime,
        lambda: &str,
        input_bytes: usize,
        max_wait: Option<Duration>,
    ) -> Result<(), ExecutionError> {
        if self.stopped {
            let lambda = lambda.to_owned();
            return Err(ExecutionError::Stopping { lambda });
        }
        acceptance::admit(&mut self.computer, now, lambda, input_bytes, max_wait)
    }
}

/// An accepted request; dropped before it is done, it cancels the request.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    shared: &'a Shared,
    task: Option<TaskId>,
}

impl<'a> Ticket<'a> {
    /// Submits a request, and returns where its completion will come in.
    pub(super) fn take(
        shared: &'a Shared,
        invocation: &Invocation,
    ) -> Result<(Self, oneshot::Receiver<Completion>), ExecutionError> {
        let (sender, receiver) = oneshot::channel();
        let lambda = &invocation.lambda;
        let bytes = invocation.input.len();
        let mut inner = shared.lock();
        let now = shared.now();
        let accepted = inner
            .admit(now, lambda, bytes, invocation.max_wait)
            .and_then(|()| Ok(inner.computer.submit(now, lambda, bytes)?));
        if let Ok(task) = accepted {
            inner.waiting.insert(task, sender);
        }
        shared.settle(inner);
        let task = Some(accepted?);
        Ok((Self { shared, task }, receiver))
    }

    /// The completion has come in.
    pub(super) fn redeem(mut self) {
        self.task = None;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(task) = self.task else { return };
        let mut inner = self.shared.lock();
        inner.waiting.remove(&task);
        inner.computer.cancel(self.shared.now(), task);
        self.shared.settle(inner);
    }
}

/// Seconds of an estimate; what takes for ever is the longest duration there is.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
