//! Requests that last: only of those it matters soon whether somebody still waits for the answer.
//!
//! To be told of it costs as much as a part of a request that is answered at once. Who gives up one of
//! those is noticed when it is answered.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Requests that run for less time are not watched, nor are most that run for less than twice that.
const TICK: Duration = Duration::from_millis(10);

/// Counts ticks for as long as there are requests that have begun lately.
#[derive(Debug, Default)]
pub(super) struct Ticks(AtomicU32);

/// When a request has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun(u32);

impl Ticks {
    /// A request begins now.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.0.load(Ordering::Relaxed))
    }

    /// Whether a request has been running for a while.
    pub(super) fn lasts(&self, since: Begun) -> bool {
        self.0.load(Ordering::Relaxed).wrapping_sub(since.0) >= 2
    }
}

/// The requests of a connection, by the numbers of their places.
#[derive(Debug)]
pub(super) struct Lasting {
    /// Of those that do not last yet.
    begun: Vec<Option<Begun>>,
    timer: Pin<Box<Sleep>>,
    is_set: bool,
}

impl Lasting {
    pub(super) fn new() -> Self {
        Self {
            begun: Vec::new(),
            timer: Box::pin(sleep(TICK)),
            is_set: false,
        }
    }

    /// A request begins at this place. [`Self::poll`] has to be called afterwards.
    pub(super) fn begin(&mut self, number: u32, ticks: &Ticks) {
        let place = number as usize;
        if place >= self.begun.len() {
            self.begun.resize(place + 1, None);
        }
        self.begun[place] = Some(ticks.begin());
        if !self.is_set {
            self.set();
        }
    }

    /// Looks, by `look`, at the requests that turn out to last.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, ticks: &Ticks, mut look: impl FnMut(u32)) {
        while self.is_set && self.timer.as_mut().poll(cx).is_ready() {
            ticks.0.fetch_add(1, Ordering::Relaxed);
            self.is_set = false;
            for (number, place) in (0..).zip(&mut self.begun) {
                match *place {
                    Some(begun) if ticks.lasts(begun) => {
                        *place = None;
                        look(number);
                    }
                    Some(_) => self.is_set = true,
                    None => {}
                }
            }
            if self.is_set {
                self.set();
            }
        }
    }

    fn set(&mut self) {
        self.is_set = true;
        self.timer.as_mut().reset(Instant::now() + TICK);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn requests_are_looked_at_once_when_they_last_and_then_there_are_no_ticks() {
        let (ticks, mut lasting) = (Ticks::default(), Lasting::new());
        let start = Instant::now();
        let (first, again) = (ticks.begin(), 7);
        lasting.begin(3, &ticks);
        lasting.begin(again, &ticks);
        let mut looked_at = Vec::new();
        poll_fn(|cx| {
            lasting.poll(cx, &ticks, |number| looked_at.push(number));
            match looked_at.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
        assert!(ticks.lasts(first));
        assert_eq!(looked_at, [3, again]);
        assert!(start.elapsed() >= 2 * TICK);
        // Its place is used anew; the one before has been answered.
        let second = ticks.begin();
        lasting.begin(again, &ticks);
        tokio::time::sleep(TICK).await;
        poll_fn(|cx| {
            lasting.poll(cx, &ticks, |number| panic!("{number} does not last yet"));
            Poll::Ready(())
        })
        .await;
        assert!(!ticks.lasts(second));
        poll_fn(|cx| {
            lasting.poll(cx, &ticks, |number| assert_eq!(number, again));
            match ticks.lasts(second) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert!(!lasting.is_set);
    }
}
