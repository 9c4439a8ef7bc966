//! Requests with a callback that are accepted and not answered yet: how many, and how large.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for: no semaphore has permits for all bytes of a large machine.
const UNIT: usize = 1 << 10;

/// Places for requests, and room for their bytes.
#[derive(Debug)]
pub(super) struct Queue {
    max_queued: usize,
    places: Arc<Semaphore>,
    max_bytes: usize,
    units: u32,
    room: Arc<Semaphore>,
}

/// What a request holds as long as it is kept.
#[derive(Debug)]
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    room: OwnedSemaphorePermit,
}

impl Place {
    /// Gives the place of `other` back, and keeps its room: what was in it goes on in this one.
    pub(super) fn keep_room_of(&mut self, other: Self) {
        self.room.merge(other.room);
    }
}

/// What there is no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{0} requests with a callback are queued already")]
    Places(usize),
    #[error("requests with a callback fill {0} bytes already")]
    Room(usize),
}

impl Queue {
    /// For `max_queued` requests of `max_bytes` in all.
    pub(super) fn new(max_queued: usize, max_bytes: usize) -> Self {
        let max_queued = max_queued.min(Semaphore::MAX_PERMITS);
        let units = u32::try_from(max_bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Self {
            max_queued,
            places: Arc::new(Semaphore::new(max_queued)),
            max_bytes,
            units,
            room: Arc::new(Semaphore::new(units as usize)),
        }
    }

    /// A place for a request of `bytes`. One that is larger than all the room takes all of it.
    ///
    /// # Errors
    /// What is full.
    pub(super) fn enter(&self, bytes: usize) -> Result<Place, Full> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let places = self.places.clone().try_acquire_owned();
        let place = places.map_err(|_| Full::Places(self.max_queued))?;
        let room = self.room.clone();
        let room = room.try_acquire_many_owned(units.min(self.units));
        Ok(Place {
            _place: place,
            room: room.map_err(|_| Full::Room(self.max_bytes))?,
        })
    }

    /// Requests that have a place.
    pub(super) fn taken(&self) -> usize {
        self.max_queued - self.places.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_weighed() {
        let queue = Queue::new(3, 10 * UNIT);
        let small = queue.enter(1).unwrap();
        let large = queue.enter(8 * UNIT + 1).unwrap();
        assert_eq!(queue.enter(1).unwrap_err(), Full::Room(10 * UNIT));
        assert_eq!(queue.taken(), 2, "who is turned down leaves its place");
        drop(large);
        let others = [queue.enter(1).unwrap(), queue.enter(0).unwrap()];
        assert_eq!(queue.enter(0).unwrap_err(), Full::Places(3));
        let [mut first, second] = others;
        first.keep_room_of(second);
        assert_eq!(queue.taken(), 2);
        drop((small, first));
        assert_eq!(queue.taken(), 0);
    }

    #[test]
    fn one_that_is_too_large_is_taken_alone() {
        let queue = Queue::new(10, UNIT + 1);
        let small = queue.enter(1).unwrap();
        assert!(queue.enter(100 * UNIT).is_err());
        drop(small);
        let large = queue.enter(100 * UNIT).unwrap();
        assert!(queue.enter(1).is_err());
        drop(large);
        assert!(queue.enter(1).is_ok());
    }
}
