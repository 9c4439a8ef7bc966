//! All lambdas of a table by name: read without waiting, changed at the price of a copy of a few.

use super::Lambda;
use arc_swap::{ArcSwap, Guard};
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Some of the lambdas. The hash has a fixed seed so that runs repeat; only operators and
/// controllers insert, so nobody can crowd it from outside.
type Part = HashMap<Arc<str>, Arc<Lambda>, FixedState>;

/// So many that with 100,000 lambdas the copy of one takes some ten microseconds.
const PARTS: usize = 256;

/// Immutable snapshots, each of a part of the lambdas, which is replaced when one of them comes or
/// goes. Whoever changes it has to take turns.
#[derive(Debug)]
pub(super) struct Lambdas {
    parts: Box<[ArcSwap<Part>]>,
}

impl Default for Lambdas {
    fn default() -> Self {
        let empty = Arc::new(Part::default());
        Lambdas {
            parts: (0..PARTS).map(|_| ArcSwap::new(empty.clone())).collect(),
        }
    }
}

impl Lambdas {
    /// The part in which the lambda of that name is, if it is there at all.
    #[inline]
    pub(super) fn around(&self, name: &str) -> Guard<Arc<Part>> {
        self.part(name).load()
    }

    #[inline]
    fn part(&self, name: &str) -> &ArcSwap<Part> {
        // The map within uses the lowest and the highest bits.
        let hash = FixedState::with_seed(1).hash_one(name);
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    /// Adds one, in place of the one of that name if there is any.
    pub(super) fn insert(&self, lambda: Arc<Lambda>) {
        let part = self.part(lambda.name());
        let mut more = Part::clone(&part.load());
        more.insert(Arc::clone(lambda.name()), lambda);
        part.store(Arc::new(more));
    }

    /// Removes the one of that name. Answers whether there was one.
    pub(super) fn remove(&self, name: &str) -> bool {
        let part = self.part(name);
        let known = part.load();
        if !known.contains_key(name) {
            return false;
        }
        let mut fewer = Part::clone(&known);
        fewer.remove(name);
        part.store(Arc::new(fewer));
        true
    }

    /// Removes all.
    pub(super) fn clear(&self) {
        for part in &self.parts {
            part.store(Arc::default());
        }
    }

    /// All, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Lambda>> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(part.load().values().cloned());
        }
        all
    }
}
