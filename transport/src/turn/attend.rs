//! A connection from its beginning to its end, which may be that its client is silent or that we drain.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Turn;

/// Drives `connection` until it ends. Once `drain` is cancelled it is told to `finish`: to take no more
/// requests and to end with the answers that are under way; so is one of HTTP/2 whose client has been
/// silent for too long. `None`: one of HTTP/1.1 is for that, and is to be dropped.
pub async fn attend<C: Future>(
    connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    turn: &Turn,
    drain: &CancellationToken,
) -> Option<C::Output> {
    let mut connection = connection;
    let mut drained = pin!(drain.cancelled());
    let mut patience = pin!(tokio::time::sleep(Duration::ZERO));
    let (mut is_watched, mut is_draining) = (false, false);
    let finished = |mut connection: Pin<&mut C>, cx: &mut Context<'_>| {
        finish(connection.as_mut());
        connection.poll(cx)
    };
    poll_fn(|cx| {
        if let Poll::Ready(served) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(served));
        }
        // Once it has been told whom to wake, which stays the same, neither of the two need be
        // asked at each step of the connection.
        let is_first = !std::mem::replace(&mut is_watched, true);
        if !is_draining && (is_first || drain.is_cancelled()) {
            is_draining = drained.as_mut().poll(cx).is_ready();
            if is_draining && let Poll::Ready(served) = finished(connection.as_mut(), cx) {
                return Poll::Ready(Some(served));
            }
        }
        while is_first || patience.is_elapsed() {
            let left = match turn.left() {
                Some(left) => left,
                None if turn.is_http2() => {
                    if let Poll::Ready(served) = finished(connection.as_mut(), cx) {
                        return Poll::Ready(Some(served));
                    }
                    // What it still reads is for the PINGs to judge.
                    Duration::from_secs(turn.patience.max(1).into())
                }
                None => return Poll::Ready(None),
            };
            patience.as_mut().reset(tokio::time::Instant::now() + left);
            if patience.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::poll_immediate;

    use super::*;

    /// Ends when it is told to.
    #[derive(Default)]
    struct Connection {
        is_told: bool,
    }

    impl Future for Connection {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.is_told {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    async fn end(turn: &Turn, drain: &CancellationToken) -> Option<()> {
        let mut connection = pin!(Connection::default());
        attend(connection.as_mut(), |mut c| c.is_told = true, turn, drain).await
    }

    #[tokio::test]
    async fn whoever_is_silent_is_cut_off_over_http_1_and_told_to_go_over_http_2() {
        for is_http2 in [false, true] {
            let clock = Arc::<AtomicU32>::default();
            let turn = Turn::new(clock.clone(), 0);
            turn.is_http2.store(is_http2, Ordering::Relaxed);
            let drain = CancellationToken::new();
            let ours = turn.ours();
            clock.fetch_add(100, Ordering::Relaxed);
            let mut attended = pin!(end(&turn, &drain));
            let early = poll_immediate(attended.as_mut()).await;
            assert_eq!(early, None, "a request is being answered");
            drop(ours);
            clock.fetch_add(100, Ordering::Relaxed);
            assert_eq!(attended.await.is_some(), is_http2);
        }
    }

    #[tokio::test]
    async fn a_drain_is_told() {
        let turn = Turn::new(Arc::default(), 60);
        let drain = CancellationToken::new();
        drain.cancel();
        assert_eq!(end(&turn, &drain).await, Some(()));
    }
}
