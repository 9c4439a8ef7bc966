//! Which destinations one request has already used up.

use smallvec::SmallVec;

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
}
