//! The destinations of one broker: each known once, whatever lambdas and tables route to it.

use crate::admission::{AdaptiveLimit, LimitConfig};
use crate::average::{Average, sample};
use crate::health::Census;
use crate::load::Load;
use crate::openings::Openings;
use crate::refusal_budget::RefusalBudget;
use crate::silence::Silence;
use crate::speeds::Speeds;
use crate::{Health, Nanos, Report};
use crossbeam_utils::CachePadded;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A place that serves lambdas, usually `host:port`.
#[derive(Debug)]
pub struct Destination {
    name: Arc<str>,
    /// The hash of the lambda that it is known to serve, 0 before the first, [`SEVERAL`].
    lambda: AtomicU64,
    owing: Arc<Owing>,
    hot: CachePadded<Hot>,
}

/// Those that were sent something since they were last found idle: so that of thousands that have
/// nothing to do none is looked at.
type Owing = Mutex<Vec<Weak<Destination>>>;

/// What changes with every request, away from what never does. What a pick reads of each candidate
/// comes first and fits a cache line; health is only looked at while something is ejected.
#[derive(Debug)]
#[repr(C)]
struct Hot {
    load: Load,
    in_flight: AtomicU32,
    health: Health,
    silence: Silence,
    /// Whether it is among the owing.
    owes: AtomicBool,
    /// None where limits are switched off.
    limit: Option<AdaptiveLimit>,
}

/// Stands for the hash of a lambda where a destination serves more than one.
const SEVERAL: u64 = u64::MAX;

impl Destination {
    /// As announced.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unique among all destinations that one [`Destinations`] ever knew, also after removal.
    #[must_use]
    pub fn id(&self) -> u64 {
        // There, since every pick looks at the health of what it chose.
        self.hot.health.id()
    }

    /// Requests under way from this broker, over all lambdas and tables.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// Whether it may be chosen.
    #[must_use]
    #[inline]
    pub fn health(&self) -> &Health {
        &self.hot.health
    }

    /// What is known of how busy it is.
    #[inline]
    pub(crate) fn load(&self) -> &Load {
        &self.hot.load
    }

    /// Takes note of a lambda that some table sends there.
    pub(crate) fn serves(&self, lambda: &str) {
        let hash = hash(lambda);
        if let Err(known) = self.lambda.compare_exchange(0, hash, Relaxed, Relaxed)
            && known != hash
        {
            self.lambda.store(SEVERAL, Relaxed);
        }
    }

    /// Whether no table ever sent another lambda there.
    pub(crate) fn serves_only(&self, lambda: &str) -> bool {
        self.lambda.load(Relaxed) == hash(lambda)
    }

    /// What it owes.
    pub(crate) fn silence(&self) -> &Silence {
        &self.hot.silence
    }

    /// Requests that it executes at the same time, as last reported; none if it does not report.
    #[must_use]
    pub fn workers(&self) -> Option<u32> {
        let load = self.load();
        load.reports().then(|| load.workers() as u32)
    }

    /// Counts a request, which is expected to take so many seconds, as in flight; returns how many
    /// there are now.
    pub(crate) fn begin(self: &Arc<Self>, expected: f32, now: Nanos) -> u32 {
        let before = self.hot.in_flight.fetch_add(1, SeqCst);
        if before == 0 {
            // Usually it does; a locked instruction would take longer than all the rest.
            if !self.hot.owes.load(SeqCst) && !self.hot.owes.swap(true, SeqCst) {
                lock(&self.owing).push(Arc::downgrade(self));
            }
            self.hot.load.woken(now);
            self.hot.silence.woken(expected);
        } else {
            self.hot.silence.owes(expected);
        }
        let now_there = before.saturating_add(1);
        if self.limit().is_some_and(|limit| now_there >= limit) {
            self.hot.health.set_full(true);
            // Somebody else may have left, and seen that it was not full yet.
            fence(SeqCst);
            self.make_room();
        }
        now_there
    }

    /// The same for the only thread that sends anything there, which
    /// [inspects](Destinations::inspect) nothing: there is no account of what is owed, and no locked
    /// instruction.
    #[inline]
    pub(crate) fn begin_alone(&self, now: Nanos) -> u32 {
        let before = self.in_flight();
        if before == 0 {
            self.hot.load.woken(now);
        }
        let now_there = before.saturating_add(1);
        self.hot.in_flight.store(now_there, Relaxed);
        if self.limit().is_some_and(|limit| now_there >= limit) {
            self.hot.health.set_full(true);
        }
        now_there
    }

    /// Undoes one [`Destination::begin_alone`].
    #[inline]
    pub(crate) fn end_alone(&self) {
        self.hot
            .in_flight
            .store(self.in_flight().wrapping_sub(1), Relaxed);
        self.make_room();
    }

    /// Undoes one [`Destination::begin`].
    pub(crate) fn end(&self) {
        self.hot.in_flight.fetch_sub(1, SeqCst);
        self.make_room();
    }

    /// Requests of this broker that may be there; none for any number. Where a destination does not
    /// say how busy it is, nothing tells too much from enough.
    #[inline]
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        let limit = self.hot.limit.as_ref()?;
        self.hot.load.reports().then(|| limit.current())
    }

    /// What the limit learns from.
    pub(crate) fn adaptive_limit(&self) -> Option<&AdaptiveLimit> {
        self.hot.limit.as_ref().filter(|_| self.hot.load.reports())
    }

    /// Whether it owes nothing; then it is not among the owing any more.
    fn is_idle(&self) -> bool {
        if self.in_flight() > 0 {
            return false;
        }
        self.hot.owes.store(false, SeqCst);
        // Whoever sent something before that saw it among the owing, and did not list it again.
        self.hot.in_flight.load(SeqCst) == 0 || self.hot.owes.swap(true, SeqCst)
    }

    /// Takes note that it is not full any more, if so.
    fn make_room(&self) {
        if self.hot.health.is_full() && self.limit().is_none_or(|limit| self.in_flight() < limit) {
            self.hot.health.set_full(false);
        }
    }
}

/// The destinations of one broker, shared by its tables, so that load and health of a destination
/// are the same whichever lambda looks at it.
#[derive(Debug, Default)]
pub struct Destinations {
    registry: Mutex<Registry>,
    owing: Arc<Owing>,
    census: Arc<Census>,
    refusals: RefusalBudget,
    limits: Option<LimitConfig>,
    learnt: CachePadded<Learnt>,
}

/// What every answer changes, away from what every pick reads.
#[derive(Debug, Default)]
struct Learnt {
    service: Average,
    speeds: Speeds,
}

/// Weight of a new sample in the mean service time of everything.
const SERVICE_WEIGHT: f32 = 0.02;

#[derive(Debug, Default)]
struct Registry {
    by_name: HashMap<Arc<str>, Weak<Destination>, FixedState>,
    next_id: u64,
    /// Size at which those that nobody uses any more are dropped.
    sweep_at: usize,
}

/// Below this many entries sweeping is not worth the while.
const SMALLEST_SWEEP: usize = 32;

impl Destinations {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Destinations::default()
    }

    /// An empty registry of a broker whose ejections are to end at other moments than those of
    /// brokers with another seed; 0 stands for ejections without jitter.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Destinations {
            census: Arc::new(Census::new(seed)),
            ..Destinations::default()
        }
    }

    /// Limits the requests that may be in flight at each destination.
    #[must_use]
    pub fn with_limits(self, limits: LimitConfig) -> Self {
        Destinations {
            limits: Some(limits),
            ..self
        }
    }

    /// Whether what may be in flight is limited.
    pub(crate) fn have_limits(&self) -> bool {
        self.limits.is_some()
    }

    /// The destination of that name, new (healthy, nothing in flight) unless some table or request
    /// still uses it. The registry itself keeps none alive; its memory is bounded by twice the
    /// number of destinations that were in use at the same time.
    #[must_use]
    pub fn intern(&self, name: &str) -> Arc<Destination> {
        let mut registry = self.lock();
        if let Some(known) = registry.by_name.get(name).and_then(Weak::upgrade) {
            return known;
        }
        if registry.by_name.len() >= registry.sweep_at.max(SMALLEST_SWEEP) {
            registry
                .by_name
                .retain(|_, destination| destination.strong_count() > 0);
            registry.sweep_at = 2 * registry.by_name.len();
        }
        let name: Arc<str> = name.into();
        let destination = Arc::new(Destination {
            name: Arc::clone(&name),
            lambda: AtomicU64::new(0),
            owing: Arc::clone(&self.owing),
            hot: CachePadded::new(Hot {
                in_flight: AtomicU32::new(0),
                load: Load::new(),
                health: Health::new(Arc::clone(&self.census), registry.next_id),
                silence: Silence::default(),
                owes: AtomicBool::new(false),
                limit: self.limits.map(AdaptiveLimit::new),
            }),
        });
        registry.next_id += 1;
        registry.by_name.insert(name, Arc::downgrade(&destination));
        destination
    }

    /// The destination of that name, if some table or request uses it.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Destination>> {
        self.lock().by_name.get(name).and_then(Weak::upgrade)
    }

    /// Those in use, by name: for metrics and the admin endpoint.
    #[must_use]
    pub fn in_use(&self) -> Vec<Arc<Destination>> {
        let mut used: Vec<_> = self
            .lock()
            .by_name
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        used.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        used
    }

    /// How many are not chosen like any other: ejected, on trial, stalled, pushed back or full.
    #[inline]
    #[must_use]
    pub fn set_aside(&self) -> usize {
        self.census.set_aside()
    }

    /// What their health has in common.
    pub(crate) fn census(&self) -> &Arc<Census> {
        &self.census
    }

    /// Which have become better of late, for all lambdas or for one.
    pub(crate) fn openings(&self) -> &Openings {
        self.census.openings()
    }

    /// Sets aside the destinations that owe answers for much longer than they take. To be called
    /// every few hundredths of a second: a broker that hears nothing learns nothing otherwise.
    pub fn inspect(&self, now: Nanos) {
        let owing = std::mem::take(&mut *lock(&self.owing));
        let mut still = Vec::new();
        for weak in owing {
            let Some(destination) = weak.upgrade() else {
                continue;
            };
            destination.make_room();
            if destination.is_idle() {
                continue;
            }
            if destination.silence().is_stall(destination.load(), now) {
                destination.health().stall(now);
            }
            still.push(weak);
        }
        lock(&self.owing).append(&mut still);
    }

    /// Mean service time in seconds over all lambdas and destinations; 0 before the first sample.
    #[inline]
    pub(crate) fn service(&self) -> f32 {
        self.learnt.service.seconds()
    }

    /// How their service times compare.
    pub(crate) fn speeds(&self) -> &Speeds {
        &self.learnt.speeds
    }

    /// Takes what an answer says of the time it took to execute.
    pub(crate) fn record(&self, report: &Report) {
        if let Some(service) = report.service {
            self.learnt.service.record(sample(service), SERVICE_WEIGHT);
        }
    }

    /// How often destinations may turn requests of this broker down.
    pub(crate) fn refusals(&self) -> &RefusalBudget {
        &self.refusals
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }
}

/// Neither 0 nor [`SEVERAL`].
fn hash(lambda: &str) -> u64 {
    FixedState::with_seed(4)
        .hash_one(lambda)
        .clamp(1, SEVERAL - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pick_reads_of_a_candidate_fits_a_cache_line() {
        assert!(std::mem::offset_of!(Hot, health) <= 64);
    }

    #[test]
    fn a_name_is_one_destination_while_somebody_uses_it() {
        let destinations = Destinations::new();
        let first = destinations.intern("a");
        let id = first.id();
        assert!(Arc::ptr_eq(&first, &destinations.intern("a")));
        assert_ne!(destinations.intern("b").id(), id);
        drop(first);
        assert_ne!(
            destinations.intern("a").id(),
            id,
            "an id is never used again"
        );
    }

    #[test]
    fn memory_is_bounded_by_what_is_in_use() {
        let destinations = Destinations::new();
        let kept: Vec<_> = (0..10)
            .map(|i| destinations.intern(&format!("kept{i}")))
            .collect();
        for i in 0..10_000 {
            let _ = destinations.intern(&format!("gone{i}"));
        }
        assert!(destinations.lock().by_name.len() <= SMALLEST_SWEEP);
        let names: Vec<_> = destinations
            .in_use()
            .iter()
            .map(|d| d.name().to_owned())
            .collect();
        assert_eq!(
            names,
            kept.iter().map(|d| d.name().to_owned()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn of_many_only_those_are_inspected_that_owe_something() {
        let destinations = Destinations::new();
        let all: Vec<_> = (0..100)
            .map(|i| destinations.intern(&format!("d{i}")))
            .collect();
        let owing = || lock(&destinations.owing).len();
        for round in 1..=3 {
            let now = Nanos::from_secs(10 * round);
            for _ in 0..2 {
                all[7].begin(0.001, now);
                all[8].begin(0.001, now);
                all[8].end();
            }
            assert_eq!(owing(), 2, "each once");
            destinations.inspect(now);
            assert_eq!(owing(), 1, "the other one is done");
            assert_eq!(destinations.set_aside(), usize::from(round > 1));
            destinations.inspect(now + Nanos::from_secs(1));
            assert_eq!(destinations.set_aside(), 1, "it has fallen silent");
            all[7].end();
            all[7].end();
            destinations.inspect(now + Nanos::from_secs(1));
            assert_eq!(owing(), 0);
        }
    }

    #[test]
    fn one_that_vanishes_while_ejected_is_not_counted_for_ever() {
        let destinations = Destinations::new();
        let gone = destinations.intern("a");
        gone.health().failed(gone.health().ticket(), Nanos::ZERO);
        assert_eq!(destinations.set_aside(), 1);
        drop(gone);
        assert_eq!(destinations.set_aside(), 0);
    }
}
