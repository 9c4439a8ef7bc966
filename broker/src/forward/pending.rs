//! The limit of requests in flight towards one destination, where one is configured.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that wait for a place at one destination.
const MOST_WAITING: usize = 10_000;

/// At most so many requests of this broker at a destination; up to [`MOST_WAITING`] others wait
/// for their turn, in order, as long as their deadline allows.
#[derive(Debug)]
pub(super) struct PendingLimit {
    limit: usize,
    destinations: Mutex<HashMap<Box<str>, Arc<Places>>>,
}

/// The places at one destination.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Why a request gets no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Its deadline has passed.
    Overdue(String),
    /// Too many wait already.
    Crowded(String),
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
    ) -> Result<OwnedSemaphorePermit, NoPlace> {
        let places = self.places(destination);
        // Those who wait have the places that come free promised: nobody is overtaken.
        if let Ok(permit) = places.free.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let Some(_waiting) = Waiting::begin(&places.waiting) else {
            return Err(NoPlace::Crowded(format!(
                "overloaded: {MOST_WAITING} requests wait for one of {} places at {destination}",
                self.limit
            )));
        };
        let patience = tokio::time::Instant::from_std(deadline);
        match tokio::time::timeout_at(patience, places.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(NoPlace::Overdue(format!(
                "deadline exceeded while waiting for one of {} places at {destination}",
                self.limit
            ))),
        }
    }

    /// Forgets destinations that are not in `used`.
    pub(super) fn retain(&self, used: &HashSet<&str>) {
        self.lock().retain(|name, _| used.contains(&**name));
    }

    fn places(&self, destination: &str) -> Arc<Places> {
        let mut destinations = self.lock();
        if let Some(places) = destinations.get(destination) {
            return places.clone();
        }
        let places = Arc::new(Places {
            free: Arc::new(Semaphore::new(self.limit)),
            waiting: AtomicUsize::new(0),
        });
        destinations.insert(destination.into(), places.clone());
        places
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Places>>> {
        self.destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits, as long as it does.
#[derive(Debug)]
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// `None` if too many do already.
    fn begin(count: &'a AtomicUsize) -> Option<Self> {
        // Made before the comparison, so that it is undone if that fails.
        let waiting = Self(count);
        let others = count.fetch_add(1, Ordering::Relaxed);
        (others < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::time::Duration;

    #[tokio::test]
    async fn who_finds_too_many_waiting_is_told_so_until_one_leaves() {
        let limit = PendingLimit::new(1).unwrap();
        let deadline = Instant::now() + Duration::from_secs(600);
        let place = limit.acquire("a", deadline).await.unwrap();
        let mut line: Vec<_> = (0..MOST_WAITING)
            .map(|_| Box::pin(limit.acquire("a", deadline)))
            .collect();
        for waiting in &mut line {
            assert!(poll!(waiting.as_mut()).is_pending());
        }
        let crowded = limit.acquire("a", deadline).await;
        assert!(matches!(crowded, Err(NoPlace::Crowded(_))), "{crowded:?}");
        assert!(limit.acquire("b", deadline).await.is_ok());
        drop(line.pop());
        let mut last = Box::pin(limit.acquire("a", deadline));
        assert!(poll!(last.as_mut()).is_pending(), "there is room again");
        drop(line);
        drop(place);
        assert!(last.await.is_ok());
    }
}
