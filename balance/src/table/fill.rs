//! Many lambdas of a table at once: for those who fill it.

use super::error::check_route;
use super::{ForwardingTable, RouteChange, TableError};
use crate::Nanos;

impl ForwardingTable {
    /// Does what [`change_many`](Self::change_many) does for each of many lambdas. One that is new
    /// costs a part of all that are known; many of them together cost that once, as far as they fill a
    /// table from nothing to many thousands.
    ///
    /// # Errors
    /// Those of `change_many`, for the first that is wrong; then nothing is changed.
    pub fn change_all(
        &self,
        lambdas: &[&str],
        changes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<(), TableError> {
        for lambda in lambdas {
            for change in changes {
                check_route(lambda, change.destination, change.weight)?;
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut order = self.lock();
        let new = lambdas
            .iter()
            .filter_map(|lambda| self.change_known(&mut order, lambda, changes, now));
        self.lambdas.insert_many(new.collect());
        Ok(())
    }
}
