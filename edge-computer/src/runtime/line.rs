//! How a request waits for a container, and what is done meanwhile so that there will be one.
//!
//! Requests of a function are served in the order of their arrival. One that finds no container
//! starts one, as long as there may be more of them: it asks for a place, for which idle processes
//! are given up, and launches a process in it. Whatever comes first, that process or a container
//! that somebody else leaves, goes to the first in line. A launch goes on when its request has left:
//! the next one finds a container.
//!
//! What others keep busy is waited for as long as requests may wait for a worker. What is about to
//! be ready is waited for until the deadline.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::container::{Container, Host};
use super::places::{Closed, Place};
use super::pool::{Found, Lease, Pool, Starting};
use super::process::LaunchError;
use crate::executor::{ExecutionError, Patience, Terms};

/// How often who waits for a place looks for idle processes, should one have become idle without
/// anybody noticing.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How soon a place may be free of which nothing is known.
const SOON: Duration = Duration::from_millis(100);

/// A request that waits.
struct Waiter<'a> {
    pool: &'a Pool,
    number: u64,
}

impl<'a> Waiter<'a> {
    fn new(pool: &'a Pool) -> Self {
        let mut slots = pool.slots();
        let number = slots.next_in_line;
        slots.next_in_line += 1;
        slots.line.insert(number);
        Self { pool, number }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.pool.slots().line.remove(&self.number);
        // Somebody else is first now.
        self.pool.changed.send_replace(());
    }
}

type Asked = Pin<Box<dyn Future<Output = Result<Place, Closed>> + Send>>;

/// What a request does for a container of its own.
enum Attempt {
    Nothing,
    /// It waits for a place.
    Place {
        starting: Starting,
        place: Asked,
        look_at: Instant,
    },
    Launch(JoinHandle<Result<(), LaunchError>>),
}

impl Attempt {
    fn place(starting: Starting) -> Self {
        let site = starting.pool.site.clone();
        let place = Box::pin(site.places.ask(starting.pool.number).place());
        site.make_room();
        Self::Place {
            starting,
            place,
            look_at: Instant::now() + LOOK_EVERY,
        }
    }

    /// Returns when it has come a step further. Nothing is lost if it is dropped before.
    async fn go_on(&mut self, pool: &Arc<Pool>) -> Result<(), ExecutionError> {
        match self {
            Self::Nothing => pending().await,
            Self::Place { place, look_at, .. } => {
                let place = tokio::select! {
                    biased;
                    place = place => place,
                    () = tokio::time::sleep_until((*look_at).into()) => {
                        pool.site.make_room();
                        *look_at = Instant::now() + LOOK_EVERY;
                        return Ok(());
                    }
                };
                let attempt = std::mem::replace(self, Self::Nothing);
                let (Ok(place), Self::Place { starting, .. }) = (place, attempt) else {
                    let lambda = pool.function.name.clone();
                    return Err(ExecutionError::Stopping { lambda });
                };
                *self = Self::Launch(launch(starting, place));
                Ok(())
            }
            Self::Launch(launching) => {
                let launched = launching.await;
                *self = Self::Nothing;
                let launched = launched.map_err(|_| pool.cut_off())?;
                launched.map_err(|error| pool.unavailable(&error.to_string()))
            }
        }
    }
}

/// Starts a process at `place`, which is there for whoever is first in line then.
pub(super) fn launch(mut starting: Starting, place: Place) -> JoinHandle<Result<(), LaunchError>> {
    starting.launches();
    let home = starting.pool.site.home.clone();
    home.spawn(async move {
        let pool = &starting.pool;
        let begun = Instant::now();
        let launching = pool
            .site
            .workshop
            .launch(&pool.function, place, &pool.unmarked);
        let Some(launched) = pool.site.closing.run_until_cancelled(launching).await else {
            return Ok(());
        };
        pool.judge(launched.as_ref().err().map(|error| error as _));
        pool.add(Container::new(Host::Process(launched?), begun.elapsed()));
        Ok(())
    })
}

impl Pool {
    /// Waits for a container on behalf of a request that arrived at `arrived`.
    pub(super) async fn lease(
        self: &Arc<Self>,
        terms: &Terms<'_>,
        arrived: Instant,
    ) -> Result<Lease, ExecutionError> {
        let begun = Instant::now();
        if let Found::Container(container) = self.find(None, true)? {
            return Ok(self.leased(container, begun));
        }
        let latest = self.latest_place(terms, arrived);
        let waiter = Waiter::new(self);
        let mut changed = self.changed.subscribe();
        let mut attempt = Attempt::Nothing;
        loop {
            changed.mark_unchanged();
            let starts = !matches!(attempt, Attempt::Nothing);
            let latest = match self.find(Some(waiter.number), starts)? {
                Found::Container(container) => return Ok(self.leased(container, begun)),
                Found::Start(starting) => {
                    attempt = Attempt::place(starting);
                    latest
                }
                Found::Wait { .. } if matches!(attempt, Attempt::Place { .. }) => latest,
                Found::Wait { coming: true } => terms.deadline,
                Found::Wait { coming: false } => latest,
            };
            tokio::select! {
                biased;
                further = attempt.go_on(self) => further?,
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(latest.into()) => {
                    return Err(self.overdue(terms, arrived));
                }
            }
        }
    }

    fn leased(self: &Arc<Self>, container: Arc<Container>, begun: Instant) -> Lease {
        let is_new = container.is_coming();
        let waited = begun.elapsed().min(container.launch);
        Lease {
            pool: self.clone(),
            started: is_new.then_some(waited),
            container,
            clean: false,
        }
    }

    /// How long one waits for what others keep busy.
    fn latest_place(&self, terms: &Terms<'_>, arrived: Instant) -> Instant {
        let max_wait = match terms.patience {
            Patience::UntilDeadline => return terms.deadline,
            Patience::Usual => self.max_wait,
            Patience::AtMost(own) => own.min(self.max_wait),
        };
        let latest = arrived.checked_add(max_wait);
        latest.map_or(terms.deadline, |latest| latest.min(terms.deadline))
    }

    /// Why a request has waited in vain.
    fn overdue(&self, terms: &Terms<'_>, arrived: Instant) -> ExecutionError {
        let waited = arrived.elapsed();
        let lambda = self.function.name.clone();
        if Instant::now() >= terms.deadline {
            return self.too_late(arrived);
        }
        match terms.patience {
            Patience::AtMost(own) if own < self.max_wait => ExecutionError::Refused {
                lambda,
                wait: waited,
                max_wait: own,
            },
            _ => ExecutionError::Overloaded {
                text: format!("lambda {lambda} waited {waited:?} in vain for a container"),
                place_in: self.turns.wait().max(SOON),
            },
        }
    }

    /// The deadline has passed before it was executed.
    pub(super) fn too_late(&self, arrived: Instant) -> ExecutionError {
        ExecutionError::TooLate {
            lambda: self.function.name.clone(),
            expected: arrived.elapsed(),
            left: Duration::ZERO,
        }
    }

    /// What executes it was ended.
    pub(super) fn cut_off(&self) -> ExecutionError {
        let lambda = self.function.name.clone();
        ExecutionError::CutOff { lambda }
    }
}
