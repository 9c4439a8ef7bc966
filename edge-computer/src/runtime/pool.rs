//! The containers of one function: warm ones are used again, others are started, and given up when
//! they have been idle for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use super::container::{Container, Host};
use super::function::{Function, Kind};
use super::process::Workshop;
use super::protocol::{Activated, Activation};
use crate::executor::{ExecutionError, Terms};
use crate::health::{Health, Turn};
use crate::turns::{Bounds, Turns};

/// Containers that cannot be started, in a row, before the function is no longer announced.
const MAX_FAILURES: u32 = 3;
/// Warm containers that turn out to be gone before a request is given up.
const MAX_GONE: usize = 3;

/// What all pools share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) workshop: Workshop,
    /// Where processes are started and watched.
    pub(super) home: Handle,
    /// One for each process that there may be.
    pub(super) places: Arc<Semaphore>,
    pub(super) pools: Mutex<Vec<Weak<Pool>>>,
    /// What is announced has changed.
    pub(super) changes: watch::Sender<u64>,
}

/// A deployed function and its containers.
#[derive(Debug)]
pub struct Pool {
    pub(super) function: Function,
    pub(super) turns: Arc<Turns>,
    pub(super) health: Health,
    pub(super) site: Arc<Site>,
    slots: Mutex<Slots>,
    /// Somebody may get a container.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Slots {
    containers: Vec<Arc<Container>>,
    starting: u32,
    /// The server that is taken next, if servers are there anyhow.
    next_endpoint: usize,
}

/// A use of a container. Unless it ends well, the container is not used again.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) container: Arc<Container>,
    /// How long it took to start, if it is new.
    pub(super) started: Option<Duration>,
    clean: bool,
}

/// Where a request gets a container from.
enum Found {
    Warm(Arc<Container>),
    New(Arc<Container>),
    Start(Starting),
    Wait,
}

/// A container that is being started.
struct Starting(Arc<Pool>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.slots().starting -= 1;
        self.0.changed.send_replace(());
    }
}

impl Pool {
    pub(super) fn new(function: Function, site: Arc<Site>, bounds: Bounds) -> Arc<Self> {
        let workers = function.workers();
        let pool = Arc::new(Self {
            turns: Arc::new(Turns::new(Bounds { workers, ..bounds })),
            health: Health::new(true, MAX_FAILURES),
            slots: Mutex::default(),
            changed: watch::Sender::new(()),
            function,
            site,
        });
        let mut pools = lock(&pool.site.pools);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        drop(pools);
        pool
    }

    /// The function.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Executes the function once.
    ///
    /// # Errors
    /// If it was not executed, or the platform failed. What the function does wrong is no error
    /// but an [`Activated`] that says so.
    pub async fn activate(
        self: &Arc<Self>,
        activation: Activation,
        terms: &Terms<'_>,
    ) -> Result<Activated, ExecutionError> {
        let arrived = Instant::now();
        let turn = self.turns.enter(0, terms).await?;
        let deadline = terms.deadline;
        for _ in 0..MAX_GONE {
            let lease = self.lease(deadline).await?;
            let waited = arrived.elapsed();
            let whole = matches!(lease.container.host, Host::Endpoint(..));
            if whole {
                // It cannot be told to stop: it is busy until it answers, whoever waits.
                let pool = self.clone();
                let executing = tokio::spawn(async move {
                    let activated = lease.execute(&activation, waited, pool.latest()).await;
                    if let Ok(Some(activated)) = &activated {
                        turn.executed(activated.run);
                    }
                    activated
                });
                let executed = timeout_at(deadline.into(), executing).await;
                let executed = executed.map_err(|_| self.late())?;
                let executed = executed.unwrap_or_else(|_| Err(self.cut_off()))?;
                return executed.ok_or_else(|| self.cut_off());
            }
            let latest = deadline.min(self.latest());
            let executed = lease.execute(&activation, waited, latest);
            let executed = timeout_at(deadline.into(), executed).await;
            if let Some(activated) = executed.map_err(|_| self.late())?? {
                turn.executed(activated.run);
                return Ok(activated);
            }
        }
        Err(ExecutionError::Unavailable {
            text: format!(
                "lambda {}: its containers end by themselves",
                self.function.name
            ),
            begun: false,
        })
    }

    /// When an execution that begins now has to be done.
    fn latest(&self) -> Instant {
        Instant::now() + self.function.limits.timeout
    }

    fn late(&self) -> ExecutionError {
        let lambda = self.function.name.clone();
        ExecutionError::Deadline { lambda }
    }

    fn cut_off(&self) -> ExecutionError {
        let lambda = self.function.name.clone();
        ExecutionError::CutOff { lambda }
    }

    /// Waits for a container, or starts one.
    async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, ExecutionError> {
        let lease = |container, started| Lease {
            pool: self.clone(),
            container,
            started,
            clean: false,
        };
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            match self.find() {
                Found::Warm(container) => return Ok(lease(container, None)),
                Found::New(container) => return Ok(lease(container, Some(Duration::ZERO))),
                Found::Start(starting) => {
                    let begun = Instant::now();
                    let container = self.start(deadline).await?;
                    self.slots().containers.push(container.clone());
                    drop(starting);
                    return Ok(lease(container, Some(begun.elapsed())));
                }
                Found::Wait => {
                    let change = timeout_at(deadline.into(), changed.changed()).await;
                    change.map_err(|_| self.late())?.ok();
                }
            }
        }
    }

    fn find(self: &Arc<Self>) -> Found {
        let concurrency = self.function.limits.concurrency.max(1);
        let mut slots = self.slots();
        // The latest first, so that the others become idle.
        let warm = slots.containers.iter().rev().find(|c| c.enter(concurrency));
        if let Some(warm) = warm {
            return Found::Warm(warm.clone());
        }
        // Those that were found to have ended leave their places.
        slots.tidy();
        let there = slots.containers.len() + slots.starting as usize;
        if there >= self.function.containers() as usize {
            return Found::Wait;
        }
        if let Kind::Endpoints(urls) = &self.function.kind {
            let container = slots.endpoint(urls);
            slots.containers.push(container.clone());
            return Found::New(container);
        }
        slots.starting += 1;
        Found::Start(Starting(self.clone()))
    }

    /// Starts a process.
    async fn start(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Container>, ExecutionError> {
        let place = self.place(deadline).await?;
        let pool = self.clone();
        let launching = self.site.home.spawn(async move {
            let launched = pool.site.workshop.launch(&pool.function, place).await;
            pool.judge(launched.as_ref().err().map(|error| error as _));
            launched
        });
        let launching = AbortOnDropHandle::new(launching);
        let launched = timeout_at(deadline.into(), launching).await;
        let launched = launched.map_err(|_| self.late())?;
        let launched = launched.map_err(|_| self.cut_off())?;
        let process = launched.map_err(|error| ExecutionError::Unavailable {
            text: format!("lambda {}: {error}", self.function.name),
            begun: false,
        })?;
        Ok(Container::new(Host::Process(process)))
    }

    /// Waits until there may be one more process, at the expense of one that is idle.
    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, ExecutionError> {
        let places = &self.site.places;
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Ok(place);
        }
        self.site.evict();
        let place = timeout_at(deadline.into(), places.clone().acquire_owned()).await;
        place.map_err(|_| self.late())?.map_err(|_| {
            let lambda = self.function.name.clone();
            ExecutionError::Stopping { lambda }
        })
    }

    /// Notes that the platform of the function works, or why it does not.
    pub(super) fn judge(&self, fault: Option<&dyn std::error::Error>) {
        let turn = match fault {
            None => self.health.succeeded(),
            Some(fault) => self.health.failed(&fault.to_string()),
        };
        let lambda = &self.function.name;
        match (turn, fault) {
            (Turn::Same, _) => return,
            (Turn::Failed, Some(fault)) => {
                tracing::warn!(lambda, %fault, "the function is out of service");
            }
            _ => tracing::info!(lambda, "the function is in service again"),
        }
        self.site.changes.send_modify(|changes| *changes += 1);
    }

    /// Finds out whether its platform works again.
    pub(super) async fn probe(self: &Arc<Self>) {
        match &self.function.kind {
            Kind::Endpoints(urls) => {
                for url in urls {
                    if self.site.workshop.client.answers(url).await {
                        return self.judge(None);
                    }
                }
            }
            Kind::NodeJs | Kind::Command(_) => {
                if let Ok(place) = self.site.places.clone().try_acquire_owned() {
                    let launched = self.site.workshop.launch(&self.function, place).await;
                    self.judge(launched.as_ref().err().map(|error| error as _));
                }
            }
        }
    }

    /// Gives up containers that nobody has used for `idle`.
    pub(super) fn expire(&self, idle: Duration) {
        let mut slots = self.slots();
        slots.tidy();
        slots.containers.retain(|container| {
            let since = container.idle_since();
            since.is_none_or(|since| since.elapsed() < idle)
        });
    }

    /// Since when the container is idle that has been so for the longest time.
    fn idle_since(&self) -> Option<Instant> {
        let slots = self.slots();
        let processes = slots
            .containers
            .iter()
            .filter(|c| matches!(c.host, Host::Process(_)));
        processes
            .filter_map(|container| container.idle_since())
            .min()
    }

    /// Containers that there are.
    pub(super) fn containers(&self) -> usize {
        self.slots().containers.len()
    }

    /// Takes nobody any more, and lets all containers go.
    pub(super) fn close(&self) {
        self.turns.close();
        self.slots().containers.clear();
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Slots {
    fn tidy(&mut self) {
        self.containers.retain(|container| !container.is_over());
    }

    /// A server that nobody uses.
    fn endpoint(&mut self, urls: &[String]) -> Arc<Container> {
        let taken = |number: &usize| {
            let mut hosts = self.containers.iter().map(|container| &container.host);
            hosts.any(|host| matches!(host, Host::Endpoint(taken, _) if taken == number))
        };
        let order = (0..urls.len()).map(|offset| (self.next_endpoint + offset) % urls.len());
        let number = order.into_iter().find(|number| !taken(number)).unwrap_or(0);
        self.next_endpoint = number + 1;
        Container::new(Host::Endpoint(number, urls[number].clone()))
    }
}

impl Lease {
    /// The container may be used again.
    pub(super) fn ended_well(&mut self) {
        self.clean = true;
    }

    /// The container is there for others, too, from now on.
    pub(super) fn initialised(&self) {
        self.container.initialised();
        self.pool.changed.send_replace(());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.clean {
            self.container.retire();
        }
        self.container.leave();
        self.pool.slots().tidy();
        self.pool.changed.send_replace(());
    }
}

impl Site {
    /// Gives up the process that has been idle for the longest time.
    fn evict(&self) {
        let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
        let idle = pools
            .iter()
            .filter_map(|pool| Some((pool.idle_since()?, pool)));
        if let Some((since, pool)) = idle.min_by_key(|(since, _)| *since) {
            let mut slots = pool.slots();
            let oldest = slots
                .containers
                .iter()
                .position(|c| c.idle_since() == Some(since));
            oldest.map(|index| slots.containers.remove(index));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
