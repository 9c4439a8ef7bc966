//! Turns: who gets a worker of a pool, who waits for one, and who is told at once to go elsewhere.
//!
//! For executors that learn how long requests take by executing them. The bounds are those of the
//! simulated platform; the wait that they are compared with is what [`Acceptance`] makes of the past.

mod busy;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_balance::{Acceptance, Nanos};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::busy::Busy;
use crate::executor::{ExecutionError, Patience, Terms};

/// How soon a place may be free of which nothing is known.
const SOON: Duration = Duration::from_millis(100);

/// A pool of workers, and those who wait for one, first come, first served.
#[derive(Debug)]
pub struct Turns {
    bounds: Bounds,
    places: Arc<Semaphore>,
    inner: Mutex<Inner>,
}

/// What a pool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that are executed at the same time, at least one.
    pub workers: u32,
    /// Requests of one lambda that wait for a worker.
    pub max_pending: usize,
    /// How long they may wait.
    pub max_wait: Duration,
}

#[derive(Debug)]
struct Inner {
    acceptance: Acceptance,
    /// By number of the lambda.
    lambdas: Vec<Counts>,
    busy: Busy,
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    waiting: usize,
    active: u32,
}

impl Turns {
    /// An idle pool.
    pub fn new(bounds: Bounds) -> Self {
        let workers = bounds.workers.max(1);
        Self {
            bounds: Bounds { workers, ..bounds },
            places: Arc::new(Semaphore::new(workers as usize)),
            inner: Mutex::new(Inner {
                acceptance: Acceptance::new(workers),
                lambdas: Vec::new(),
                busy: Busy::idle(Instant::now()),
                closed: false,
            }),
        }
    }

    /// Requests that are executed at the same time.
    pub fn workers(&self) -> u32 {
        self.bounds.workers
    }

    /// Whether a request for the lambda number `lambda` would be taken now.
    ///
    /// # Errors
    /// Why it would not.
    pub fn admits(&self, lambda: usize, terms: &Terms<'_>) -> Result<(), ExecutionError> {
        self.lock().admit(self.bounds, lambda, terms)
    }

    /// How long a request for the lambda number `lambda` would take, its wait included.
    pub fn estimate(&self, lambda: usize) -> Duration {
        let inner = self.lock();
        let service = inner.acceptance.expected_service(lambda);
        Duration::from(inner.acceptance.estimated_wait())
            + service.map_or(Duration::ZERO, Duration::from)
    }

    /// How long one waits for a worker now.
    pub fn wait(&self) -> Duration {
        self.lock().acceptance.estimated_wait().into()
    }

    /// Requests that wait or run, for all lambdas.
    pub fn in_system(&self) -> u32 {
        self.lock().acceptance.in_system()
    }

    /// Requests of one lambda that run, and that wait.
    pub fn of_lambda(&self, lambda: usize) -> (u32, usize) {
        let counts = self.lock().lambdas.get(lambda).copied();
        counts.map_or((0, 0), |counts| (counts.active, counts.waiting))
    }

    /// How long workers were busy since this was asked for the last time, for all lambdas, added up.
    pub fn take_busy(&self, now: Instant) -> Duration {
        self.lock().busy.take(now)
    }

    /// Waits for a worker. Dropping the future gives up.
    ///
    /// # Errors
    /// Why it was not waited for, or in vain.
    pub async fn enter(
        self: &Arc<Self>,
        lambda: usize,
        terms: &Terms<'_>,
    ) -> Result<Turn, ExecutionError> {
        self.lock().arrive(self.bounds, lambda, terms)?;
        let mut turn = Turn {
            turns: self.clone(),
            lambda,
            place: None,
            service: None,
        };
        let latest = match terms.patience {
            Patience::UntilDeadline => terms.deadline,
            Patience::Usual | Patience::AtMost(_) => Instant::now()
                .checked_add(self.bounds.max_wait)
                .map_or(terms.deadline, |latest| latest.min(terms.deadline)),
        };
        let place = self.places.clone().acquire_owned();
        match tokio::time::timeout_at(latest.into(), place).await {
            Ok(Ok(place)) => turn.place = Some(place),
            Ok(Err(_closed)) => {
                let lambda = terms.lambda.to_owned();
                return Err(ExecutionError::Stopping { lambda });
            }
            Err(_) => return Err(self.overdue(terms, latest)),
        }
        let mut inner = self.lock();
        inner.busy.begin(Instant::now());
        let counts = &mut inner.lambdas[lambda];
        counts.waiting -= 1;
        counts.active += 1;
        drop(inner);
        Ok(turn)
    }

    fn overdue(&self, terms: &Terms<'_>, latest: Instant) -> ExecutionError {
        let lambda = terms.lambda;
        if latest < terms.deadline {
            return ExecutionError::Overloaded {
                text: format!(
                    "lambda {lambda} waited {:?} in vain for a worker",
                    self.bounds.max_wait
                ),
                place_in: self.wait().max(SOON),
            };
        }
        ExecutionError::TooLate {
            lambda: lambda.to_owned(),
            expected: self.wait(),
            left: Duration::ZERO,
        }
    }

    /// Takes nobody any more; those who wait learn that they will not be executed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.places.close();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn admit(
        &self,
        bounds: Bounds,
        lambda: usize,
        terms: &Terms<'_>,
    ) -> Result<(), ExecutionError> {
        let name = || terms.lambda.to_owned();
        if self.closed {
            return Err(ExecutionError::Stopping { lambda: name() });
        }
        if self.acceptance.in_system() < bounds.workers {
            return Ok(());
        }
        let wait = Duration::from(self.acceptance.estimated_wait());
        let left = terms.deadline.saturating_duration_since(Instant::now());
        let waiting = self.lambdas.get(lambda).map_or(0, |counts| counts.waiting);
        if waiting >= bounds.max_pending {
            return Err(ExecutionError::Overloaded {
                text: format!(
                    "lambda {}: {waiting} requests wait for a worker already",
                    terms.lambda
                ),
                place_in: wait.max(SOON),
            });
        }
        match terms.patience {
            Patience::AtMost(own) if wait > own => Err(ExecutionError::Refused {
                lambda: name(),
                wait,
                max_wait: own,
            }),
            Patience::Usual | Patience::AtMost(_) if wait > bounds.max_wait => {
                Err(ExecutionError::Overloaded {
                    text: format!(
                        "lambda {} would wait {wait:?} for a worker, this computer allows {:?}",
                        terms.lambda, bounds.max_wait
                    ),
                    place_in: wait.saturating_sub(bounds.max_wait).max(SOON),
                })
            }
            // How long it would execute is a guess that may be wrong; the wait alone is too long.
            _ if wait > left => Err(ExecutionError::TooLate {
                lambda: name(),
                expected: wait,
                left,
            }),
            _ => Ok(()),
        }
    }

    fn arrive(
        &mut self,
        bounds: Bounds,
        lambda: usize,
        terms: &Terms<'_>,
    ) -> Result<(), ExecutionError> {
        // Who has been acknowledged was admitted then, perhaps at the same moment as others, and has
        // nowhere else to go.
        if self.closed || terms.patience != Patience::UntilDeadline {
            self.admit(bounds, lambda, terms)?;
        }
        if lambda >= self.lambdas.len() {
            self.lambdas.resize(lambda + 1, Counts::default());
        }
        self.lambdas[lambda].waiting += 1;
        self.acceptance.arrived(lambda);
        Ok(())
    }
}

/// A request in a pool: it waits, then has a worker until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    lambda: usize,
    place: Option<OwnedSemaphorePermit>,
    service: Option<Duration>,
}

impl Turn {
    /// It was executed to its end, which took `service`; those who come next are told so.
    pub fn executed(mut self, service: Duration) {
        self.service = Some(service);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let place = self.place.take();
        let mut inner = self.turns.lock();
        let counts = &mut inner.lambdas[self.lambda];
        if place.is_some() {
            counts.active -= 1;
            inner.busy.end(Instant::now());
        } else {
            counts.waiting -= 1;
        }
        let service = self.service.map(Nanos::from);
        inner.acceptance.left(self.lambda, service);
        drop(inner);
        drop(place);
    }
}

#[cfg(test)]
mod tests;
