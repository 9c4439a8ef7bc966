//! The timer of a connection, which is put off with each packet and hardly ever fires.
//!
//! To put one of tokio's off takes it out of a wheel and puts it in again, and wakes the core where no other
//! is due earlier. This one stays where it is, and looks when it fires how long it has been put off.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use quinn::AsyncTimer;
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// A timer.
#[derive(Debug)]
pub(super) struct Timer {
    due: Instant,
    /// Never later than that.
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Timer {
    /// A timer that is due at that time.
    pub(super) fn new(due: Instant) -> Self {
        Self {
            due,
            sleep: Box::pin(sleep_until(due.into())),
            waker: None,
        }
    }

    fn sleep_until(&mut self, due: Instant) {
        self.sleep.as_mut().reset(due.into());
        self.waker = None;
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline().into_std() {
            self.sleep_until(due);
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let is_known = |waker: &Waker| waker.will_wake(cx.waker());
            if self.waker.as_ref().is_some_and(is_known) && !self.sleep.is_elapsed() {
                return Poll::Pending;
            }
            self.waker = Some(cx.waker().clone());
            // One that was cut short, so that others get their turn, would not know whom to wake.
            ready!(pin!(unconstrained(self.sleep.as_mut())).poll(cx));
            let due = self.due;
            if self.sleep.deadline().into_std() >= due {
                return Poll::Ready(());
            }
            self.sleep_until(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    fn after(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    async fn fires(timer: &mut Timer) {
        poll_fn(|cx| Pin::new(&mut *timer).poll(cx)).await;
        assert!(Instant::now() >= timer.due, "too early");
    }

    #[tokio::test]
    async fn it_fires_when_it_is_due_whenever_it_was_before() {
        let mut timer = Timer::new(after(1));
        fires(&mut timer).await;
        for (before, due) in [(1, 30), (3_600_000, 1), (5, 5)] {
            let mut timer = Timer::new(after(before));
            assert!(futures_util::poll!(poll_fn(|cx| Pin::new(&mut timer).poll(cx))).is_pending());
            Pin::new(&mut timer).reset(after(due));
            fires(&mut timer).await;
            Pin::new(&mut timer).reset(after(10));
            fires(&mut timer).await;
        }
    }

    #[tokio::test]
    async fn who_asked_last_is_woken() {
        let mut timer = Timer::new(after(20));
        let mut other = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut timer).poll(&mut other).is_pending());
        fires(&mut timer).await;
    }

    #[tokio::test]
    async fn one_that_is_put_off_again_and_again_stays_where_it_is() {
        let mut timer = Timer::new(after(3_600_000));
        let before = timer.sleep.deadline();
        for more in 1..10 {
            assert!(futures_util::poll!(poll_fn(|cx| Pin::new(&mut timer).poll(cx))).is_pending());
            Pin::new(&mut timer).reset(after(3_600_000 + more));
        }
        assert_eq!(timer.sleep.deadline(), before);
    }
}
