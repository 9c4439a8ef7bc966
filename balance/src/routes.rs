//! The routes of a lambda as a pick sees them: a few side by side, or many in chunks.

#[cfg(test)]
pub(crate) mod looks;
mod standings;

use crate::route::SharedRoute;
use standings::Standings;
use std::sync::{Mutex, MutexGuard, PoisonError};
use triomphe::ThinArc;

/// Up to so many routes lie side by side, in the order in which they were added, and policies look
/// at all of them. Of more they look at some, which are found by position.
pub(crate) const FEW: usize = 128;

/// A change copies a chunk or two and the list of chunks. With 16,000 routes that is the least.
const CHUNK: usize = 128;

/// So many routes, which never change.
type Chunk = ThinArc<(), SharedRoute>;

/// What a lambda publishes: a few routes beside their count, one step away from the lambda, or none
/// there and many behind.
pub(crate) type Snapshot = ThinArc<Option<Box<Many>>, SharedRoute>;

/// The routes of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Routes<'a> {
    /// Up to [`FEW`], in the order in which they were added.
    Few(&'a [SharedRoute]),
    /// More, in any order.
    Many(&'a Many),
}

/// More than [`FEW`] routes. All chunks but the last are full.
#[derive(Debug)]
pub(crate) struct Many {
    chunks: Vec<Chunk>,
    len: usize,
    standings: Mutex<Standings>,
}

/// What became of the routes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// These came, behind those that were there.
    Added(&'a [SharedRoute]),
    /// The one at this position went, and the others keep their order.
    Removed(usize, &'a SharedRoute),
    /// The one at this position went, and the last one took its place.
    Replaced(usize, &'a SharedRoute),
    /// Of these, which were there, most or all have another position, or all went.
    Listed(&'a [SharedRoute]),
}

/// A snapshot of some routes, in that order.
pub(crate) fn snapshot(routes: Vec<SharedRoute>) -> Snapshot {
    if routes.len() > FEW {
        let chunks = routes.chunks(CHUNK).map(chunk).collect();
        return publish(Many::new(chunks, routes.len()));
    }
    ThinArc::from_header_and_iter(None, routes.into_iter())
}

/// A snapshot of many routes.
pub(crate) fn publish(many: Many) -> Snapshot {
    ThinArc::from_header_and_iter(Some(Box::new(many)), [].into_iter())
}

fn chunk(routes: &[SharedRoute]) -> Chunk {
    ThinArc::from_header_and_iter((), routes.iter().cloned())
}

impl<'a> Routes<'a> {
    #[inline]
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        match &snapshot.header.header {
            None => Routes::Few(&snapshot.slice),
            Some(many) => Routes::Many(many),
        }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Routes::Few(routes) => routes.len(),
            Routes::Many(many) => many.len,
        }
    }

    /// The one at a position below their number.
    #[inline]
    pub(crate) fn at(self, position: usize) -> &'a SharedRoute {
        match self {
            Routes::Few(routes) => &routes[position],
            Routes::Many(many) => many.at(position),
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a SharedRoute> {
        (0..self.len()).map(move |position| self.at(position))
    }

    /// From one of [`Routes::some`] to the next.
    pub(crate) fn apart(self) -> usize {
        self.len().div_ceil(FEW).max(1)
    }

    /// All of a few; at most so many of many, evenly spread, others for another `seed`.
    pub(crate) fn some(self, seed: u64) -> impl Iterator<Item = &'a SharedRoute> {
        let first = (seed % self.apart() as u64) as usize;
        let positions = (first..self.len()).step_by(self.apart());
        positions.map(move |position| self.at(position))
    }

    /// What `look` makes of the first route that it makes something of, among all of a few in order, or
    /// among `count` of many in turn from the position `first` on. A loop over pieces costs less than
    /// one over positions.
    #[inline]
    pub(crate) fn find_map<T>(
        self,
        (first, count): (usize, usize),
        mut look: impl FnMut(usize, &'a SharedRoute) -> Option<T>,
    ) -> Option<T> {
        let many = match self {
            Routes::Few(routes) => {
                let mut all = routes.iter().enumerate();
                return all.find_map(|(position, route)| look(position, route));
            }
            Routes::Many(many) => many,
        };
        let (mut position, mut left) = (first, count.min(many.len));
        while left > 0 {
            let piece = &many.chunks[position / CHUNK].slice[position % CHUNK..];
            let piece = &piece[..piece.len().min(left)];
            for (nth, route) in piece.iter().enumerate() {
                #[cfg(test)]
                looks::count();
                if let Some(found) = look(position + nth, route) {
                    return Some(found);
                }
            }
            left -= piece.len();
            position = (position + piece.len()) % many.len;
        }
        None
    }
}

impl Many {
    fn new(chunks: Vec<Chunk>, len: usize) -> Self {
        Many {
            chunks,
            len,
            standings: Mutex::default(),
        }
    }

    fn standings(&self) -> MutexGuard<'_, Standings> {
        self.standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn at(&self, position: usize) -> &SharedRoute {
        #[cfg(test)]
        looks::count();
        &self.chunks[position / CHUNK].slice[position % CHUNK]
    }

    /// These and others.
    pub(crate) fn with(&self, added: &[SharedRoute]) -> Many {
        let full = self.len / CHUNK;
        let mut chunks = self.chunks[..full].to_vec();
        let mut rest = self
            .chunks
            .get(full)
            .map_or_else(Vec::new, |last| last.slice.to_vec());
        rest.extend_from_slice(added);
        chunks.extend(rest.chunks(CHUNK).map(chunk));
        Many::new(chunks, self.len + added.len())
    }

    /// These without the one at a position, which the last one takes.
    pub(crate) fn without(&self, position: usize) -> Many {
        let len = self.len - 1;
        let mut chunks = self.chunks.clone();
        let mut replace = |at: usize, routes: &[SharedRoute]| chunks[at] = chunk(routes);
        let last = len / CHUNK;
        if position != len {
            let at = position / CHUNK;
            let mut routes = self.chunks[at].slice.to_vec();
            routes[position % CHUNK] = self.at(len).clone();
            replace(at, &routes);
        }
        let rest = chunks[last].slice[..len % CHUNK].to_vec();
        if rest.is_empty() {
            chunks.pop();
        } else {
            chunks[last] = chunk(&rest);
        }
        Many::new(chunks, len)
    }
}

impl Change<'_> {
    /// Does to a list that has one element for each route what was done to the routes.
    pub(crate) fn follow<T>(
        &self,
        list: &mut Vec<T>,
        of: impl Fn(&T) -> &SharedRoute,
        fresh: impl Fn(&SharedRoute) -> T,
    ) {
        match self {
            Change::Added(routes) => list.extend(routes.iter().map(fresh)),
            Change::Removed(position, _) => drop(list.remove(*position)),
            Change::Replaced(position, _) => drop(list.swap_remove(*position)),
            Change::Listed(routes) => {
                let mut before = std::mem::take(list);
                list.extend(routes.iter().map(|route| {
                    let is_it = |known: &T| SharedRoute::ptr_eq(of(known), route);
                    match before.iter().position(is_it) {
                        Some(at) => before.swap_remove(at),
                        None => fresh(route),
                    }
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;
    use crate::{Destinations, Nanos};

    #[test]
    fn many_are_what_a_list_is_that_fills_holes_from_its_end() {
        let destinations = Destinations::new();
        let route = |number: u32| {
            let destination = destinations.intern(&format!("d{number}"));
            SharedRoute::new(Route::new(destination, 1.0, true, Nanos::ZERO))
        };
        let mut list: Vec<_> = (0..300).map(route).collect();
        let mut current = snapshot(list.clone());
        for step in 0..400_usize {
            let Routes::Many(many) = Routes::of(&current) else {
                panic!("there are many");
            };
            let next = if step % 5 == 0 {
                let added: Vec<_> = (0..4).map(|n| route(1000 + 4 * step as u32 + n)).collect();
                list.extend(added.iter().cloned());
                many.with(&added)
            } else if step % 5 == 1 {
                list.pop();
                many.without(many.len() - 1)
            } else {
                let position = step * 7919 % list.len();
                list.swap_remove(position);
                many.without(position)
            };
            current = publish(next);
            let routes = Routes::of(&current);
            assert_eq!(routes.len(), list.len());
            assert!(
                routes
                    .iter()
                    .zip(&list)
                    .all(|(a, b)| SharedRoute::ptr_eq(a, b))
            );
        }
    }
}
