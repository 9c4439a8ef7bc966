//! Finished activations by namespace, bounded in number, age and bytes; the oldest go first.

mod kept;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use self::kept::Kept;
use crate::activation::{Activation, ActivationId};
use crate::config::StoreConfig;

/// Milliseconds since 1970 of its start, and a number that keeps equals apart.
type Place = (u64, u64);

/// Largest record whose memory waits for the next one, in bytes.
const MAX_REUSED: usize = 4096;

/// The activations that can be asked for.
#[derive(Debug)]
pub(crate) struct Store {
    bounds: StoreConfig,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    namespaces: HashMap<Arc<str>, Shelf, RandomState>,
    bytes: usize,
    next: u64,
}

/// The activations of one namespace.
#[derive(Debug, Default)]
struct Shelf {
    by_start: BTreeMap<Place, Kept>,
    by_id: HashMap<ActivationId, Place, RandomState>,
    bytes: usize,
    /// The one that went last, whose memory the next one may take.
    gone: Option<Kept>,
}

/// Which activations a list is to have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// `name` or `package/name`.
    pub(crate) name: Option<String>,
    /// Started at this time or later, in milliseconds since 1970.
    pub(crate) since: Option<u64>,
    /// Started at this time or before.
    pub(crate) upto: Option<u64>,
}

/// How much there is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Fill {
    pub(crate) namespaces: usize,
    pub(crate) activations: usize,
    pub(crate) bytes: usize,
}

impl Store {
    pub(crate) fn new(bounds: StoreConfig) -> Self {
        let inner = Mutex::default();
        Self { bounds, inner }
    }

    /// Keeps `activation`, and lets go of what there is no place for any more. One of the same id
    /// takes the place of the one before.
    pub(crate) fn insert(&self, activation: &Activation, now_ms: u64) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let place = (activation.start_ms, inner.next);
        inner.next += 1;
        let namespace = activation.action.namespace();
        let shelf = match inner.namespaces.get_mut(namespace) {
            Some(shelf) => shelf,
            None => inner.namespaces.entry(namespace.into()).or_default(),
        };
        let before = shelf.bytes;
        shelf.put(place, activation);
        let oldest = now_ms.saturating_sub(as_ms(self.bounds.max_age));
        while shelf.by_start.len() > self.bounds.max_count
            || shelf.bytes > self.bounds.max_bytes
            || shelf.starts_before(oldest)
        {
            shelf.pop();
        }
        let after = shelf.bytes;
        inner.bytes = inner.bytes - before + after;
        inner.shrink_to(self.bounds.max_total_bytes);
    }

    /// Lets go of what has become too old.
    pub(crate) fn expire(&self, now_ms: u64) {
        let oldest = now_ms.saturating_sub(as_ms(self.bounds.max_age));
        let mut inner = self.lock();
        let mut freed = 0;
        inner.namespaces.retain(|_, shelf| {
            let before = shelf.bytes;
            while shelf.starts_before(oldest) {
                shelf.pop();
            }
            shelf.gone = None;
            freed += before - shelf.bytes;
            !shelf.by_start.is_empty()
        });
        inner.bytes -= freed;
    }

    pub(crate) fn get(&self, namespace: &str, id: ActivationId) -> Option<Activation> {
        let inner = self.lock();
        let shelf = inner.namespaces.get(namespace)?;
        shelf.by_start.get(shelf.by_id.get(&id)?)?.activation()
    }

    /// Those that `filter` lets through, newest first, without their results.
    pub(crate) fn list(
        &self,
        namespace: &str,
        filter: &Filter,
        skip: usize,
        limit: usize,
    ) -> Vec<Activation> {
        let inner = self.lock();
        let found = inner.matching(namespace, filter);
        found
            .skip(skip)
            .take(limit)
            .filter_map(Kept::without_result)
            .collect()
    }

    /// The same ones by their ids, with their sizes in bytes.
    pub(crate) fn ids(
        &self,
        namespace: &str,
        filter: &Filter,
        skip: usize,
        limit: usize,
    ) -> Vec<(ActivationId, usize)> {
        let inner = self.lock();
        let found = inner.matching(namespace, filter);
        let sized = found.map(|kept| (kept.id(), kept.size()));
        sized.skip(skip).take(limit).collect()
    }

    pub(crate) fn count(&self, namespace: &str, filter: &Filter) -> usize {
        self.lock().matching(namespace, filter).count()
    }

    pub(crate) fn fill(&self) -> Fill {
        let inner = self.lock();
        Fill {
            namespaces: inner.namespaces.len(),
            activations: inner
                .namespaces
                .values()
                .map(|shelf| shelf.by_start.len())
                .sum(),
            bytes: inner.bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that is done with it panics half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn matching<'a>(
        &'a self,
        namespace: &str,
        filter: &'a Filter,
    ) -> impl Iterator<Item = &'a Kept> {
        let since = Bound::Included((filter.since.unwrap_or(0), 0));
        let upto = Bound::Included((filter.upto.unwrap_or(u64::MAX), u64::MAX));
        // An empty range is a panic to the map.
        let possible = filter.since.unwrap_or(0) <= filter.upto.unwrap_or(u64::MAX);
        let shelf = self.namespaces.get(namespace).filter(|_| possible);
        let range = shelf.map(|shelf| shelf.by_start.range((since, upto)).rev());
        let named = |kept: &&Kept| {
            let wanted = filter.name.as_deref();
            wanted.is_none_or(|name| kept.is_of(name))
        };
        range
            .into_iter()
            .flatten()
            .map(|(_, kept)| kept)
            .filter(named)
    }

    /// Takes from those that have most.
    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let largest = self.namespaces.values_mut().max_by_key(|shelf| shelf.bytes);
            let Some(shelf) = largest.filter(|shelf| !shelf.by_start.is_empty()) else {
                return;
            };
            let before = shelf.bytes;
            shelf.pop();
            shelf.gone = None;
            let after = shelf.bytes;
            self.bytes = self.bytes - before + after;
        }
    }
}

impl Shelf {
    fn starts_before(&self, ms: u64) -> bool {
        let first = self.by_start.first_key_value();
        first.is_some_and(|((start, _), _)| *start < ms)
    }

    fn put(&mut self, place: Place, activation: &Activation) {
        let kept = Kept::new(activation, self.gone.take());
        self.bytes += kept.size();
        let before = self.by_id.insert(activation.id, place);
        if let Some(gone) = before.and_then(|before| self.by_start.remove(&before)) {
            self.bytes -= gone.size();
        }
        self.by_start.insert(place, kept);
    }

    fn pop(&mut self) {
        if let Some((_, gone)) = self.by_start.pop_first() {
            self.bytes -= gone.size();
            self.by_id.remove(&gone.id());
            self.gone = Some(gone).filter(|gone| gone.size() <= MAX_REUSED);
        }
    }
}

fn as_ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
