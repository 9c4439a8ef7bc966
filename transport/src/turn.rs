//! Whose turn it is on a connection of a client: one that keeps us waiting for a request for too long
//! is left.
//!
//! Over HTTP/1.1 it may take so long for the head of a request, and to read some of an answer. Over
//! HTTP/2, where it is asked for signs of life, what counts is that none of its requests is being
//! answered: it is told to go (GOAWAY), so that nothing that it sends meanwhile is lost.
//!
//! hyper has a timer for the first, which is made anew for each request, and looks for the next one
//! twice; this one is moved when it fires only.

mod attend;

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::attend::attend;

/// What a connection of HTTP/2 begins with.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whose turn it is, and since when.
#[derive(Debug)]
pub struct Turn {
    /// Seconds that have passed.
    clock: Arc<AtomicU32>,
    /// When the client's turn began, if it is not ours.
    since: AtomicU32,
    /// Requests that are being answered.
    ours: AtomicU32,
    is_http2: AtomicBool,
    /// How many seconds the client may take.
    patience: u32,
}

/// A request is being answered; dropped, it is, or nobody wants to know any more.
#[derive(Debug)]
pub struct Ours<'a>(&'a Turn);

impl Drop for Ours<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.it_is_theirs();
        self.0.ours.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Moves a clock of whole seconds on, as long as anybody else has it.
pub async fn tick(clock: Weak<AtomicU32>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(clock) = clock.upgrade() else { return };
        clock.fetch_add(1, Ordering::Relaxed);
    }
}

impl Turn {
    /// The client begins. `patience` is how many seconds the head of a request may take, how long an
    /// idle connection is kept, and how long a client of HTTP/1.1 may read nothing of its answer.
    /// Seconds are those of `clock`.
    pub fn new(clock: Arc<AtomicU32>, patience: u32) -> Self {
        let since = AtomicU32::new(clock.load(Ordering::Relaxed));
        Self {
            clock,
            since,
            ours: AtomicU32::new(0),
            is_http2: AtomicBool::new(false),
            patience,
        }
    }

    /// There is a request, and it is our turn until it is answered.
    #[inline]
    pub fn ours(&self) -> Ours<'_> {
        self.ours.fetch_add(1, Ordering::Relaxed);
        Ours(self)
    }

    /// The client speaks HTTP/2.
    #[inline]
    pub fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    #[inline]
    fn it_is_theirs(&self) {
        let now = self.clock.load(Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
    }

    /// The client takes something: of its answer, if it speaks HTTP/1.1, else perhaps only what
    /// answers a PING.
    #[inline]
    fn goes_on(&self) {
        if !self.is_http2() {
            self.it_is_theirs();
        }
    }

    /// How long to wait before this is asked again; `None`: it has taken too long.
    #[inline]
    pub fn left(&self) -> Option<Duration> {
        let waited = if self.ours.load(Ordering::Relaxed) > 0 {
            0
        } else {
            let since = self.since.load(Ordering::Relaxed);
            self.clock.load(Ordering::Relaxed).wrapping_sub(since)
        };
        // The second in which it began was not a whole one.
        let left = (self.patience + 1)
            .checked_sub(waited)
            .filter(|left| *left > 0)?;
        Some(Duration::from_secs(left.into()))
    }

    /// Waits until it has taken too long.
    pub async fn over(&self) {
        while let Some(left) = self.left() {
            tokio::time::sleep(left).await;
        }
    }
}

/// A connection of which is watched whether its client reads, and what it speaks.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    turn: Arc<Turn>,
    /// How much of [`HTTP2`] has come; `None` once it is something else.
    begun: Option<usize>,
}

impl<S> Watched<S> {
    /// Of which `turn` is told.
    pub fn new(stream: S, turn: Arc<Turn>) -> Self {
        let begun = Some(0);
        Self {
            stream,
            turn,
            begun,
        }
    }

    fn first_came(&mut self, mut before: usize, bytes: &[u8]) {
        for byte in bytes {
            if *byte != HTTP2[before] {
                self.begun = None;
                return;
            }
            before += 1;
            if before == HTTP2.len() {
                self.begun = None;
                self.turn.is_http2.store(true, Ordering::Relaxed);
                self.turn.it_is_theirs();
                return;
            }
        }
        self.begun = Some(before);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let filled = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if let Some(before) = this.begun {
            this.first_came(before, &buffer.filled()[filled..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.turn.goes_on();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        this.turn.goes_on();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn turn() -> (Arc<Turn>, Arc<AtomicU32>) {
        let clock = Arc::new(AtomicU32::new(7));
        (Arc::new(Turn::new(clock.clone(), 60)), clock)
    }

    fn seconds(turn: &Turn) -> Option<u64> {
        turn.left().map(|left| left.as_secs())
    }

    #[test]
    fn a_client_that_sends_no_request_is_left_after_a_while() {
        let (turn, clock) = turn();
        assert_eq!(seconds(&turn), Some(61));
        clock.fetch_add(60, Ordering::Relaxed);
        assert_eq!(seconds(&turn), Some(1));
        clock.fetch_add(1, Ordering::Relaxed);
        assert_eq!(seconds(&turn), None);
    }

    #[test]
    fn it_is_not_while_it_waits_for_us() {
        let (turn, clock) = turn();
        let ours = turn.ours();
        clock.fetch_add(1000, Ordering::Relaxed);
        assert_eq!(seconds(&turn), Some(61));
        drop(ours);
        clock.fetch_add(30, Ordering::Relaxed);
        assert_eq!(seconds(&turn), Some(31));
    }

    #[tokio::test]
    async fn it_is_not_while_it_reads_its_answer() {
        let (turn, clock) = turn();
        let (near, mut far) = duplex(8);
        let mut watched = Watched::new(near, turn.clone());
        clock.fetch_add(50, Ordering::Relaxed);
        watched.write_all(b"12345678").await.unwrap();
        assert_eq!(seconds(&turn), Some(61));
        far.read_exact(&mut [0; 8]).await.unwrap();
        // But that it sends a little of a head now and then is not enough.
        clock.fetch_add(50, Ordering::Relaxed);
        far.write_all(b"POST").await.unwrap();
        watched.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(seconds(&turn), Some(11));
    }

    #[tokio::test]
    async fn a_client_of_http_2_is_known_by_its_first_bytes() {
        for (pieces, is_http2) in [
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][..], true),
            (&["P", "RI * HTTP/2.0\r\n\r\n", "SM\r\n\r\n"], true),
            (&[], false),
            (&["P"], false),
            (&["PRI * HTTP/2.0\r\n\r\nSM"], false),
            (&["P", "OST / HTTP/1.1 PRI"], false),
            (&["PUT"], false),
        ] {
            let (turn, clock) = turn();
            let (near, mut far) = duplex(64);
            let mut watched = Watched::new(near, turn.clone());
            for piece in pieces {
                far.write_all(piece.as_bytes()).await.unwrap();
                watched.read_exact(&mut vec![0; piece.len()]).await.unwrap();
            }
            assert_eq!(turn.is_http2(), is_http2, "{pieces:?}");
            clock.fetch_add(100, Ordering::Relaxed);
            assert_eq!(seconds(&turn), None, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn over_http_2_it_is_our_turn_while_any_request_is_answered_and_what_is_written_is_no_sign()
     {
        let (turn, clock) = turn();
        let (near, mut far) = duplex(64);
        let mut watched = Watched::new(near, turn.clone());
        far.write_all(HTTP2).await.unwrap();
        watched.read_exact(&mut [0; HTTP2.len()]).await.unwrap();
        let (first, second) = (turn.ours(), turn.ours());
        clock.fetch_add(100, Ordering::Relaxed);
        drop(first);
        clock.fetch_add(100, Ordering::Relaxed);
        assert_eq!(seconds(&turn), Some(61));
        drop(second);
        clock.fetch_add(50, Ordering::Relaxed);
        watched.write_all(b"the answer to a PING").await.unwrap();
        assert_eq!(seconds(&turn), Some(11));
    }
}
