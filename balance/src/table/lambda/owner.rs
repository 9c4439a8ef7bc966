//! Whose the routes of a lambda are.

use super::Lambda;
use crate::table::RouteChange;
use crate::{Nanos, Owner};

impl Lambda {
    /// Whose the route is; none if there is no such route.
    pub(in crate::table) fn owner(&self, destination: &str) -> Option<Owner> {
        let (route, _) = self.route_to(&self.index(), destination)?;
        Some(route.owner())
    }

    /// Answers whether there is such a route.
    pub(in crate::table) fn set_owner(&self, destination: &str, owner: Owner) -> bool {
        let found = self.route_to(&self.index(), destination);
        found.inspect(|(route, _)| route.set_owner(owner)).is_some()
    }

    /// Sets all that is said of a route. Answers whether there is such a route.
    pub(in crate::table) fn set(&self, change: RouteChange<'_>, owner: Owner, now: Nanos) -> bool {
        let index = self.index();
        let Some((route, _)) = self.route_to(&index, change.destination) else {
            return false;
        };
        route.set_weight(change.weight);
        route.terms().set(change.is_final, owner);
        self.policy.weight_set(&route, now);
        true
    }
}
