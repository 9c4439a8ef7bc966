//! All lambdas of a table by name: read without waiting, changed at the price of a copy of a few.

use super::Lambda;
use arc_swap::{ArcSwap, Guard};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::array;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Some of the lambdas, by the hash of their names.
type Part = HashTable<Arc<Lambda>>;

/// So many parts side by side, and so many of these side by side: that many parts that with 100,000
/// lambdas the copy of one takes some ten microseconds.
const FAN_OUT: usize = 16;

type Branch = [Arc<Part>; FAN_OUT];
/// All lambdas of one moment.
pub(super) type Tree = [Arc<Branch>; FAN_OUT];

/// So few lambdas are in the caches anyway.
const WARM: usize = 1000;
/// So many are [fetched](Lambdas::fetch) step by step: several times as many as a core can wait for, since at
/// the end of each step it waits for the last ones only.
const SIDE_BY_SIDE: usize = 64;

/// Immutable snapshots of all lambdas, which share the parts in which nothing came or went. Whoever
/// changes them has to take turns.
#[derive(Debug)]
pub(super) struct Lambdas {
    tree: ArcSwap<Tree>,
    len: AtomicUsize,
}

impl Default for Lambdas {
    fn default() -> Self {
        Lambdas {
            tree: ArcSwap::new(no_lambdas()),
            len: AtomicUsize::new(0),
        }
    }
}

fn no_lambdas() -> Arc<Tree> {
    let part = Arc::new(Part::default());
    let branch = Arc::new(array::from_fn(|_| Arc::clone(&part)));
    Arc::new(array::from_fn(|_| Arc::clone(&branch)))
}

/// The seed is fixed so that runs repeat; only operators and controllers insert, so nobody can crowd
/// a part from outside.
fn hash(name: &str) -> u64 {
    FixedState::with_seed(1).hash_one(name)
}

/// The branch that holds whatever has this hash, and the part of that.
#[inline]
fn place(hash: u64) -> (usize, usize) {
    // The table within uses the lowest and the highest bits.
    let bits = (hash >> 32) as usize;
    (bits / FAN_OUT % FAN_OUT, bits % FAN_OUT)
}

#[inline]
fn part_of(tree: &Tree, hash: u64) -> &Part {
    let (branch, part) = place(hash);
    &tree[branch][part]
}

#[inline]
fn find<'a>(tree: &'a Tree, hash: u64, name: &str) -> Option<&'a Arc<Lambda>> {
    part_of(tree, hash).find(hash, |lambda| lambda.name() == name)
}

/// The part, to be changed: others keep what they hold.
fn part_to_change(tree: &mut Tree, hash: u64) -> &mut Part {
    let (branch, part) = place(hash);
    Arc::make_mut(&mut Arc::make_mut(&mut tree[branch])[part])
}

/// A look at one lambda, if there is one of that name.
#[derive(Debug)]
pub(super) struct Look<'a> {
    tree: Guard<Arc<Tree>>,
    hash: u64,
    name: &'a str,
}

impl Look<'_> {
    #[inline]
    pub(super) fn get(&self) -> Option<&Arc<Lambda>> {
        find(&self.tree, self.hash, self.name)
    }
}

impl Lambdas {
    /// Looks for the lambda of that name.
    #[inline]
    pub(super) fn look_for<'a>(&self, name: &'a str) -> Look<'a> {
        let hash = hash(name);
        let tree = self.tree.load();
        Look { tree, hash, name }
    }

    /// Looks at those that are there of these names, as a pick is going to: what is not in a cache
    /// comes from memory for some of them at the same time, where it would for one after the other.
    pub(super) fn fetch<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        if self.len.load(Relaxed) <= WARM {
            return;
        }
        let tree = self.tree.load();
        let mut names = names.into_iter();
        loop {
            // A step does little for each, so that the next ones are on their way while one is waited for.
            let mut wanted = [("", 0); SIDE_BY_SIDE];
            let mut count = 0;
            for (place, name) in wanted.iter_mut().zip(names.by_ref()) {
                *place = (name, hash(name));
                count += 1;
            }
            if count == 0 {
                return;
            }
            let wanted = &wanted[..count];
            let mut found = [None; SIDE_BY_SIDE];
            for (place, (_, hash)) in found.iter_mut().zip(wanted) {
                // To compare names, each would be waited for.
                *place = part_of(&tree, *hash).find(*hash, |_| true);
            }
            let found = &mut found[..count];
            found.iter().flatten().for_each(|lambda| lambda.fetch());
            for (lambda, (name, hash)) in found.iter_mut().zip(wanted) {
                // Now and then it is another one.
                if lambda.is_some_and(|lambda| lambda.name() != *name) {
                    *lambda = find(&tree, *hash, name);
                }
            }
            Lambda::fetch_routes(found);
        }
    }

    /// Adds one whose name is new.
    pub(super) fn insert(&self, lambda: Arc<Lambda>) {
        let new = hash(lambda.name());
        let mut tree = Tree::clone(&self.tree.load());
        part_to_change(&mut tree, new).insert_unique(new, lambda, |known| hash(known.name()));
        self.tree.store(Arc::new(tree));
        self.len.fetch_add(1, Relaxed);
    }

    /// Adds many whose names are new, at the price of one copy of each part.
    pub(super) fn insert_many(&self, lambdas: Vec<Arc<Lambda>>) {
        let mut tree = Tree::clone(&self.tree.load());
        let mut added = 0;
        for lambda in lambdas {
            let new = hash(lambda.name());
            let part = part_to_change(&mut tree, new);
            let before = part.len();
            // Named twice, it is the first one.
            part.entry(
                new,
                |known| known.name() == lambda.name(),
                |known| hash(known.name()),
            )
            .or_insert_with(|| Arc::clone(&lambda));
            added += part.len() - before;
        }
        self.tree.store(Arc::new(tree));
        self.len.fetch_add(added, Relaxed);
    }

    /// Removes the one of that name. Answers whether there was one.
    pub(super) fn remove(&self, name: &str) -> bool {
        let look = self.look_for(name);
        if look.get().is_none() {
            return false;
        }
        let mut tree = Tree::clone(&look.tree);
        let part = part_to_change(&mut tree, look.hash);
        if let Ok(found) = part.find_entry(look.hash, |lambda| lambda.name() == name) {
            found.remove();
        }
        self.tree.store(Arc::new(tree));
        self.len.fetch_sub(1, Relaxed);
        true
    }

    /// Removes all, and hands out what held them.
    pub(super) fn clear(&self) -> Arc<Tree> {
        // Those who add, remove and clear take turns.
        self.len.store(0, Relaxed);
        self.tree.swap(no_lambdas())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policies;
    use crate::{Destinations, Nanos, PolicyConfig};

    #[test]
    fn a_look_sees_what_was_there_when_it_began_and_the_next_one_what_is() {
        let policies = Policies::new(PolicyConfig::default());
        let broker = Arc::new(Destinations::new());
        let lambda = |number: usize| {
            let name = format!("lambda{number}");
            let broker = Arc::clone(&broker);
            Arc::new(Lambda::new(&name, policies.next(), broker, Nanos::ZERO))
        };
        let lambdas = Lambdas::default();
        let is_there = |name: &str| lambdas.look_for(name).get().is_some();
        // So many that each part has some; the last two are the same.
        lambdas.insert_many((0..3000).chain([2999]).map(lambda).collect());
        assert_eq!(lambdas.len.load(Relaxed), 3000);
        let early = lambdas.look_for("lambda3000");
        lambdas.insert(lambda(3000));
        assert!(early.get().is_none() && is_there("lambda3000"));
        let early = lambdas.look_for("lambda7");
        assert!(lambdas.remove("lambda7") && !lambdas.remove("lambda7"));
        assert!(early.get().is_some() && !is_there("lambda7"));
        let rest = (0..3001).filter(|number| *number != 7);
        assert!(
            rest.clone()
                .all(|number| is_there(&format!("lambda{number}")))
        );
        // More than one step holds, some of which are not there.
        let names: Vec<_> = (0..3010).map(|number| format!("lambda{number}")).collect();
        lambdas.fetch(names.iter().map(String::as_str));
        drop(lambdas.clear());
        assert!(
            !rest
                .clone()
                .any(|number| is_there(&format!("lambda{number}")))
        );
        assert!(early.get().is_some());
    }
}
