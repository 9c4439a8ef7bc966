//! Tickets with which clients come back: each is good for one connection, and for a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

use super::Counters;

/// Tickets that are kept. That each can be used once is what keeps early requests from being
/// replayed.
const KEPT: usize = 10_000;
/// What clients are told of how long a ticket is good (RFC 8446, section 4.6.1). `rustls` leaves it to them
/// to keep to that.
const GOOD_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes behind a kept ticket: when it was issued, in seconds since the server began.
const ISSUED: usize = size_of::<u64>();

/// The tickets of one server; counts those that are shown and not good (any more).
#[derive(Debug)]
pub(super) struct Tickets {
    kept: Arc<ServerSessionMemoryCache>,
    counters: Arc<Counters>,
    began: Instant,
}

impl Tickets {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            kept: ServerSessionMemoryCache::new(KEPT),
            counters,
            began: Instant::now(),
        }
    }

    fn keep(&self, key: Vec<u8>, mut ticket: Vec<u8>, now: Instant) -> bool {
        let issued = now.duration_since(self.began).as_secs();
        ticket.extend(issued.to_be_bytes());
        self.kept.put(key, ticket)
    }

    /// The ticket, unless it is too old.
    fn good(&self, kept: Option<Vec<u8>>, now: Instant) -> Option<Vec<u8>> {
        let mut ticket = kept?;
        let end = ticket.len().checked_sub(ISSUED)?;
        let issued = u64::from_be_bytes(ticket[end..].try_into().ok()?);
        ticket.truncate(end);
        let age = now
            .duration_since(self.began)
            .as_secs()
            .saturating_sub(issued);
        (age < GOOD_FOR.as_secs()).then_some(ticket)
    }
}

impl StoresServerSessions for Tickets {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.keep(key, value, Instant::now())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.good(self.kept.get(key), Instant::now())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let ticket = self.good(self.kept.take(key), Instant::now());
        if ticket.is_none() {
            self.counters.count_ticket_refused();
        }
        ticket
    }

    fn can_cache(&self) -> bool {
        self.kept.can_cache()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_for_a_day() {
        let tickets = Tickets::new(Arc::default());
        let now = tickets.began + Duration::from_secs(100);
        let key = || b"key".to_vec();
        for (age, expected) in [
            (Duration::ZERO, Some(b"ticket".to_vec())),
            (GOOD_FOR - Duration::from_secs(1), Some(b"ticket".to_vec())),
            (GOOD_FOR, None),
            (GOOD_FOR * 7, None),
        ] {
            assert!(tickets.keep(key(), b"ticket".to_vec(), now));
            let kept = tickets.kept.take(&key());
            assert_eq!(tickets.good(kept, now + age), expected, "{age:?}");
            assert_eq!(tickets.take(&key()), None, "taken already");
        }
    }

    #[test]
    fn what_is_not_good_is_counted() {
        let counters = Arc::<Counters>::default();
        let tickets = Tickets::new(Arc::clone(&counters));
        let refused = || counters.tickets_refused();
        assert!(tickets.put(b"key".to_vec(), b"ticket".to_vec()));
        assert_eq!(tickets.take(b"key"), Some(b"ticket".to_vec()));
        assert_eq!(refused(), 0);
        assert_eq!(tickets.take(b"key"), None);
        assert_eq!(refused(), 1);
    }
}
