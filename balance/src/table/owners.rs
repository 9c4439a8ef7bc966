//! Whose the routes of a table are.

use std::collections::HashSet;

use super::error::check_route;
use super::{ForwardingTable, RouteChange, TableError};
use crate::{Nanos, Owner};

impl ForwardingTable {
    /// Does what [`change`](Self::change) does, and says whose the route is, too; answers whether it is
    /// new. One that is there is looked for once.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change_owned(
        &self,
        lambda: &str,
        change: RouteChange<'_>,
        owner: Owner,
        now: Nanos,
    ) -> Result<bool, TableError> {
        check_route(lambda, change.destination, change.weight)?;
        let mut order = self.lock();
        let look = self.lambdas.look_for(lambda);
        if look
            .get()
            .is_some_and(|known| known.set(change, owner, now))
        {
            return Ok(false);
        }
        if let Some(added) = self.change_known(&mut order, lambda, &[change], now) {
            self.lambdas.insert(added);
        }
        self.set_owner(lambda, change.destination, owner);
        Ok(true)
    }

    /// Whose the route is; none if there is no such route.
    #[must_use]
    pub fn owner(&self, lambda: &str, destination: &str) -> Option<Owner> {
        self.lambdas.look_for(lambda).get()?.owner(destination)
    }

    /// Says whose a route is; a new one is nobody's. Answers whether there is such a route.
    pub fn set_owner(&self, lambda: &str, destination: &str, owner: Owner) -> bool {
        let look = self.lambdas.look_for(lambda);
        look.get()
            .is_some_and(|known| known.set_owner(destination, owner))
    }

    /// Everybody whom a route belongs to.
    #[must_use]
    pub fn owners(&self) -> HashSet<Owner> {
        let mut owners = HashSet::new();
        let order = self.lock().clone();
        for lambda in order.lambdas() {
            lambda.with_routes(|routes| owners.extend(routes.iter().map(|route| route.owner())));
        }
        owners
    }
}
