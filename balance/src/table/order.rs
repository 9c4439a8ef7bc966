//! The lambdas of a table by name, and how many routes each has: for those who show the table.

use super::Lambda;
use crate::sorted::{Place, Sorted};
use std::sync::Arc;

/// In step with the lambdas. A copy is one of a moment, and costs little.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    lambdas: Sorted<Listed>,
    routes: usize,
}

/// A lambda and the number of its routes side by side, so that a page is found without a look at the
/// lambdas before it.
#[derive(Clone, Debug)]
struct Listed {
    lambda: Arc<Lambda>,
    routes: usize,
}

impl Order {
    fn place(&self, name: &str) -> Result<Place, Place> {
        self.lambdas.find(|listed| listed.lambda.name().cmp(name))
    }

    /// Takes note of how many routes the lambda has now.
    pub(super) fn update(&mut self, lambda: &Arc<Lambda>) {
        let routes = lambda.len();
        let before = match self.place(lambda.name()) {
            Ok(place) if routes == 0 => self.lambdas.remove(place).routes,
            Ok(place) => std::mem::replace(&mut self.lambdas.get_mut(place).routes, routes),
            Err(place) => {
                if routes > 0 {
                    let lambda = Arc::clone(lambda);
                    self.lambdas.insert(place, Listed { lambda, routes });
                }
                0
            }
        };
        self.routes = self.routes + routes - before;
    }

    /// The number of routes, over all lambdas.
    pub(super) fn routes(&self) -> usize {
        self.routes
    }

    pub(super) fn lambdas(&self) -> impl Iterator<Item = &Arc<Lambda>> {
        self.lambdas.iter().map(|listed| &listed.lambda)
    }

    /// The lambdas that have routes from number `offset` on, in order: how many routes of each come
    /// before, and how many do not.
    pub(super) fn from(&self, offset: usize) -> impl Iterator<Item = (&Arc<Lambda>, usize, usize)> {
        let mut before = offset;
        self.lambdas.iter().filter_map(move |listed| {
            let skipped = before.min(listed.routes);
            before -= skipped;
            let left = listed.routes - skipped;
            (left > 0).then_some((&listed.lambda, skipped, left))
        })
    }
}
