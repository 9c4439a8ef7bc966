//! All lambdas of a table by name: read without waiting, changed at the price of a copy of a few.

use super::Lambda;
use arc_swap::{ArcSwap, Guard};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Some of the lambdas, by the hash of their names.
pub(super) type Part = HashTable<Arc<Lambda>>;

/// So many that with 100,000 lambdas the copy of one takes some ten microseconds.
const PARTS: usize = 256;

/// So few lambdas are in the caches anyway.
const WARM: usize = 1000;
/// So many are [fetched](Lambdas::fetch) at the same time. Each takes two of the eight looks at
/// snapshots that cost a thread little.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// Immutable snapshots, each of a part of the lambdas, which is replaced when one of them comes or
/// goes. Whoever changes it has to take turns.
#[derive(Debug)]
pub(super) struct Lambdas {
    parts: Box<[ArcSwap<Part>]>,
    len: AtomicUsize,
}

impl Default for Lambdas {
    fn default() -> Self {
        let empty = Arc::new(Part::default());
        Lambdas {
            parts: (0..PARTS).map(|_| ArcSwap::new(empty.clone())).collect(),
            len: AtomicUsize::new(0),
        }
    }
}

/// The seed is fixed so that runs repeat; only operators and controllers insert, so nobody can crowd
/// a part from outside.
fn hash(name: &str) -> u64 {
    FixedState::with_seed(1).hash_one(name)
}

/// The number of the part that holds whatever has this hash.
#[inline]
fn index(hash: u64) -> usize {
    // The table within uses the lowest and the highest bits.
    (hash >> 32) as usize % PARTS
}

/// A look at one lambda, if there is one of that name.
#[derive(Debug)]
pub(super) struct Look<'a> {
    part: Guard<Arc<Part>>,
    hash: u64,
    name: &'a str,
}

impl Look<'_> {
    #[inline]
    pub(super) fn get(&self) -> Option<&Arc<Lambda>> {
        let is_it = |lambda: &Arc<Lambda>| lambda.name() == self.name;
        self.part.find(self.hash, is_it)
    }
}

impl Lambdas {
    /// Looks for the lambda of that name.
    #[inline]
    pub(super) fn look_for<'a>(&self, name: &'a str) -> Look<'a> {
        let hash = hash(name);
        let part = self.part(hash).load();
        Look { part, hash, name }
    }

    #[inline]
    fn part(&self, hash: u64) -> &ArcSwap<Part> {
        &self.parts[index(hash)]
    }

    /// Looks at those that are there of these names, as a pick is going to: what is not in a cache
    /// comes from memory for some of them at the same time, where it would for one after the other.
    pub(super) fn fetch<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        if self.len.load(Relaxed) <= WARM {
            return;
        }
        let mut names = names.into_iter();
        loop {
            let next = names.by_ref().take(SIDE_BY_SIDE);
            let looks: SmallVec<[_; SIDE_BY_SIDE]> = next.map(|name| self.look_for(name)).collect();
            if looks.is_empty() {
                return;
            }
            let found: SmallVec<[_; SIDE_BY_SIDE]> = looks.iter().filter_map(Look::get).collect();
            Lambda::fetch(&found);
        }
    }

    /// Adds one whose name is new.
    pub(super) fn insert(&self, lambda: Arc<Lambda>) {
        let new = hash(lambda.name());
        let part = self.part(new);
        let mut more = Part::clone(&part.load());
        more.insert_unique(new, lambda, |known| hash(known.name()));
        part.store(Arc::new(more));
        self.len.fetch_add(1, Relaxed);
    }

    /// Adds many whose names are new, at the price of one copy of each part.
    pub(super) fn insert_many(&self, mut lambdas: Vec<Arc<Lambda>>) {
        let part_of = |lambda: &Arc<Lambda>| index(hash(lambda.name()));
        lambdas.sort_by_key(part_of);
        for together in lambdas.chunk_by(|one, other| part_of(one) == part_of(other)) {
            let part = &self.parts[part_of(&together[0])];
            let mut more = Part::clone(&part.load());
            let before = more.len();
            for lambda in together {
                let new = hash(lambda.name());
                // Named twice, it is the first one.
                more.entry(
                    new,
                    |known| known.name() == lambda.name(),
                    |known| hash(known.name()),
                )
                .or_insert_with(|| Arc::clone(lambda));
            }
            self.len.fetch_add(more.len() - before, Relaxed);
            part.store(Arc::new(more));
        }
    }

    /// Removes the one of that name. Answers whether there was one.
    pub(super) fn remove(&self, name: &str) -> bool {
        let look = self.look_for(name);
        if look.get().is_none() {
            return false;
        }
        let mut fewer = Part::clone(&look.part);
        if let Ok(found) = fewer.find_entry(look.hash, |lambda| lambda.name() == name) {
            found.remove();
        }
        self.part(look.hash).store(Arc::new(fewer));
        self.len.fetch_sub(1, Relaxed);
        true
    }

    /// Removes all, and hands out what held them.
    pub(super) fn clear(&self) -> Vec<Arc<Part>> {
        // Those who add, remove and clear take turns.
        self.len.store(0, Relaxed);
        let clear = |part: &ArcSwap<Part>| part.swap(Arc::default());
        self.parts.iter().map(clear).collect()
    }
}
