//! The containers of one function: warm ones are used again, others are started, and given up when
//! they have been idle for long or somebody else needs their place.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::container::{Container, Host};
use super::endpoints::{Endpoints, Pick};
use super::function::{Function, Kind};
use super::places::Places;
use super::process::Workshop;
use crate::executor::ExecutionError;
use crate::health::{Health, Turn};
use crate::turns::{Bounds, Turns};

/// Faults in a row before what fails is no longer used, or no longer announced.
pub(super) const MAX_FAILURES: u32 = 3;
/// How long a function that is never idle may keep its containers from others that need a place:
/// long enough that what they take to start does not become most of the work.
const FAIR_AFTER: Duration = Duration::from_millis(500);

/// What all pools share.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) workshop: Workshop,
    /// Where processes are started and watched.
    pub(super) home: Handle,
    /// One for each process that there may be.
    pub(super) places: Arc<Places>,
    pub(super) pools: Mutex<Vec<Weak<Pool>>>,
    pub(super) next_pool: AtomicU64,
    /// What is announced has changed.
    pub(super) changes: watch::Sender<u64>,
    /// Cancelled when all ends.
    pub(super) closing: CancellationToken,
}

/// A deployed function and its containers.
#[derive(Debug)]
pub struct Pool {
    pub(super) function: Function,
    pub(super) turns: Arc<Turns>,
    pub(super) health: Health,
    pub(super) site: Arc<Site>,
    pub(super) number: u64,
    /// How long a request may wait for a container.
    pub(super) max_wait: Duration,
    /// Its processes print no markers, as far as is known.
    pub(super) unmarked: Arc<AtomicBool>,
    slots: Mutex<Slots>,
    /// Somebody may get a container, or an error.
    pub(super) changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    containers: Vec<Arc<Container>>,
    /// Containers that are being started, or for which a place is waited for.
    pub(super) starting: u32,
    /// Those of them that have their place.
    pub(super) launching: u32,
    /// Who waits for a container, by number, in the order of their arrival.
    pub(super) line: BTreeSet<u64>,
    pub(super) next_in_line: u64,
    pub(super) endpoints: Endpoints,
    /// When a function that is out of service was tried for the last time.
    pub(super) tried: Option<Instant>,
    closed: bool,
}

/// A use of a container. Unless it ends well, the container is not used again.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) pool: Arc<Pool>,
    pub(super) container: Arc<Container>,
    /// How long it was waited for its start, if it is new.
    pub(super) started: Option<Duration>,
    pub(super) clean: bool,
}

/// Where a request gets a container from.
pub(super) enum Found {
    Container(Arc<Container>),
    /// One has to be started.
    Start(Starting),
    /// It has to wait; whether for a container that is about to be ready.
    Wait {
        coming: bool,
    },
}

/// A container that is being started.
pub(super) struct Starting {
    pub(super) pool: Arc<Pool>,
    launching: bool,
}

impl Starting {
    /// To be called with the lock of `slots`.
    pub(super) fn new(pool: &Arc<Pool>, slots: &mut Slots) -> Self {
        slots.starting += 1;
        Self {
            pool: pool.clone(),
            launching: false,
        }
    }

    /// It has its place.
    pub(super) fn launches(&mut self) {
        self.launching = true;
        self.pool.slots().launching += 1;
        self.pool.changed.send_replace(());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let mut slots = self.pool.slots();
        slots.starting -= 1;
        slots.launching -= u32::from(self.launching);
        drop(slots);
        self.pool.changed.send_replace(());
    }
}

impl Pool {
    pub(super) fn new(function: Function, site: Arc<Site>, bounds: Bounds) -> Arc<Self> {
        let workers = function.workers(function.containers(site.places.max()));
        let mut slots = Slots::default();
        if let Kind::Endpoints(urls) = &function.kind {
            slots.endpoints = Endpoints::new(urls);
        }
        let pool = Arc::new(Self {
            turns: Arc::new(Turns::new(Bounds { workers, ..bounds })),
            health: Health::new(true, MAX_FAILURES),
            number: site.next_pool.fetch_add(1, Ordering::Relaxed),
            max_wait: bounds.max_wait,
            unmarked: Arc::default(),
            slots: Mutex::new(slots),
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

    /// Requests that are executed at the same time, by those containers that work.
    pub(super) fn workers(&self) -> u32 {
        match &self.function.kind {
            Kind::Endpoints(_) => {
                let good = u32::try_from(self.slots().endpoints.good()).unwrap_or(u32::MAX);
                self.function.workers(good.max(1))
            }
            Kind::NodeJs | Kind::Command(_) => self.turns.workers(),
        }
    }

    /// Whether there is anything that could execute a request, now or soon.
    ///
    /// # Errors
    /// Why there is not.
    pub(super) fn in_service(&self) -> Result<(), ExecutionError> {
        let slots = self.slots();
        match &self.function.kind {
            Kind::Endpoints(_) => match slots.endpoints.all_aside() {
                Some(fault) => Err(self.unavailable(fault)),
                None => Ok(()),
            },
            Kind::NodeJs | Kind::Command(_) => {
                if slots.containers.is_empty() && !self.health.is_healthy() {
                    return Err(self.out_of_service());
                }
                Ok(())
            }
        }
    }

    fn out_of_service(&self) -> ExecutionError {
        self.unavailable(&format!("it is out of service: {}", self.health.faults().1))
    }

    /// It was not executed, because of `fault`.
    pub(super) fn unavailable(&self, fault: &str) -> ExecutionError {
        ExecutionError::Unavailable {
            text: format!("lambda {}: {fault}", self.function.name),
            begun: false,
        }
    }

    /// Looks for a container on behalf of the request number `waiter` in the line, or of one that
    /// has just come, and lets it start one unless it does so already (`starts`).
    pub(super) fn find(
        self: &Arc<Self>,
        waiter: Option<u64>,
        starts: bool,
    ) -> Result<Found, ExecutionError> {
        let mut slots = self.slots();
        if slots.closed {
            let lambda = self.function.name.clone();
            return Err(ExecutionError::Stopping { lambda });
        }
        let first = slots.line.first();
        let is_first = first.is_none_or(|first| waiter == Some(*first));
        if is_first && let Some(free) = slots.free(self.function.limits.concurrency.max(1)) {
            return Ok(Found::Container(free));
        }
        // Those that were found to have ended leave their places.
        slots.tidy();
        if matches!(self.function.kind, Kind::Endpoints(_)) {
            return self.find_endpoint(&mut slots, is_first);
        }
        if !self.health.is_healthy() {
            return Err(self.out_of_service());
        }
        let most = self.function.containers(self.site.places.max()) as usize;
        if starts || slots.containers.len() + slots.starting as usize >= most {
            let coming = slots.launching > 0 || slots.is_coming();
            return Ok(Found::Wait { coming });
        }
        Ok(Found::Start(Starting::new(self, &mut slots)))
    }

    fn find_endpoint(&self, slots: &mut Slots, is_first: bool) -> Result<Found, ExecutionError> {
        let wait = Found::Wait {
            coming: slots.is_coming(),
        };
        if !is_first {
            return Ok(wait);
        }
        let containers = &slots.containers;
        let taken = |number| {
            let mut hosts = containers.iter().map(|container| &container.host);
            hosts.any(|host| matches!(host, Host::Endpoint(taken, _) if *taken == number))
        };
        match slots.endpoints.pick(taken) {
            Pick::Server(number, url) => {
                let container = Container::new(Host::Endpoint(number, url), Duration::ZERO);
                let entered = container.enter_new();
                debug_assert!(entered, "nobody else knows of it");
                slots.containers.push(container.clone());
                Ok(Found::Container(container))
            }
            Pick::Busy => Ok(wait),
            Pick::Nobody(fault) => Err(self.unavailable(&fault)),
        }
    }

    /// There is a new container.
    pub(super) fn add(&self, container: Arc<Container>) {
        let mut slots = self.slots();
        if !slots.closed {
            slots.containers.push(container);
        }
        let is_wanted = !slots.line.is_empty();
        drop(slots);
        self.changed.send_replace(());
        if !is_wanted {
            self.site.make_room();
        }
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
        self.announce();
    }

    /// Something else is to be announced, and those who wait may have to know.
    pub(super) fn announce(&self) {
        self.changed.send_replace(());
        self.site.changes.send_modify(|changes| *changes += 1);
    }

    /// Gives up containers that nobody has used for `idle`.
    pub(super) fn expire(&self, idle: Duration) {
        let mut slots = self.slots();
        slots.tidy();
        if !slots.line.is_empty() {
            // Somebody is about to use them.
            return;
        }
        slots.containers.retain(|container| {
            let since = container.idle_since();
            since.is_none_or(|since| since.elapsed() < idle)
        });
    }

    /// Since when the process is idle that has been so for the longest time, if nobody is about to
    /// use it.
    fn idle_since(&self) -> Option<Instant> {
        let slots = self.slots();
        if !slots.line.is_empty() {
            return None;
        }
        let processes = slots
            .containers
            .iter()
            .filter(|c| matches!(c.host, Host::Process(_)));
        processes
            .filter_map(|container| container.idle_since())
            .min()
    }

    /// Whether another function needs the place of a container more than this one.
    fn yields(&self) -> bool {
        let Some(waited) = self.site.places.wanted(Some(self.number)) else {
            return false;
        };
        let waiting = !self.slots().line.is_empty() || self.turns.of_lambda(0).1 > 0;
        !waiting || waited >= FAIR_AFTER
    }

    /// Containers that there are.
    pub(super) fn containers(&self) -> usize {
        self.slots().containers.len()
    }

    /// Takes nobody any more, and lets all containers go.
    pub(super) fn close(&self) {
        self.turns.close();
        let mut slots = self.slots();
        slots.closed = true;
        slots.containers.clear();
        drop(slots);
        self.changed.send_replace(());
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.slots)
    }
}

impl Slots {
    /// One that can be used: if possible one that is warm, and of those the latest, so that the
    /// others become idle.
    fn free(&self, concurrency: u32) -> Option<Arc<Container>> {
        let mut latest = self.containers.iter().rev();
        let warm = latest.find(|container| container.enter(concurrency));
        let mut new = self.containers.iter();
        let free = warm.or_else(|| new.find(|container| container.enter_new()));
        free.cloned()
    }

    fn is_coming(&self) -> bool {
        let mut containers = self.containers.iter();
        containers.any(|container| container.is_coming())
    }

    fn tidy(&mut self) {
        self.containers.retain(|container| !container.is_over());
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
        let is_process = matches!(self.container.host, Host::Process(_));
        if !self.clean || (is_process && self.pool.yields()) {
            self.container.retire();
        }
        self.container.leave();
        self.pool.slots().tidy();
        self.pool.changed.send_replace(());
    }
}

impl Site {
    /// Gives up processes that have been idle for the longest time, while somebody needs their
    /// places.
    pub(super) fn make_room(&self) {
        while self.places.wanted(None).is_some() && self.evict() {}
    }

    fn evict(&self) -> bool {
        let pools: Vec<_> = lock(&self.pools).iter().filter_map(Weak::upgrade).collect();
        let idle = pools
            .iter()
            .filter_map(|pool| Some((pool.idle_since()?, pool)));
        let Some((since, pool)) = idle.min_by_key(|(since, _)| *since) else {
            return false;
        };
        let mut slots = pool.slots();
        let oldest = slots
            .containers
            .iter()
            .position(|c| matches!(c.host, Host::Process(_)) && c.idle_since() == Some(since));
        let evicted = oldest.map(|index| slots.containers.remove(index));
        drop(slots);
        evicted.is_some()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
