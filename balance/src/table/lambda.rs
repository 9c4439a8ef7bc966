//! One lambda of a table: its routes as a snapshot, and the state of the policy among them.

use super::{RouteChange, TableEntry, TableError};
use crate::policy::{Candidates, Policy};
use crate::route::Route;
use crate::{Destinations, Nanos, NoDestination, Pick, PolicyConfig, Tried};
use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use rand::Rng;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Index = HashMap<Arc<str>, Arc<Route>, FixedState>;

#[derive(Debug)]
pub(super) struct Lambda {
    name: Arc<str>,
    /// In the order of insertion.
    routes: ArcSwap<Vec<Arc<Route>>>,
    /// The same routes by destination. Picks do not look at it.
    index: Mutex<Index>,
    policy: Box<dyn Policy>,
}

impl Lambda {
    pub(super) fn new(name: &str, policy: PolicyConfig, now: Nanos) -> Self {
        Lambda {
            name: name.into(),
            routes: ArcSwap::default(),
            index: Mutex::default(),
            policy: policy.build(now),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn len(&self) -> usize {
        self.routes.load().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets weight and finality of the routes that exist and adds the others.
    pub(super) fn change(
        &self,
        changes: &[RouteChange<'_>],
        destinations: &Destinations,
        now: Nanos,
    ) {
        let mut index = self.index();
        let mut added = Vec::new();
        for change in changes {
            if let Some(route) = index.get(change.destination) {
                route.set_weight(change.weight);
                route.set_final(change.is_final);
                self.policy.weight_set(route, now);
                continue;
            }
            let destination = destinations.intern(change.destination);
            let learns = self.policy.latency();
            let route = Route::new(destination, change.weight, change.is_final, learns, now);
            let route = Arc::new(route);
            index.insert(
                Arc::clone(route.destination().shared_name()),
                Arc::clone(&route),
            );
            added.push(route);
        }
        if !added.is_empty() {
            let known = self.routes.load();
            let mut more = Vec::with_capacity(known.len() + added.len());
            more.extend(known.iter().cloned());
            more.append(&mut added);
            self.store(more, now);
        }
    }

    /// Applies `set`, which changes the weight, to a route that exists.
    pub(super) fn with_route(
        &self,
        destination: &str,
        now: Nanos,
        set: impl FnOnce(&Route),
    ) -> Result<(), TableError> {
        let Some(route) = self.index().get(destination).cloned() else {
            return Err(TableError::NoDestinations {
                destination: Some(destination.to_owned()),
            });
        };
        set(&route);
        self.policy.weight_set(&route, now);
        Ok(())
    }

    /// Answers whether the route existed.
    pub(super) fn remove(&self, destination: &str, now: Nanos) -> bool {
        let mut index = self.index();
        let Some(removed) = index.remove(destination) else {
            return false;
        };
        let known = self.routes.load();
        let rest = known.iter().filter(|route| !Arc::ptr_eq(route, &removed));
        self.store(rest.cloned().collect(), now);
        true
    }

    /// Sorted by destination.
    pub(super) fn entries(&self) -> Vec<TableEntry> {
        let routes = self.routes.load();
        let entry = |route: &Arc<Route>| TableEntry {
            lambda: self.name.to_string(),
            destination: route.destination().name().to_owned(),
            weight: route.shown_weight(),
            is_final: route.is_final(),
        };
        let mut entries: Vec<_> = routes.iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.destination.cmp(&b.destination));
        entries
    }

    /// Chooses; `any_ejected` says whether health has to be looked at.
    pub(super) fn pick(
        &self,
        tried: &Tried,
        any_ejected: bool,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<Pick, NoDestination> {
        let routes = self.routes.load();
        let mut any_healthy = true;
        if any_ejected {
            any_healthy = false;
            for route in routes
                .iter()
                .filter(|r| !tried.contains(r.destination().id()))
            {
                if route.destination().health().is_healthy() {
                    any_healthy = true;
                } else if let Some(trial) = Pick::trial(route, now) {
                    return Ok(trial);
                }
            }
        }
        let mut choose = |healthy_only| {
            self.policy.choose(
                &routes,
                &Candidates {
                    tried,
                    healthy_only,
                    now,
                },
                rng,
            )
        };
        let healthy = if any_healthy {
            choose(any_ejected)
        } else {
            None
        };
        // With none healthy, or none any more, all that were not tried will do.
        let chosen = healthy.or_else(|| choose(false));
        chosen.map(Pick::new).ok_or(if tried.is_empty() {
            // Its last route was removed a moment ago.
            NoDestination::UnknownLambda
        } else {
            NoDestination::AllTried
        })
    }

    fn store(&self, routes: Vec<Arc<Route>>, now: Nanos) {
        self.policy.routes_changed(&routes, now);
        self.routes.store(Arc::new(routes));
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
