//! Where an instance may run that wants a place, worked out once.
//!
//! Whether a place lies in an area takes as long as whoever drew the area likes, and routes change
//! often: so it is not found out anew with each of them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Place;
use crate::model::LocationConstraints;

/// Computers that are remembered for one instance.
const KEPT: usize = 16;

/// Computers by end-point.
pub(super) type Places = BTreeMap<Arc<str>, Place>;

/// The end-points of the first computers that serve an application, or would if a route led there,
/// and are where an instance wants to run; in order.
#[derive(Debug)]
pub(super) struct Fits {
    first: Vec<Arc<str>>,
    /// Whether there are no others.
    all: bool,
}

impl Fits {
    pub(super) fn find(places: &Places, app: &str, wanted: &LocationConstraints) -> Self {
        let mut fitting = places
            .iter()
            .filter(|(_, place)| place.may_serve(app) && fits(place, wanted))
            .map(|(endpoint, _)| endpoint.clone());
        let first: Vec<_> = fitting.by_ref().take(KEPT).collect();
        let all = first.len() < KEPT || fitting.next().is_none();
        Self { first, all }
    }

    /// The first of them that `serves`.
    pub(super) fn first<'a>(
        &self,
        places: &'a Places,
        wanted: &LocationConstraints,
        serves: impl Fn(&str, &Place) -> bool,
    ) -> Option<&'a Place> {
        let known = self.first.iter().filter_map(|e| places.get_key_value(e));
        let mut known = known.filter(|(endpoint, place)| serves(endpoint, place));
        if let Some((_, place)) = known.next() {
            return Some(place);
        }
        if self.all {
            return None;
        }
        let behind = (self.last(), Bound::Unbounded);
        let mut others = places.range::<str, _>(behind);
        others
            .find(|(endpoint, place)| serves(endpoint, place) && fits(place, wanted))
            .map(|(_, place)| place)
    }

    /// Whether the computer at `endpoint` is one of them; it may serve the application.
    pub(super) fn has(&self, endpoint: &str, place: &Place, wanted: &LocationConstraints) -> bool {
        match self.first.binary_search_by(|known| (**known).cmp(endpoint)) {
            Ok(_) => true,
            Err(at) => at == self.first.len() && !self.all && fits(place, wanted),
        }
    }

    /// Takes note of what has become of the computer at `endpoint`. Returns whether enough is
    /// known still.
    pub(super) fn note(&mut self, endpoint: &Arc<str>, fits: bool) -> bool {
        match (self.first.binary_search(endpoint), fits) {
            (Ok(at), false) => drop(self.first.remove(at)),
            // What is behind the last is not remembered as long as there may be others before it.
            (Err(at), true) if at < self.first.len() || self.all => {
                self.first.insert(at, endpoint.clone());
                if self.first.len() > KEPT {
                    self.first.truncate(KEPT);
                    self.all = false;
                }
            }
            _ => {}
        }
        self.all || !self.first.is_empty()
    }

    fn last(&self) -> Bound<&str> {
        let last = self.first.last();
        last.map_or(Bound::Unbounded, |last| Bound::Excluded(&**last))
    }
}

fn fits(place: &Place, wanted: &LocationConstraints) -> bool {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + 1);
    wanted.admits(&place.location)
}

#[cfg(test)]
thread_local! {
    /// How often it was found out whether one place lies in another.
    pub(super) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}
