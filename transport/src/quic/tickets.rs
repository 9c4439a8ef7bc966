//! Tickets with which clients come back: each is good for one connection.

use std::sync::Arc;

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use super::Counters;

/// Tickets that are kept. That each can be used once is what keeps early requests from being
/// replayed.
const KEPT: usize = 10_000;

/// The tickets of one server; counts those that are shown and not good (any more).
#[derive(Debug)]
pub(super) struct Tickets {
    kept: Arc<ServerSessionMemoryCache>,
    counters: Arc<Counters>,
}

impl Tickets {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            kept: ServerSessionMemoryCache::new(KEPT),
            counters,
        }
    }
}

impl StoresServerSessions for Tickets {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.kept.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let ticket = self.kept.take(key);
        if ticket.is_none() {
            self.counters.count_ticket_refused();
        }
        ticket
    }

    fn can_cache(&self) -> bool {
        self.kept.can_cache()
    }
}
