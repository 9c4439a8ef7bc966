//! A byte stream on which what is written in two steps right after each other leaves in one.
//!
//! An HTTP/2 client of tonic writes the head of a request, and its message when another task has had its
//! turn. Left to itself, each is a packet of its own: the server is woken twice, and reads twice.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are kept at the most, before and after which they are written without delay.
const MOST_KEPT: usize = 16 << 10;

/// Keeps what is written until it is flushed for the second time: in between, all tasks that are ready
/// have their turn.
#[derive(Debug)]
pub(crate) struct Gathered<S> {
    stream: S,
    kept: Vec<u8>,
    /// Bytes of `kept` that the stream has taken.
    taken: usize,
    /// Whether a flush was put off.
    has_waited: bool,
}

impl<S> Gathered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            kept: Vec::new(),
            taken: 0,
            has_waited: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.kept.len() {
            let rest = &self.kept[self.taken..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.taken += count,
            }
        }
        self.kept.clear();
        self.kept.shrink_to(MOST_KEPT);
        (self.taken, self.has_waited) = (0, false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.kept.len() + length > MOST_KEPT {
            ready!(this.poll_empty(cx))?;
        }
        if length > MOST_KEPT {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        }
        slices
            .iter()
            .for_each(|slice| this.kept.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.kept.is_empty() && !this.has_waited {
            this.has_waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_empty(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, room)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_fn;
    use futures_util::{FutureExt as _, poll};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Takes so many bytes at a time, and remembers what it was given.
    #[derive(Debug)]
    struct Piecemeal(usize, Vec<Vec<u8>>);

    impl AsyncWrite for Piecemeal {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.1.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_written_until_others_have_had_their_turn_leaves_in_one() {
        let mut stream = Gathered::new(Piecemeal(usize::MAX, Vec::new()));
        stream.write_all(b"head").await.expect("it is kept");
        assert!(poll!(poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx))).is_pending());
        assert!(stream.stream.1.is_empty());
        stream.write_all(b"message").await.expect("it is kept");
        stream.flush().await.expect("it is written");
        stream.write_all(b"more").await.expect("it is kept");
        stream.flush().await.expect("a flush is put off once");
        assert_eq!(stream.stream.1, [&b"headmessage"[..], b"more"]);
    }

    #[tokio::test]
    async fn nothing_is_lost_or_out_of_order_whatever_the_sizes() {
        let mut stream = Gathered::new(Piecemeal(1000, Vec::new()));
        let mut written = Vec::new();
        for (number, size) in [1, MOST_KEPT - 1, 1, MOST_KEPT, 3 * MOST_KEPT, 7]
            .into_iter()
            .enumerate()
        {
            let bytes = vec![number as u8; size];
            stream.write_all(&bytes).await.expect("it is written");
            written.extend_from_slice(&bytes);
            assert!(stream.kept.len() <= MOST_KEPT);
        }
        stream.shutdown().await.expect("the rest is written");
        assert_eq!(stream.stream.1.concat(), written);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_holds_the_writer_up() {
        let (near, mut far) = duplex(10);
        let mut stream = Gathered::new(near);
        let writing = async {
            stream.write_all(&[7; MOST_KEPT]).await?;
            stream.write_all(&[8; 1]).await?;
            stream.shutdown().await
        };
        let mut writing = Box::pin(writing);
        assert!(writing.as_mut().now_or_never().is_none());
        let mut read = [0; MOST_KEPT + 1];
        let (written, read_all) = tokio::join!(writing, far.read_exact(&mut read));
        written.expect("it is written");
        read_all.expect("it is read");
        assert_eq!((read[MOST_KEPT - 1], read[MOST_KEPT]), (7, 8));
    }
}
