//! The two forwarding tables of a router, and what keeps them in step; the one of a dispatcher.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_balance::{
    Destination, Destinations, EstimatorConfig, ForwardingTable, LimitConfig, Nanos, Optimizer,
    OptimizerConfig, PolicyConfig, RouteChange, TableError,
};
use rand::Rng as _;

use crate::first_table::FirstTable;
use crate::owners::{MAX_OWNERS, Owners, TooMany};

/// A table and the optimizer that adjusts its weights.
#[derive(Debug)]
pub struct LearningTable {
    /// Where requests may go.
    pub table: ForwardingTable,
    /// How weights follow latencies, for policies that do not learn by themselves.
    pub optimizer: Optimizer,
}

/// Table 0, "overall", serves requests of clients; table 1, "final", serves
/// requests that come from another edge node and holds computers only. So a
/// request passes at most two routers. Health and load of a destination are
/// shared by both, weights and estimates are not. A dispatcher has only one
/// table, which serves all.
#[derive(Debug)]
pub struct Tables {
    destinations: Arc<Destinations>,
    overall: Arc<LearningTable>,
    computers: Option<Arc<LearningTable>>,
    /// Of the overall table, which holds all that the other one holds: as many as may be.
    max_entries: usize,
    entries: Mutex<Entries>,
    first: FirstTable,
}

/// What is known of the entries of the overall table. Whoever adds, changes or removes some keeps
/// the lock meanwhile.
#[derive(Debug, Default)]
struct Entries {
    count: usize,
    /// Those whom they belong to, and perhaps did.
    owners: Owners,
}

/// To free the memory of more entries takes a core longer than its requests should wait.
const SOON_FREED: usize = 1000;

/// Why an entry was not added or changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It would be one too many.
    #[error("Too many entries: the table holds {0}, which tables.max-entries allows")]
    Full(usize),
    /// It belongs to one owner too many.
    #[error("Too many owners: the entries belong to {MAX_OWNERS} others")]
    TooManyOwners,
    /// It is not acceptable.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl Tables {
    /// Two empty tables of one kind; `exceptions` are lambdas whose destinations another policy
    /// picks.
    pub fn new(
        policy: &PolicyConfig,
        exceptions: &[(&str, PolicyConfig)],
        optimizer: &OptimizerConfig,
        limits: Option<LimitConfig>,
    ) -> Self {
        let destinations = destinations(limits);
        let table = || {
            let table = ForwardingTable::new(*policy, destinations.clone());
            let table = exceptions.iter().fold(table, |table, (lambda, policy)| {
                table.with_exception(lambda, *policy)
            });
            Arc::new(LearningTable {
                table,
                optimizer: Optimizer::new(*optimizer),
            })
        };
        Self {
            overall: table(),
            computers: Some(table()),
            destinations,
            max_entries: usize::MAX,
            entries: Mutex::default(),
            first: FirstTable::new(false),
        }
    }

    /// The empty table of a dispatcher.
    pub fn single(estimator: EstimatorConfig, limits: Option<LimitConfig>) -> Self {
        let destinations = destinations(limits);
        let policy = PolicyConfig::Estimator(estimator);
        Self {
            overall: Arc::new(LearningTable {
                table: ForwardingTable::new(policy, destinations.clone()),
                optimizer: Optimizer::new(OptimizerConfig::None),
            }),
            computers: None,
            destinations,
            max_entries: usize::MAX,
            entries: Mutex::default(),
            first: FirstTable::new(false),
        }
    }

    /// Says whether a controller is going to fill them.
    #[must_use]
    pub fn with_controller(self, has_controller: bool) -> Self {
        Self {
            first: FirstTable::new(has_controller),
            ..self
        }
    }

    /// How they are filled for the first time.
    pub(crate) fn first(&self) -> &FirstTable {
        &self.first
    }

    /// Lets [`Self::change`] add entries until there are so many.
    #[must_use]
    pub fn with_max_entries(self, max_entries: usize) -> Self {
        Self {
            max_entries,
            ..self
        }
    }

    /// Number of tables.
    pub fn count(&self) -> u32 {
        1 + u32::from(self.computers.is_some())
    }

    /// The table that serves requests with this `forward` mark.
    pub fn serving(&self, forward: bool) -> &Arc<LearningTable> {
        match &self.computers {
            Some(computers) if forward => computers,
            _ => &self.overall,
        }
    }

    /// The table numbered `id`, if there is one.
    pub fn by_id(&self, id: u32) -> Option<&ForwardingTable> {
        match id {
            0 => Some(&self.overall.table),
            1 => self.computers.as_ref().map(|learning| &learning.table),
            _ => None,
        }
    }

    /// Adds a destination or changes it, which makes it the one of `owner`, or nobody's if that is
    /// empty. It is in the table of computers exactly as long as it is final.
    ///
    /// # Errors
    /// If lambda, destination or weight are not acceptable, or there are too many entries or owners.
    pub fn change(
        &self,
        lambda: &str,
        destination: &str,
        weight: f32,
        is_final: bool,
        owner: &str,
        now: Nanos,
    ) -> Result<(), ChangeError> {
        let overall = &self.overall.table;
        let mut entries = self.entries();
        if entries.count >= self.max_entries && !overall.holds(lambda, destination) {
            return Err(ChangeError::Full(entries.count));
        }
        let owner = entries.owners.intern(owner).or_else(|TooMany| {
            entries.owners.free(&overall.owners());
            let owner = entries.owners.intern(owner);
            owner.map_err(|TooMany| ChangeError::TooManyOwners)
        })?;
        let change = RouteChange {
            destination,
            weight,
            is_final,
        };
        let is_new = overall.change_owned(lambda, change, owner, now)?;
        entries.count += usize::from(is_new);
        if let Some(computers) = &self.computers {
            if is_final {
                computers.table.change_owned(lambda, change, owner, now)?;
            } else {
                computers.table.remove(lambda, destination, now);
            }
        }
        Ok(())
    }

    /// Fills the overall table with many lambdas at once that have the same destinations, however
    /// many.
    ///
    /// # Errors
    /// If lambda, a destination or a weight are not acceptable; then none is added.
    pub fn preload(
        &self,
        lambdas: &[&str],
        routes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<(), TableError> {
        let overall = &self.overall.table;
        let mut entries = self.entries();
        overall.change_all(lambdas, routes, now)?;
        entries.count = overall.len();
        Ok(())
    }

    /// Removes a destination of one lambda from all tables, if it is the one of `owner` or that is
    /// empty.
    pub fn remove(&self, lambda: &str, destination: &str, owner: &str, now: Nanos) {
        let mut entries = self.entries();
        let is_meant = owner.is_empty()
            || entries.owners.find(owner) == self.overall.table.owner(lambda, destination);
        if !is_meant {
            return;
        }
        if self.overall.table.remove(lambda, destination, now) {
            entries.count -= 1;
        }
        if let Some(computers) = &self.computers {
            computers.table.remove(lambda, destination, now);
        }
    }

    /// Removes everything from all tables.
    pub fn flush(&self) {
        let mut entries = self.entries();
        let cleared: Vec<_> = self.all().map(|l| l.table.clear()).collect();
        *entries = Entries::default();
        drop(entries);
        if cleared.iter().any(|cleared| cleared.len() > SOON_FREED) {
            // Where no thread is to be had it is dropped here.
            let _ = std::thread::Builder::new().spawn(move || drop(cleared));
        }
    }

    /// Those whom entries belong to, as of now.
    pub(crate) fn owners(&self) -> Owners {
        self.entries().owners.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the optimizers do what is due.
    pub fn tick(&self, now: Nanos) {
        for learning in self.all() {
            learning.optimizer.tick(&learning.table, now);
        }
    }

    /// When [`Self::tick`] wants to be called next; `None` if never.
    pub fn next_tick(&self, now: Nanos) -> Option<Nanos> {
        self.all()
            .filter_map(|learning| learning.optimizer.next_tick(now))
            .min()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<LearningTable>> {
        std::iter::once(&self.overall).chain(&self.computers)
    }

    /// All destinations that a table holds.
    pub fn destinations(&self) -> Vec<Arc<Destination>> {
        self.destinations.in_use()
    }

    /// Sets destinations aside that have fallen silent.
    pub(crate) fn inspect(&self, now: Nanos) {
        self.destinations.inspect(now);
    }
}

/// Destinations whose ejections end at other moments than those of other brokers.
fn destinations(limits: Option<LimitConfig>) -> Arc<Destinations> {
    let destinations = Destinations::with_seed(rand::rng().next_u64());
    Arc::new(match limits {
        Some(limits) => destinations.with_limits(limits),
        None => destinations,
    })
}
