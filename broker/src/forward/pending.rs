//! The limit of requests in flight towards one destination, where one is configured.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At most so many requests of this broker at a destination; the others wait
/// for their turn, in order, as long as their deadline allows.
#[derive(Debug)]
pub(super) struct PendingLimit {
    limit: usize,
    destinations: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

impl PendingLimit {
    /// `None` for no limit, written 0 in the configuration.
    pub(super) fn new(limit: usize) -> Option<Self> {
        let limit = NonZeroUsize::new(limit)?.get().min(Semaphore::MAX_PERMITS);
        Some(Self {
            limit,
            destinations: Mutex::default(),
        })
    }

    /// Waits for a place at `destination`. The place is given back when the
    /// permit is dropped, whatever became of the request.
    pub(super) async fn acquire(
        &self,
        destination: &str,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, String> {
        let places = self.places(destination);
        let patience = tokio::time::Instant::from_std(deadline);
        match tokio::time::timeout_at(patience, places.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(format!(
                "deadline exceeded while waiting for one of {} places at {destination}",
                self.limit
            )),
        }
    }

    /// Forgets destinations that are not in `used`.
    pub(super) fn retain(&self, used: &HashSet<&str>) {
        self.lock().retain(|name, _| used.contains(&**name));
    }

    fn places(&self, destination: &str) -> Arc<Semaphore> {
        let mut destinations = self.lock();
        if let Some(places) = destinations.get(destination) {
            return places.clone();
        }
        let places = Arc::new(Semaphore::new(self.limit));
        destinations.insert(destination.into(), places.clone());
        places
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Semaphore>>> {
        self.destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
