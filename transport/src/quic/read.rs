//! Reads one side of a native stream: a head, and the message behind it until the end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::deadlines::Deadlines;
use super::held::{Booked, Held};
use super::wire::{Malformed, Read};
use crate::http2::message::room_behind;

/// Pieces of a message that comes in a few datagrams, as most do.
const FEW: usize = 4;
/// Pieces of other messages that are read at once.
const MANY: usize = 16;
/// Messages up to this size are not accounted for where they come at once.
const SMALL: usize = 2 << 10;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Stream(#[from] ReadError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the message has more than {0} bytes")]
    TooLarge(usize),
    #[error("it did not come in time")]
    Late,
    #[error("too much of other messages is held for this connection")]
    TooMuch,
}

/// What of a stream has been read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) stream: &'a mut RecvStream,
    /// Largest message, in bytes.
    pub(super) max_message: usize,
    /// When nobody waits for it any more.
    pub(super) deadline: Instant,
    /// Those of the connection.
    pub(super) deadlines: &'a Deadlines,
}

impl Reader<'_> {
    /// Reads until the end: the head, by `head`, which is given to `seen` as soon as it is there, as
    /// it may know an earlier deadline, and the message. The message is copied once, out of the datagrams
    /// that it came in: they are not kept for as long as it is, however few of their bytes it has. Behind
    /// a large one there is room, so that a field can be added to it in its place. What was booked for it
    /// in `held` is to be kept until it is answered.
    pub(super) async fn read<'h, T>(
        mut self,
        held: &'h Held,
        head: impl Fn(&[u8]) -> Read<T>,
        seen: impl Fn(&T) -> Option<Instant>,
    ) -> Result<(T, Bytes, Booked<'h>), Unread> {
        let mut few: [Bytes; FEW] = Default::default();
        let mut many: Vec<Bytes> = Vec::new();
        let mut bytes = Vec::new();
        let mut begun = None;
        let mut booked = Booked::nothing(held);
        loop {
            let room = match many.is_empty() {
                true => &mut few[..],
                false => &mut many[..],
            };
            let Some(count) = self.pieces(room).await? else {
                break;
            };
            let pieces = &mut room[..count];
            let mut first = 0;
            // The common case: the head is in the first piece, and need not be moved away later.
            if begun.is_none()
                && bytes.is_empty()
                && let Some((head, length)) = head(&pieces[0])?
            {
                self.hurry(seen(&head));
                begun = Some(head);
                first = length;
            }
            let more: usize = pieces.iter().map(Bytes::len).sum::<usize>() - first;
            if bytes.len() + more > self.max_message && begun.is_some() {
                return Err(Unread::TooLarge(self.max_message));
            }
            let is_small = bytes.is_empty() && more <= SMALL;
            if !is_small && !booked.more(more) {
                return Err(Unread::TooMuch);
            }
            let room = more + room_behind(bytes.len() + more);
            match bytes.is_empty() {
                true => bytes.reserve_exact(room),
                false => bytes.reserve(room),
            }
            for piece in pieces {
                bytes.extend_from_slice(&piece[first..]);
                first = 0;
                // What has been copied need not wait for what has not.
                *piece = Bytes::new();
            }
            if many.is_empty() && count == FEW {
                many.resize(MANY, Bytes::new());
            }
            if begun.is_none() {
                if let Some((head, length)) = head(&bytes)? {
                    self.hurry(seen(&head));
                    begun = Some(head);
                    bytes.drain(..length);
                }
                if bytes.len() > self.max_message {
                    return Err(Unread::TooLarge(self.max_message));
                }
            }
        }
        let head = begun.ok_or(Malformed::Short)?;
        Ok((head, Bytes::from(bytes), booked.come()))
    }

    fn hurry(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline.map_or(self.deadline, |earlier| earlier.min(self.deadline));
    }

    /// Reads what there is, or comes until the deadline.
    async fn pieces(&mut self, pieces: &mut [Bytes]) -> Result<Option<usize>, Unread> {
        let mut reading = pin!(self.stream.read_chunks(pieces));
        let mut until = self.deadlines.until(self.deadline);
        poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Ready(read) => Poll::Ready(Ok(read?)),
            Poll::Pending if until.is_over(cx) => Poll::Ready(Err(Unread::Late)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
