//! Which destinations one request has already used up.

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use std::hash::BuildHasher as _;

/// The destinations, by [`Destination::id`](crate::Destination::id), that a request has already been
/// sent to and that no further pick may choose for it. Up to eight need no heap.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    ids: SmallVec<[u64; 8]>,
    refusals: u32,
}

impl Tried {
    /// Nothing tried yet.
    #[must_use]
    pub fn new() -> Self {
        Tried::default()
    }

    /// Adds a destination; adding it twice makes no difference.
    pub fn push(&mut self, id: u64) {
        if !self.contains(id) {
            self.ids.push(id);
        }
    }

    /// Notes that the destination tried last turned the request down.
    pub fn refused(&mut self) {
        self.refusals += 1;
    }

    /// How many destinations have turned the request down.
    #[must_use]
    pub fn refusals(&self) -> u32 {
        self.refusals
    }

    /// Whether the destination was tried.
    #[inline]
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        !self.ids.is_empty() && self.ids.contains(&id)
    }

    /// A number that is the same for the same destinations in whatever order, 0 for none.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mixed = FixedState::with_seed(3);
        let hashes = self.ids.iter().map(|id| mixed.hash_one(id));
        hashes.fold(0, u64::wrapping_add)
    }

    /// How many were tried.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether this is the first attempt.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_each_destination_once_and_more_than_fit_inline() {
        let mut tried = Tried::new();
        assert!(tried.is_empty());
        for id in (0..20).chain(0..20) {
            tried.push(id);
        }
        assert_eq!(tried.len(), 20);
        assert!(tried.contains(19) && !tried.contains(20));
    }

    #[test]
    fn the_same_destinations_in_another_order_have_the_same_fingerprint() {
        let of = |ids: &[u64]| {
            let mut tried = Tried::new();
            ids.iter().for_each(|id| tried.push(*id));
            tried.fingerprint()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[1, 2, 3]), of(&[3, 1, 2]));
        assert_ne!(of(&[1, 2]), of(&[1, 3]));
    }
}
