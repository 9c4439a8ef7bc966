//! The two forwarding tables of a router, and what keeps them in step.

use std::sync::Arc;

use edge_balance::{
    Destination, Destinations, ForwardingTable, Nanos, Optimizer, OptimizerConfig, PolicyConfig,
    RouteChange, TableError,
};

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
/// shared by both, weights and estimates are not.
#[derive(Debug)]
pub struct Tables {
    destinations: Arc<Destinations>,
    overall: LearningTable,
    computers: LearningTable,
}

impl Tables {
    /// Two empty tables of one kind; `exceptions` are lambdas whose destinations another policy
    /// picks.
    pub fn new(
        policy: &PolicyConfig,
        exceptions: &[(&str, PolicyConfig)],
        optimizer: &OptimizerConfig,
    ) -> Self {
        let destinations = Arc::new(Destinations::new());
        let table = || {
            let table = ForwardingTable::new(*policy, destinations.clone());
            let table = exceptions.iter().fold(table, |table, (lambda, policy)| {
                table.with_exception(lambda, *policy)
            });
            LearningTable {
                table,
                optimizer: Optimizer::new(*optimizer),
            }
        };
        Self {
            overall: table(),
            computers: table(),
            destinations,
        }
    }

    /// Number of tables.
    pub const COUNT: u32 = 2;

    /// The table that serves requests with this `forward` mark.
    pub fn serving(&self, forward: bool) -> &LearningTable {
        if forward {
            &self.computers
        } else {
            &self.overall
        }
    }

    /// The table numbered `id`, if there is one.
    pub fn by_id(&self, id: u32) -> Option<&ForwardingTable> {
        match id {
            0 => Some(&self.overall.table),
            1 => Some(&self.computers.table),
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
        if is_final {
            self.computers
                .table
                .change(lambda, destination, weight, true, now)?;
        } else {
            self.computers.table.remove(lambda, destination, now);
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

    /// Removes a destination of one lambda from both tables.
    pub fn remove(&self, lambda: &str, destination: &str, now: Nanos) {
        self.overall.table.remove(lambda, destination, now);
        self.computers.table.remove(lambda, destination, now);
    }

    /// Removes everything from both tables.
    pub fn flush(&self) {
        self.overall.table.clear();
        self.computers.table.clear();
    }

    /// Lets both optimizers do what is due.
    pub fn tick(&self, now: Nanos) {
        for learning in [&self.overall, &self.computers] {
            learning.optimizer.tick(&learning.table, now);
        }
    }

    /// When [`Self::tick`] wants to be called next; `None` if never.
    pub fn next_tick(&self, now: Nanos) -> Option<Nanos> {
        [&self.overall, &self.computers]
            .into_iter()
            .filter_map(|learning| learning.optimizer.next_tick(now))
            .min()
    }

    /// All destinations that a table holds.
    pub fn destinations(&self) -> Vec<Arc<Destination>> {
        self.destinations.in_use()
    }
}
