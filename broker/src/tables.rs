//! The two forwarding tables of a router, and what keeps them in step; the one of a dispatcher.

use std::sync::Arc;

use edge_balance::{
    Destination, Destinations, EstimatorConfig, ForwardingTable, LimitConfig, Nanos, Optimizer,
    OptimizerConfig, PolicyConfig, RouteChange, TableError,
};
use rand::Rng as _;

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

    /// Adds a destination or changes it. It is in the table of computers
    /// exactly as long as it is final.
    ///
    /// # Errors
    /// If lambda, destination or weight are not acceptable.
    pub fn change(
        &self,
        lambda: &str,
        destination: &str,
        weight: f32,
        is_final: bool,
        now: Nanos,
    ) -> Result<(), TableError> {
        self.overall
            .table
            .change(lambda, destination, weight, is_final, now)?;
        if let Some(computers) = &self.computers {
            if is_final {
                computers
                    .table
                    .change(lambda, destination, weight, true, now)?;
            } else {
                computers.table.remove(lambda, destination, now);
            }
        }
        Ok(())
    }

    /// Fills the overall table with many destinations of one lambda at once.
    ///
    /// # Errors
    /// If lambda, a destination or a weight are not acceptable; then none is added.
    pub fn preload(
        &self,
        lambda: &str,
        routes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<(), TableError> {
        self.overall.table.change_many(lambda, routes, now)
    }

    /// Removes a destination of one lambda from all tables.
    pub fn remove(&self, lambda: &str, destination: &str, now: Nanos) {
        for learning in self.all() {
            learning.table.remove(lambda, destination, now);
        }
    }

    /// Removes everything from all tables.
    pub fn flush(&self) {
        for learning in self.all() {
            learning.table.clear();
        }
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
