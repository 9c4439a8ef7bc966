//! Whose the routes of a lambda are.

use super::Lambda;
use crate::Owner;

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
}
