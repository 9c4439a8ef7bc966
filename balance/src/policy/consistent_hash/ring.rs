//! Many destinations on a ring, so that few have to be ranked for an affinity.

use super::rendezvous::{Lane, mixed};
use crate::route::SharedRoute;
use crate::routes::{Change, Routes};
use crate::sorted::Sorted;

/// So many that follow each other on the ring are ranked.
const RANKED: usize = 64;

/// In the order of the hashes of their names; empty where they are so few that all are ranked.
pub(super) type Ring = Sorted<Spot>;

/// A destination on the ring.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// The hash of its name, and its number among the destinations: two may have the same hash.
    at: (u64, u64),
    /// Here, too, so that most of them are ranked without a look at the route.
    pub(super) lane: Lane,
    pub(super) route: SharedRoute,
}

impl Spot {
    fn of(route: &SharedRoute) -> Self {
        let lane = Lane::of(route);
        Spot {
            at: (lane.place(), route.destination().id()),
            lane,
            route: SharedRoute::clone(route),
        }
    }
}

/// The ring of `routes`, after a change, where it was `before`.
pub(super) fn changed(before: &Ring, change: &Change<'_>, routes: Routes<'_>) -> Ring {
    let Routes::Many(_) = routes else {
        return Ring::default();
    };
    let mut ring = before.clone();
    match change {
        Change::Added(added) if !ring.is_empty() && added.len() < routes.len() / 8 => {
            for spot in added.iter().map(Spot::of) {
                let (Ok(place) | Err(place)) = ring.find(|other| other.at.cmp(&spot.at));
                ring.insert(place, spot);
            }
        }
        Change::Replaced(_, gone) => {
            let spot = Spot::of(gone);
            if let Ok(place) = ring.find(|other| other.at.cmp(&spot.at)) {
                ring.remove(place);
            }
        }
        _ => {
            let mut spots: Vec<_> = routes.iter().map(Spot::of).collect();
            spots.sort_unstable_by_key(|spot| spot.at);
            ring = Ring::of(&spots);
        }
    }
    ring
}

/// Those that are ranked for an affinity, which follow it on the ring.
pub(super) fn after(ring: &Ring, affinity: u64) -> [&[Spot]; 3] {
    let place = mixed(affinity);
    ring.following(|spot| spot.at.cmp(&(place, 0)), RANKED)
}
