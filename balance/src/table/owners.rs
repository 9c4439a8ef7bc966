//! Whose the routes of a table are.

use std::collections::HashSet;

use super::ForwardingTable;
use crate::Owner;

impl ForwardingTable {
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
