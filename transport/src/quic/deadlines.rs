//! When those who wait on a connection give up: one timer for all of them.
//!
//! Hardly anybody waits until a deadline. The timer is set for the earliest, and stays where whoever set
//! it has been answered: it then finds out which is the earliest now.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// The deadlines of a connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    waiting: Mutex<Waiting>,
    is_sooner: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    places: Slab<Place>,
    /// When the timer is due; no deadline is earlier.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    deadline: Instant,
    /// None once the deadline has passed.
    waker: Option<Waker>,
}

/// Somebody who waits until a deadline.
#[derive(Debug)]
pub(super) struct Until<'a> {
    deadlines: &'a Deadlines,
    deadline: Instant,
    place: Option<usize>,
}

impl Deadlines {
    /// Waits for `future`, at most until `deadline`.
    pub(super) async fn bound<F: Future>(&self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut until = self.until(deadline);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if until.is_over(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Waits until `deadline`, from the first look on.
    pub(super) fn until(&self, deadline: Instant) -> Until<'_> {
        Until {
            deadlines: self,
            deadline,
            place: None,
        }
    }

    /// Wakes those whose deadlines pass, for as long as this is polled.
    pub(super) async fn mind(&self) {
        loop {
            let due = self.lock().due;
            let Some(due) = due else {
                self.is_sooner.notified().await;
                continue;
            };
            if timeout_at(due.into(), self.is_sooner.notified())
                .await
                .is_err()
            {
                self.expire(Instant::now().max(due));
            }
        }
    }

    fn expire(&self, now: Instant) {
        let mut waiting = self.lock();
        let Waiting { places, due } = &mut *waiting;
        *due = None;
        for (_, place) in places {
            if place.deadline > now {
                *due = Some(due.map_or(place.deadline, |due| due.min(place.deadline)));
            } else if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Until<'_> {
    /// Whether the deadline has passed. The task of `cx` is woken when it does.
    pub(super) fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let mut waiting = self.deadlines.lock();
        if let Some(place) = self.place {
            let Some(waker) = &mut waiting.places[place].waker else {
                return true;
            };
            waker.clone_from(cx.waker());
            return false;
        }
        self.place = Some(waiting.places.insert(Place {
            deadline: self.deadline,
            waker: Some(cx.waker().clone()),
        }));
        if waiting.due.is_none_or(|due| self.deadline < due) {
            waiting.due = Some(self.deadline);
            drop(waiting);
            self.deadlines.is_sooner.notify_one();
        }
        false
    }
}

impl Drop for Until<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let mut waiting = self.deadlines.lock();
            waiting.places.remove(place);
            if waiting.places.is_empty() && waiting.places.capacity() > KEPT {
                waiting.places.shrink_to_fit();
            }
        }
    }
}

/// Places that keep their memory when nobody waits.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Waits until a deadline passes.
    async fn passes(deadlines: &Deadlines, deadline: Instant) {
        let never = std::future::pending::<()>();
        assert_eq!(deadlines.bound(deadline, never).await, None);
        assert!(Instant::now() >= deadline, "too early");
    }

    #[tokio::test]
    async fn everybody_waits_until_the_own_deadline() {
        let deadlines = Deadlines::default();
        let order = Mutex::default();
        let start = Instant::now();
        let waits = |millis| {
            let (deadlines, order): (_, &Mutex<Vec<_>>) = (&deadlines, &order);
            async move {
                passes(deadlines, start + Duration::from_millis(millis)).await;
                order.lock().unwrap().push(millis);
            }
        };
        // The earliest is neither the first nor the last.
        let all = async { tokio::join!(waits(200), waits(1), waits(300)) };
        tokio::select! {
            _ = all => {}
            () = deadlines.mind() => {}
        }
        assert_eq!(order.into_inner().unwrap()[0], 1);
        assert!(deadlines.lock().places.is_empty());
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_does_not_hold_up_others() {
        let deadlines = Deadlines::default();
        let at = |millis| Instant::now() + Duration::from_millis(millis);
        let mut minded = pin!(deadlines.mind());
        {
            let mut gone = pin!(passes(&deadlines, at(1)));
            assert!(futures_util::poll!(gone.as_mut()).is_pending());
            assert!(futures_util::poll!(minded.as_mut()).is_pending());
        }
        tokio::select! {
            () = passes(&deadlines, at(20)) => {}
            () = minded => {}
        }
        assert!(deadlines.lock().places.is_empty());
    }
}
