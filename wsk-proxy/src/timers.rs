//! Deadlines that are mostly not reached.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Most timers that wait for the next use.
const MOST: usize = 1024;

/// The timers of one core. Setting one and taking it back costs more than many a request is worth;
/// these stay set from one use to the next, and are moved when they would fire too late or have fired
/// too early.
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

impl Timers {
    /// Waits for `future`, until `deadline` at the most.
    pub(crate) async fn within<F: Future + Unpin>(
        &self,
        deadline: Instant,
        future: &mut F,
    ) -> Option<F::Output> {
        let mut timer = Timer {
            all: self,
            sleep: None,
        };
        poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => timer.poll(deadline, cx).map(|()| None),
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pin<Box<Sleep>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer in use; it goes back when this is dropped.
struct Timer<'a> {
    all: &'a Timers,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer<'_> {
    /// Ready at the deadline, which is always the same.
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = match &mut self.sleep {
            // It knows whom to wake, which stays the same.
            Some(sleep) if !sleep.is_elapsed() => return Poll::Pending,
            Some(sleep) => sleep,
            None => {
                let spare = self.all.lock().pop();
                let mut sleep = spare.unwrap_or_else(|| Box::pin(sleep_until(deadline)));
                if sleep.deadline() > deadline {
                    sleep.as_mut().reset(deadline);
                }
                self.sleep.insert(sleep)
            }
        };
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(sleep) = self.sleep.take() {
            let mut all = self.all.lock();
            if all.len() < MOST {
                all.push(sleep);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    fn after(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn what_is_there_needs_no_timer() {
        let timers = Timers::default();
        let there = timers.within(Instant::now(), &mut ready(7)).await;
        assert_eq!(there, Some(7));
        assert!(timers.lock().is_empty());
    }

    #[tokio::test]
    async fn timers_are_used_again_for_earlier_and_for_later_deadlines() {
        let timers = Timers::default();
        for ms in [20, 1, 0, 30, 10] {
            let deadline = after(ms);
            let waited = timers.within(deadline, &mut pending::<()>()).await;
            assert!(waited.is_none() && Instant::now() >= deadline);
            assert_eq!(timers.lock().len(), 1);
        }
        let late = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            7
        };
        let there = timers.within(after(60_000), &mut Box::pin(late)).await;
        assert_eq!(there, Some(7));
        // The one that is set for a minute from now.
        let deadline = after(1);
        let waited = timers.within(deadline, &mut pending::<()>()).await;
        assert!(waited.is_none() && Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn each_wait_has_a_timer_of_its_own() {
        let timers = Timers::default();
        let wait = async |ms| timers.within(after(ms), &mut pending::<()>()).await;
        tokio::join!(wait(10), wait(1), wait(20));
        assert_eq!(timers.lock().len(), 3);
    }
}
