//! What a router's table shall become, as long as the router has not been told: the last wish for each entry.

use std::collections::HashMap;

use crate::names::Route;

/// What shall become of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It shall be there, as new.
    Install,
    /// It shall be there; if it is, it shall stay as it is.
    Ensure,
    /// It shall be removed, then be there as new: what the C++ reference does
    /// when a computer announces other containers.
    Replace,
    /// It shall not be there.
    Remove,
}

/// Wishes that are kept at the most. Whoever has more in mind is better off
/// comparing the whole table.
const MAX_WISHES: usize = 1_000_000;

/// Wishes not yet carried out, at most one for each entry, so that a router
/// that is away for long costs no more than the table it will have.
#[derive(Debug)]
pub(crate) struct Wishes {
    most: usize,
    order: Vec<Route>,
    wishes: HashMap<Route, Wish>,
    /// There were more than are kept.
    overflowed: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self::at_most(MAX_WISHES)
    }
}

impl Wishes {
    /// None yet, and no more than `most`.
    fn at_most(most: usize) -> Self {
        Self {
            most,
            order: Vec::new(),
            wishes: HashMap::new(),
            overflowed: false,
        }
    }

    /// The entry shall be there, as new.
    pub(crate) fn install(&mut self, route: &Route) {
        match self.wishes.get_mut(route) {
            Some(wish @ Wish::Remove) => *wish = Wish::Replace,
            Some(wish @ Wish::Ensure) => *wish = Wish::Install,
            Some(Wish::Install | Wish::Replace) => {}
            None => self.push(route, Wish::Install),
        }
    }

    /// The entry shall be there.
    pub(crate) fn ensure(&mut self, route: &Route) {
        match self.wishes.get_mut(route) {
            Some(wish @ Wish::Remove) => *wish = Wish::Ensure,
            Some(Wish::Ensure | Wish::Install | Wish::Replace) => {}
            None => self.push(route, Wish::Ensure),
        }
    }

    /// The entry shall not be there.
    pub(crate) fn remove(&mut self, route: &Route) {
        match self.wishes.get_mut(route) {
            Some(wish) => *wish = Wish::Remove,
            None => self.push(route, Wish::Remove),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether wishes were dropped since this was asked last, so that the table
    /// has to be compared with what it ought to be.
    pub(crate) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    /// All wishes: removals first, otherwise in the order in which they came.
    pub(crate) fn take(&mut self) -> Vec<(Route, Wish)> {
        let order = std::mem::take(&mut self.order);
        let wishes = std::mem::take(&mut self.wishes);
        let with_wish = |route: Route| wishes.get(&route).map(|wish| (route, *wish));
        let mut all: Vec<_> = order.into_iter().filter_map(with_wish).collect();
        all.sort_by_key(|(_, wish)| *wish != Wish::Remove);
        all
    }

    fn push(&mut self, route: &Route, wish: Wish) {
        if self.order.len() >= self.most {
            self.overflowed = true;
            return;
        }
        self.order.push(route.clone());
        self.wishes.insert(route.clone(), wish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::testing::route;

    #[test]
    fn the_last_wish_for_an_entry_counts_and_is_carried_out_once() {
        let mut wishes = Wishes::default();
        for _ in 0..1000 {
            wishes.install(&route("l0", "a:1"));
            wishes.install(&route("l1", "a:1"));
            wishes.remove(&route("l1", "a:1"));
        }
        assert_eq!(
            wishes.take(),
            [
                (route("l1", "a:1"), Wish::Remove),
                (route("l0", "a:1"), Wish::Install)
            ]
        );
        assert!(wishes.is_empty());
        assert_eq!(wishes.take(), []);
    }

    #[test]
    fn what_is_beyond_all_measure_is_dropped_and_told_once() {
        let mut wishes = Wishes::at_most(2);
        wishes.install(&route("l0", "a:1"));
        wishes.install(&route("l1", "a:1"));
        assert!(!wishes.take_overflow());
        wishes.install(&route("l0", "a:1"));
        assert!(!wishes.take_overflow(), "it is wished for already");
        wishes.remove(&route("l0", "b:1"));
        assert!(wishes.take_overflow());
        assert!(!wishes.take_overflow());
        assert_eq!(wishes.take().len(), 2);
    }

    #[test]
    fn what_is_removed_and_installed_again_is_replaced() {
        let mut wishes = Wishes::default();
        wishes.remove(&route("l0", "a:1"));
        wishes.remove(&route("l1", "a:1"));
        wishes.install(&route("l0", "a:1"));
        wishes.install(&route("l2", "a:1"));
        assert_eq!(
            wishes.take(),
            [
                (route("l1", "a:1"), Wish::Remove),
                (route("l0", "a:1"), Wish::Replace),
                (route("l2", "a:1"), Wish::Install)
            ]
        );
    }

    #[test]
    fn what_goes_and_comes_back_unnoticed_is_not_touched() {
        let mut wishes = Wishes::default();
        wishes.remove(&route("l0", "a:1"));
        wishes.ensure(&route("l0", "a:1"));
        wishes.ensure(&route("l1", "a:1"));
        wishes.install(&route("l1", "a:1"));
        wishes.ensure(&route("l1", "a:1"));
        assert_eq!(
            wishes.take(),
            [
                (route("l0", "a:1"), Wish::Ensure),
                (route("l1", "a:1"), Wish::Install)
            ]
        );
    }
}
