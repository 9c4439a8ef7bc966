//! Where each of many routes is, by the name of its destination: for changes and for tables that are
//! shown. Picks do not look at it.

use crate::Destination;
use crate::route::SharedRoute;
use crate::routes::{FEW, Routes};
use crate::sorted::{Place, Sorted};
use std::cmp::Ordering;

/// Of a few routes one is found by looking at all of them: an index would take more memory than the
/// routes.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Nothing for a few, of which there may be many lambdas: it takes a word of each.
    by_name: Option<Box<Sorted<Named>>>,
}

/// A route and its position.
#[derive(Clone, Debug)]
pub(in crate::table) struct Named {
    pub(in crate::table) route: SharedRoute,
    position: usize,
}

impl Named {
    fn cmp(&self, destination: &Destination) -> Ordering {
        self.route.destination().name().cmp(destination.name())
    }
}

impl Index {
    /// The route to a destination among `routes`, and its position.
    pub(super) fn find(
        &self,
        routes: Routes<'_>,
        destination: &Destination,
    ) -> Option<(SharedRoute, usize)> {
        if let Routes::Many(_) = routes {
            let by_name = self.by_name.as_deref()?;
            let named = by_name.get(place(by_name, destination).ok()?);
            return Some((named.route.clone(), named.position));
        }
        let is_it = |route: &SharedRoute| route.destination().id() == destination.id();
        let position = routes.iter().position(is_it)?;
        Some((routes.at(position).clone(), position))
    }

    /// So many came last among `routes`.
    pub(super) fn added(&mut self, count: usize, routes: Routes<'_>) {
        if routes.len() <= FEW {
            return;
        }
        let named = |position: usize| Named {
            route: routes.at(position).clone(),
            position,
        };
        let few_are_new = count <= routes.len() / 8;
        let Some(by_name) = self.by_name.as_deref_mut().filter(|_| few_are_new) else {
            let mut all: Vec<_> = (0..routes.len()).map(named).collect();
            all.sort_unstable_by(|a, b| a.cmp(b.route.destination()));
            self.by_name = Some(Box::new(Sorted::of(&all)));
            return;
        };
        for new in (routes.len() - count..routes.len()).map(named) {
            let (Ok(place) | Err(place)) = place(by_name, new.route.destination());
            by_name.insert(place, new);
        }
    }

    /// One of many went, and `last`, if that is another one, took its `position`.
    pub(super) fn replaced(
        &mut self,
        gone: &Destination,
        position: usize,
        last: Option<&SharedRoute>,
    ) {
        let Some(by_name) = &mut self.by_name else {
            return;
        };
        if let Ok(place) = place(by_name, gone) {
            by_name.remove(place);
        }
        if let Some(Ok(place)) = last.map(|last| place(by_name, last.destination())) {
            by_name.get_mut(place).position = position;
        }
    }

    /// There are few now.
    pub(super) fn drop_names(&mut self) {
        self.by_name = None;
    }

    /// All by name, if they are many.
    pub(super) fn by_name(&self) -> Option<Sorted<Named>> {
        self.by_name.as_deref().cloned()
    }
}

fn place(by_name: &Sorted<Named>, destination: &Destination) -> Result<Place, Place> {
    by_name.find(|named| named.cmp(destination))
}
