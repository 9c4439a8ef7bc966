//! Routes of a lambda that come, go, or are set anew.

use super::Lambda;
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, FEW, Routes, Snapshot, publish, snapshot};
use crate::table::{RouteChange, TableError};
use foldhash::fast::FixedState;
use std::collections::HashMap;

impl Lambda {
    /// Sets weight and finality of the routes that exist and adds the others. Answers whether there
    /// were any others.
    pub(in crate::table) fn change(&self, changes: &[RouteChange<'_>], now: Nanos) -> bool {
        let mut index = self.index();
        let before = self.routes.load();
        let known = Routes::of(&before);
        let mut added: Vec<SharedRoute> = Vec::new();
        // One may come twice in a call.
        let mut added_at = HashMap::<u64, usize, FixedState>::default();
        for change in changes {
            let destination = self.broker.intern(change.destination);
            let id = destination.id();
            let found = index.find(known, &destination).map(|(route, _)| route);
            let in_added = || added_at.get(&id).map(|at| added[*at].clone());
            if let Some(route) = found.or_else(in_added) {
                route.set_weight(change.weight);
                route.set_final(change.is_final);
                self.policy.weight_set(&route, now);
                continue;
            }
            let route = Route::new(destination, change.weight, change.is_final, now);
            route.destination().serves(&self.name);
            added_at.insert(id, added.len());
            added.push(SharedRoute::new(route));
        }
        if added.is_empty() {
            return false;
        }
        let next = match known {
            Routes::Few(few) => snapshot([few, &added].concat()),
            Routes::Many(many) => publish(many.with(&added)),
        };
        index.added(added.len(), Routes::of(&next));
        self.publish(next, &[Change::Added(&added)], now);
        true
    }

    /// Applies `set`, which changes the weight, to a route that exists.
    pub(in crate::table) fn with_route(
        &self,
        destination: &str,
        now: Nanos,
        set: impl FnOnce(&Route),
    ) -> Result<(), TableError> {
        let Some((route, _)) = self.route_to(&self.index(), destination) else {
            return Err(TableError::NoDestinations {
                destination: Some(destination.to_owned()),
            });
        };
        set(&route);
        self.weight_set(&route, now);
        Ok(())
    }

    /// Answers whether the route existed.
    pub(in crate::table) fn remove(&self, destination: &str, now: Nanos) -> bool {
        let mut index = self.index();
        let Some((gone, at)) = self.route_to(&index, destination) else {
            return false;
        };
        if gone.terms().retire() {
            self.state.one_opened();
        }
        let before = self.routes.load();
        let many = match Routes::of(&before) {
            Routes::Few(few) => {
                let rest = [&few[..at], &few[at + 1..]].concat();
                self.publish(snapshot(rest), &[Change::Removed(at, &gone)], now);
                return true;
            }
            Routes::Many(many) => many,
        };
        let (next, replaced) = (many.without(at), Change::Replaced(at, &gone));
        if next.len() > FEW {
            let last = (at < next.len()).then(|| many.at(next.len()));
            index.replaced(gone.destination(), at, last);
            self.publish(publish(next), &[replaced], now);
        } else {
            index.drop_names();
            let mut few: Vec<_> = (0..next.len()).map(|at| next.at(at).clone()).collect();
            few.sort_unstable_by_key(|route| route.destination().id());
            let changes = [replaced, Change::Listed(&few)];
            self.publish(snapshot(few.clone()), &changes, now);
        }
        true
    }

    /// Removes all routes. Requests that are under way may keep the lambda for a while, and would have
    /// to tidy up after it else.
    pub(in crate::table) fn clear(&self) {
        let mut index = self.index();
        index.drop_names();
        self.publish(snapshot(Vec::new()), &[Change::Listed(&[])], Nanos::ZERO);
    }

    fn publish(&self, next: Snapshot, changes: &[Change<'_>], now: Nanos) {
        let routes = Routes::of(&next);
        for change in changes {
            self.policy.routes_changed(change, routes, now);
        }
        self.routes.store(next);
    }
}
