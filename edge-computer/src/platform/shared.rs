//! The computer behind its lock, and those who wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::rpc::Utilization;
use tokio::sync::{broadcast, oneshot, watch};

use super::acceptance;
use crate::executor::{ExecutionError, Patience, Terms};
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
    /// What is served never does.
    pub(super) changes: watch::Sender<u64>,
    estimator: Estimator,
    /// How long a request may wait for its turn.
    max_wait: Duration,
    /// Processors and their speed at the start.
    speeds: Vec<(String, f64)>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) computer: Computer,
    callers: HashMap<TaskId, oneshot::Sender<End>>,
    /// When the clock wakes up by itself; the beginning of time while it is awake.
    pub(super) armed: SimTime,
    pub(super) stopped: bool,
}

/// What became of an accepted request; nothing if the platform stopped while it ran.
#[derive(Debug)]
pub(super) enum End {
    /// It was executed.
    Done(Completion),
    /// The platform stopped before its turn came.
    NeverBegan,
}

/// Completions on their way to those who wait for them, to be sent when the lock is free.
#[derive(Debug)]
#[must_use]
pub(super) struct Deliveries(Vec<(oneshot::Sender<End>, Completion)>);

impl Deliveries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn send(self) {
        for (caller, completion) in self.0 {
            // An error means that nobody waits any more.
            drop(caller.send(End::Done(completion)));
        }
    }
}

impl Shared {
    pub(super) fn new(computer: Computer, estimator: Estimator, max_wait: Duration) -> Self {
        let speeds = computer.processors();
        let speeds = speeds.map(|p| (p.name.to_owned(), p.speed)).collect();
        Self {
            origin: Instant::now(),
            changed: Condvar::new(),
            samples: broadcast::Sender::new(SAMPLES_KEPT),
            changes: watch::Sender::new(0),
            estimator,
            max_wait,
            speeds,
            inner: Mutex::new(Inner {
                computer,
                callers: HashMap::new(),
                armed: SimTime::ZERO,
                stopped: false,
            }),
        }
    }

    pub(super) fn now(&self) -> SimTime {
        self.origin.elapsed().into()
    }

    /// None beyond the end of the machine's clock.
    fn instant(&self, at: SimTime) -> Option<Instant> {
        self.origin.checked_add(at.since(SimTime::ZERO))
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

    pub(super) fn admits(&self, terms: &Terms<'_>) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        let admitted = self.admit(&mut inner, self.now(), terms);
        self.settle(inner);
        admitted
    }

    /// Whether a request would be taken at `now`.
    fn admit(
        &self,
        inner: &mut Inner,
        now: SimTime,
        terms: &Terms<'_>,
    ) -> Result<(), ExecutionError> {
        if inner.stopped {
            let lambda = terms.lambda.to_owned();
            return Err(ExecutionError::Stopping { lambda });
        }
        let deadline = terms.deadline.saturating_duration_since(self.origin);
        let left = SimTime::from(deadline).since(now);
        acceptance::admit(&mut inner.computer, now, terms, left, self.max_wait)
    }

    pub(super) fn estimate(
        &self,
        lambda: &str,
        input_bytes: usize,
    ) -> Result<Duration, ExecutionError> {
        self.with_computer(|computer| {
            acceptance::estimate(computer, self.now(), lambda, input_bytes, self.estimator)
        })
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
        let Inner {
            computer, callers, ..
        } = &mut *inner;
        for (task, caller) in callers.drain() {
            if computer.waits(task) {
                // An error means that nobody waits any more.
                drop(caller.send(End::NeverBegan));
            }
        }
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
            done.filter_map(|completion| Some((self.callers.remove(&completion.id)?, completion)))
                .collect(),
        )
    }
}

/// An accepted request; dropped before it is done, it cancels the request.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    shared: &'a Shared,
    task: Option<TaskId>,
    /// Until when its turn has to come, if it has to wait for that.
    pub(super) latest_start: Option<Instant>,
}

impl<'a> Ticket<'a> {
    /// Submits a request, and returns where its end will come in.
    pub(super) fn take(
        shared: &'a Shared,
        terms: &Terms<'_>,
    ) -> Result<(Self, oneshot::Receiver<End>), ExecutionError> {
        let mut inner = shared.lock();
        let now = shared.now();
        // Who has been acknowledged was admitted then, perhaps at the same moment as others, and has
        // nowhere else to go.
        let acknowledged = terms.patience == Patience::UntilDeadline;
        let admitted = if acknowledged && !inner.stopped {
            Ok(())
        } else {
            shared.admit(&mut inner, now, terms)
        };
        let accepted = admitted.and_then(|()| {
            let computer = &mut inner.computer;
            let submitted = if acknowledged {
                computer.submit_beyond(now, terms.lambda, terms.input_bytes)
            } else {
                computer.submit(now, terms.lambda, terms.input_bytes)
            };
            submitted
                .map_err(|error| acceptance::turned_down(computer, now, &error, terms.input_bytes))
        });
        let ticket = accepted.map(|task| {
            let (sender, receiver) = oneshot::channel();
            inner.callers.insert(task, sender);
            let bounded = !acknowledged && inner.computer.waits(task);
            let latest = bounded.then(|| shared.instant(now + shared.max_wait));
            let ticket = Self {
                shared,
                task: Some(task),
                latest_start: latest.flatten(),
            };
            (ticket, receiver)
        });
        shared.settle(inner);
        ticket
    }

    /// Takes the request out of the queue if it waits for its turn yet, because it has waited too
    /// long; says so then.
    pub(super) fn overdue(&self, terms: &Terms<'_>) -> Option<ExecutionError> {
        let task = self.task?;
        let mut inner = self.shared.lock();
        let now = self.shared.now();
        let waited = inner.computer.cancel_waiting(now, task);
        let overdue = waited.then(|| {
            inner.callers.remove(&task);
            ExecutionError::Overloaded {
                text: format!(
                    "lambda {} waited {:?} in vain for a worker",
                    terms.lambda, self.shared.max_wait
                ),
                place_in: acceptance::room(
                    &mut inner.computer,
                    now,
                    terms.lambda,
                    terms.input_bytes,
                ),
            }
        });
        self.shared.settle(inner);
        overdue
    }

    /// The end has come in.
    pub(super) fn redeem(mut self) {
        self.task = None;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(task) = self.task else { return };
        let mut inner = self.shared.lock();
        inner.callers.remove(&task);
        inner.computer.cancel(self.shared.now(), task);
        self.shared.settle(inner);
    }
}

/// Seconds of an estimate; what takes for ever is the longest duration there is.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
