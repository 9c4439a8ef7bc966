//! Many destinations on a ring, so that few have to be ranked for an affinity.

use super::super::scan::FULL_SCAN;
use super::rendezvous::{mixed, name_hash};
use crate::route::SharedRoute;

/// So many that follow each other on the ring are ranked.
const RANKED: usize = 64;

/// In the order of the hashes of their names; empty where they are so few that all are ranked.
#[derive(Debug, Default)]
pub(super) struct Ring {
    places: Vec<u64>,
    /// The first ones again behind the last, so that all that follow a place lie side by side.
    routes: Vec<SharedRoute>,
}

impl Ring {
    pub(super) fn new(routes: &[SharedRoute]) -> Self {
        if routes.len() <= FULL_SCAN {
            return Ring::default();
        }
        let placed = routes.iter().map(|route| (name_hash(route), route));
        let mut placed: Vec<_> = placed.collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let in_turn = placed.iter().chain(placed.iter().take(RANKED));
        Ring {
            places: placed.iter().map(|(place, _)| *place).collect(),
            routes: in_turn
                .map(|(_, route)| SharedRoute::clone(route))
                .collect(),
        }
    }

    /// Those that follow the affinity.
    pub(super) fn after(&self, affinity: u64) -> &[SharedRoute] {
        let place = mixed(affinity);
        let first = self.places.partition_point(|at| *at < place);
        let last = self.routes.len().min(first + RANKED);
        &self.routes[first..last]
    }
}
