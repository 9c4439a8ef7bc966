//! The places of processes: as many as there may be at the same time, for all functions together,
//! and who waits for one, first come, first served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    max: u32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    free: u32,
    /// Places of processes that are about to end.
    leaving: usize,
    asking: BTreeMap<u64, Asking>,
    next: u64,
    closed: bool,
}

#[derive(Debug)]
struct Asking {
    pool: u64,
    since: Instant,
    given: oneshot::Sender<()>,
}

/// A place; free again once it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    leaving: Arc<AtomicBool>,
}

/// Dropped, it tells that a place will soon be free.
#[derive(Debug)]
pub(super) struct Claim {
    places: Arc<Places>,
    leaving: Arc<AtomicBool>,
}

/// Somebody who waits for a place. Dropping it gives up.
#[derive(Debug)]
pub(super) struct Ask {
    places: Arc<Places>,
    number: u64,
    given: oneshot::Receiver<()>,
    taken: bool,
}

/// There will be no more places.
#[derive(Debug)]
pub(super) struct Closed;

impl Places {
    pub(super) fn new(max: u32) -> Arc<Self> {
        let queue = Queue {
            free: max,
            ..Queue::default()
        };
        Arc::new(Self {
            max,
            queue: Mutex::new(queue),
        })
    }

    /// How many there are.
    pub(super) fn max(&self) -> u32 {
        self.max
    }

    /// Gets in line for a place, on behalf of the pool number `pool`.
    pub(super) fn ask(self: &Arc<Self>, pool: u64) -> Ask {
        let (give, given) = oneshot::channel();
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        if queue.free > 0 {
            queue.free -= 1;
            give.send(()).expect("its receiver is here");
        } else if !queue.closed {
            let asking = Asking {
                pool,
                since: Instant::now(),
                given: give,
            };
            queue.asking.insert(number, asking);
        }
        drop(queue);
        Ask {
            places: self.clone(),
            number,
            given,
            taken: false,
        }
    }

    /// For how long somebody has waited, other than the pool number `pool`, if more wait than there
    /// are places that will soon be free.
    pub(super) fn wanted(&self, pool: Option<u64>) -> Option<Duration> {
        let queue = self.lock();
        if queue.asking.len() <= queue.leaving {
            return None;
        }
        let mut others = queue.asking.values();
        let first = others.find(|asking| Some(asking.pool) != pool)?;
        Some(first.since.elapsed())
    }

    /// Gives no more places.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.free = 0;
        queue.asking.clear();
    }

    fn release(&self, leaving: bool) {
        let mut queue = self.lock();
        queue.leaving -= usize::from(leaving);
        match queue.asking.pop_first() {
            // If it has gone, it passes the place on.
            Some((_, asking)) => drop(asking.given.send(())),
            None if queue.closed => {}
            None => queue.free += 1,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// To be dropped when it is decided that the place will be free.
    pub(super) fn claim(&self) -> Claim {
        Claim {
            places: self.places.clone(),
            leaving: self.leaving.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let leaving = self.leaving.swap(true, Ordering::Relaxed);
        self.places.release(leaving);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut queue = self.places.lock();
        let known = self.leaving.swap(true, Ordering::Relaxed);
        queue.leaving += usize::from(!known);
    }
}

impl Ask {
    /// Waits for the place.
    pub(super) async fn place(mut self) -> Result<Place, Closed> {
        let given = (&mut self.given).await;
        self.taken = true;
        given.map_err(|_| Closed)?;
        Ok(Place {
            places: self.places.clone(),
            leaving: Arc::default(),
        })
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let waited = self.places.lock().asking.remove(&self.number).is_some();
        if !waited && self.given.try_recv().is_ok() {
            self.places.release(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_go_to_those_who_have_waited_longest_and_none_is_lost() {
        let places = Places::new(1);
        let only = places.ask(0).place().await.unwrap();
        let [gone, first, second] = [1, 2, 3].map(|pool| places.ask(pool));
        drop(gone);
        drop(only);
        // It was given the place, and goes without having taken it.
        drop(first);
        let place = second.place().await.unwrap();
        assert!(places.wanted(None).is_none());
        drop(place);
        assert_eq!(places.lock().free, 1);
        places.close();
        assert!(places.ask(0).place().await.is_err());
    }

    #[tokio::test]
    async fn those_who_wait_are_known_until_a_place_is_about_to_be_theirs() {
        let places = Places::new(2);
        let one = places.ask(7).place().await.unwrap();
        let two = places.ask(7).place().await.unwrap();
        assert_eq!(places.wanted(None), None);
        let ask = places.ask(8);
        assert!(places.wanted(Some(7)).is_some());
        assert_eq!(places.wanted(Some(8)), None);
        drop(one.claim());
        assert_eq!(places.wanted(Some(7)), None);
        drop(one);
        let got = ask.place().await.unwrap();
        let claim = two.claim();
        drop(two);
        // Too late to promise anything.
        drop(claim);
        let more = [9, 9].map(|pool| places.ask(pool));
        assert!(places.wanted(Some(7)).is_some());
        drop((got, more));
        let queue = places.lock();
        assert_eq!((queue.free, queue.leaving), (2, 0));
    }
}
