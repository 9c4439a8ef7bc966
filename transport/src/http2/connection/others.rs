//! Streams of other methods: their data is handed over as it comes, and leaves as it is given.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use super::Connection;
use super::send::Then;
use crate::Metadata;
use crate::http2::Reason;
use crate::http2::head::{header_map, request};
use crate::http2::stream::{End, Other, Role, Stream};

use super::requests::Event;

/// The stream is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream has ended")]
pub(crate) struct Gone;

impl Connection {
    /// The next data of a stream; `None` at its end.
    pub(crate) fn poll_data(
        &mut self,
        id: u32,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Bytes, Gone>>> {
        let is_lost = self.ended.is_some();
        let Some((other, peer_is_done)) = self.other(id) else {
            return Poll::Ready(Some(Err(Gone)));
        };
        if let Some(chunk) = other.chunks.pop_front() {
            let length = chunk.len() as u32;
            self.release_connection(length);
            self.release_stream(id, length);
            self.wake_driver();
            return Poll::Ready(Some(Ok(chunk)));
        }
        if peer_is_done {
            return Poll::Ready(None);
        }
        if is_lost {
            return Poll::Ready(Some(Err(Gone)));
        }
        other.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The trailers behind all data.
    pub(crate) fn take_trailers(&mut self, id: u32) -> Option<HeaderMap> {
        self.other(id)?.0.trailers.take()
    }

    /// Ready when nothing is left of what was sent before, or the stream is over.
    pub(crate) fn poll_sent(&mut self, id: u32, cx: &Context<'_>) -> Poll<Result<(), Gone>> {
        let is_lost = self.ended.is_some();
        let is_sending = self.streams.get(&id).is_some_and(|s| s.outgoing.is_some());
        match self.other(id) {
            Some((other, _)) if is_sending && !is_lost => {
                other.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) if !is_lost => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Gone)),
        }
    }

    /// Ready when the peer has given the stream up.
    pub(crate) fn poll_gone(&mut self, id: u32, cx: &Context<'_>) -> Poll<()> {
        let is_lost = self.ended.is_some();
        match self.other(id) {
            Some((other, _)) if !is_lost => {
                other.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Begins an answer.
    pub(crate) fn respond(&mut self, id: u32, status: u16, fields: &HeaderMap, is_all: bool) {
        if self.other(id).is_none() {
            return;
        }
        let then = if is_all {
            Then::EndOfStream
        } else {
            Then::More
        };
        self.put_head(id, then, status, fields);
        if is_all {
            self.we_are_done(id);
        }
        self.wake_driver();
    }

    /// Sends data behind what was sent before.
    pub(crate) fn send_data(&mut self, id: u32, data: Bytes) {
        if self.other(id).is_some() {
            self.send_pieces(id, [data], End::Open);
            self.wake_driver();
        }
    }

    /// Ends an answer, with trailers if there are any.
    pub(crate) fn send_end(&mut self, id: u32, trailers: Option<&HeaderMap>) {
        if self.other(id).is_some() {
            let end = trailers.map_or(End::Stream, |fields| End::Trailers(Metadata::from(fields)));
            self.send_pieces(id, [], end);
            self.wake_driver();
        }
    }

    /// Nobody works on the stream any more. If it has not been answered, the peer is told `reason`.
    pub(crate) fn release(&mut self, id: u32, reason: Reason) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let (we_are_done, peer_is_done) = (stream.we_are_done, stream.peer_is_done);
        if we_are_done {
            self.close(id, peer_is_done);
        } else {
            self.reset_stream(id, reason);
        }
        self.wake_driver();
    }

    pub(super) fn other_head(&mut self, id: u32) -> Option<Role> {
        let request = request(&self.fields)?;
        self.events.push(Event::Other(id, Box::new(request)));
        Some(Role::Other(Box::default()))
    }

    pub(super) fn other_data(&mut self, id: u32, data: &[u8]) {
        if let Some((other, _)) = self.other(id) {
            other.chunks.push_back(Bytes::copy_from_slice(data));
            let reader = other.reader.take();
            self.woken.extend(reader);
        }
    }

    pub(super) fn other_trailers(&mut self, id: u32) {
        let trailers = header_map(&self.fields);
        if let Some((other, _)) = self.other(id) {
            other.trailers = Some(trailers);
        }
    }

    pub(super) fn other_ended(&mut self, id: u32) {
        if let Some((other, _)) = self.other(id) {
            let reader = other.reader.take();
            self.woken.extend(reader);
        }
    }

    pub(super) fn other_reset(&mut self, id: u32, _: Reason) {
        self.drop_stream(id);
        self.count_reset();
    }

    /// The connection is lost: whoever works on a stream is told.
    pub(super) fn end_others(&mut self) {
        let mut numbers = Vec::new();
        for stream in self.streams.values_mut() {
            match &mut stream.role {
                Role::Other(other) => {
                    let wakers = [
                        other.reader.take(),
                        other.writer.take(),
                        other.watcher.take(),
                    ];
                    self.woken.extend(wakers.into_iter().flatten());
                }
                Role::Request(crate::http2::stream::Request::Served(number)) => {
                    numbers.push(*number);
                }
                _ => {}
            }
        }
        for number in numbers {
            self.gone(number);
        }
    }

    fn other(&mut self, id: u32) -> Option<(&mut Other, bool)> {
        match self.streams.get_mut(&id)? {
            Stream {
                role: Role::Other(other),
                peer_is_done,
                ..
            } => Some((other, *peer_is_done)),
            _ => None,
        }
    }
}
