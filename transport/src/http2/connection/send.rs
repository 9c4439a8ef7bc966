//! Header blocks and data on their way out, as windows allow.

use bytes::Bytes;
use http::HeaderMap;

use super::Connection;
use crate::Metadata;
use crate::http2::Reason;
use crate::http2::frame::{self, HEAD, Kind, flag};
use crate::http2::hpack::{Encoder, Template};
use crate::http2::message::{self, PREFIX};
use crate::http2::output::Output;
use crate::http2::stream::{End, Outgoing, Request, Role, Stream};

/// Data up to this size is copied behind the head of its frame; more leaves as it is.
const COPY_LIMIT: usize = 8 << 10;
/// Bytes that are queued before streams have to wait: enough for one call of the system.
const ENOUGH: usize = 256 << 10;
/// The largest frame that is made even if the peer takes larger ones: others want to send, too.
const LARGEST_FRAME: usize = 64 << 10;

/// How a header block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    More,
    EndOfStream,
}

/// Puts the fields that `encode` writes.
pub(super) fn put_headers(
    output: &mut Output,
    largest: usize,
    id: u32,
    then: Then,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let end_stream = match then {
        Then::More => 0,
        Then::EndOfStream => flag::END_STREAM,
    };
    output.append(|out| {
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD]);
        encode(out);
        let length = out.len() - begin - HEAD;
        if length <= largest {
            let head = frame::head(Kind::Headers, flag::END_HEADERS | end_stream, id, length);
            out[begin..begin + HEAD].copy_from_slice(&head);
            return;
        }
        let block = out.split_off(begin + HEAD);
        out.truncate(begin);
        let mut parts = block.chunks(largest).peekable();
        let (mut kind, mut flags) = (Kind::Headers, end_stream);
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            out.extend_from_slice(&frame::head(kind, flags, id, part.len()));
            out.extend_from_slice(part);
            (kind, flags) = (Kind::Continuation, 0);
        }
    });
}

/// Adds metadata to a block.
pub(super) fn put_metadata(encoder: &Encoder, out: &mut Vec<u8>, metadata: &Metadata) {
    for (name, value) in metadata.iter() {
        encoder.literal(out, name.as_bytes(), value);
    }
}

impl Connection {
    /// Puts a head or trailers: those of a template and `more`.
    pub(super) fn put_block(
        &mut self,
        id: u32,
        then: Then,
        template: impl FnOnce(&mut super::Templates) -> &mut Template,
        more: &Metadata,
    ) {
        let Self {
            output,
            encoder,
            templates,
            ..
        } = self;
        let template = template(templates);
        put_headers(output, self.peer.max_payload, id, then, |out| {
            encoder.begin(out, template, b"");
            put_metadata(encoder, out, more);
        });
    }

    /// Puts a head of any kind.
    pub(super) fn put_head(&mut self, id: u32, then: Then, status: u16, fields: &HeaderMap) {
        let Self {
            output,
            encoder,
            templates,
            ..
        } = self;
        put_headers(output, self.peer.max_payload, id, then, |out| {
            encoder.begin(out, &mut templates.other, b"");
            encoder.literal(out, b":status", status.to_string().as_bytes());
            for (name, value) in fields {
                encoder.literal(out, name.as_str().as_bytes(), value.as_bytes());
            }
        });
    }

    /// Sends `message` as one gRPC message. What does not fit into the windows waits.
    pub(super) fn send_message(&mut self, id: u32, message: &[Bytes], end: End) {
        let length = message.iter().map(Bytes::len).sum();
        let prefix = message::prefix(length);
        let length = PREFIX + length;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let room = stream.send_window.min(self.send_window);
        if length <= COPY_LIMIT && length as i64 <= room && self.output.len() < ENOUGH {
            stream.send_window -= length as i64;
            self.send_window -= length as i64;
            let flags = match end {
                End::Stream => flag::END_STREAM,
                _ => 0,
            };
            let head = frame::head(Kind::Data, flags, id, length);
            self.output.append(|out| {
                out.reserve(HEAD + length);
                out.extend_from_slice(&head);
                out.extend_from_slice(&prefix);
                message
                    .iter()
                    .for_each(|piece| out.extend_from_slice(piece));
            });
            return self.put_end(id, end);
        }
        let pieces =
            std::iter::once(Bytes::copy_from_slice(&prefix)).chain(message.iter().cloned());
        self.send_pieces(id, pieces, end);
    }

    /// Sends data behind what is being sent already.
    pub(super) fn send_pieces(
        &mut self,
        id: u32,
        pieces: impl IntoIterator<Item = Bytes>,
        end: End,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let outgoing = stream.outgoing.get_or_insert_default();
        for piece in pieces {
            outgoing.bytes += piece.len();
            outgoing.pieces.push_back(piece);
        }
        outgoing.end = end;
        if let Some(deadline) = stream.watched_deadline() {
            self.watch_deadline(deadline);
        }
        self.line_up(id);
        self.pump();
    }

    fn line_up(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.is_in_line
        {
            stream.is_in_line = true;
            self.line.push_back(id);
        }
    }

    /// Queues data of the streams in line, one frame each at a time.
    pub(super) fn pump(&mut self) {
        while self.output.len() < ENOUGH
            && let Some(id) = self.line.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.is_in_line = false;
            let Some(mut outgoing) = stream.outgoing.take() else {
                continue;
            };
            if outgoing.bytes > 0 && self.send_window <= 0 {
                stream.outgoing = Some(outgoing);
                stream.is_in_line = true;
                self.line.push_front(id);
                return;
            }
            let room = stream.send_window.min(self.send_window);
            let room = usize::try_from(room).unwrap_or(0);
            let largest = self.peer.max_payload.min(LARGEST_FRAME);
            let length = outgoing.bytes.min(room).min(largest);
            let ends_here = length == outgoing.bytes;
            let ends_stream = ends_here && matches!(outgoing.end, End::Stream);
            if length > 0 || ends_stream {
                stream.send_window -= length as i64;
                self.send_window -= length as i64;
                self.bulk.queued += length as u64;
                let flags = if ends_stream { flag::END_STREAM } else { 0 };
                self.output
                    .extend(&frame::head(Kind::Data, flags, id, length));
                outgoing.take(length, &mut self.output);
            }
            if let Role::Other(other) = &mut stream.role {
                self.woken.extend(other.writer.take());
            }
            if ends_here {
                self.put_end(id, std::mem::take(&mut outgoing.end));
                continue;
            }
            stream.outgoing = Some(outgoing);
            // With its window used up, it lines up again when there is more.
            if stream.send_window > 0 {
                stream.is_in_line = true;
                self.line.push_back(id);
            }
        }
    }

    /// Puts what comes behind the data.
    fn put_end(&mut self, id: u32, end: End) {
        match end {
            End::Open => return,
            End::Stream => {}
            End::Ok(trailers) => {
                self.put_block(id, Then::EndOfStream, |all| &mut all.ok, &trailers);
            }
            End::Trailers(trailers) => {
                self.put_block(id, Then::EndOfStream, |all| &mut all.other, &trailers);
            }
        }
        self.we_are_done(id);
    }

    /// Our last frame has been queued.
    pub(super) fn we_are_done(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.we_are_done = true;
        stream.bulk = self.bulk.queued;
        if let Role::Request(_) = stream.role {
            let peer_is_done = stream.peer_is_done;
            self.close(id, peer_is_done);
        }
    }

    /// Forgets a stream that we have said all on. A peer that is not done is told to save itself
    /// the trouble.
    pub(super) fn close(&mut self, id: u32, peer_is_done: bool) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        self.not_held(&stream);
        if !peer_is_done {
            self.ended_early(id);
            self.put_reset(id, Reason::NO_ERROR);
        }
        self.answers.end = self.output.end();
        if self.config.is_server && !self.output.is_empty() {
            self.unflushed.push_back(self.output.end());
        }
    }

    /// Gives a stream up, and tells all whom it concerns.
    pub(super) fn reset_stream(&mut self, id: u32, reason: Reason) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if let Role::Call(_) = stream.role {
            let failure = super::Failure::Invalid(reason.to_string());
            return self.give_up_call(id, reason, failure);
        }
        self.ended_early(id);
        self.put_reset(id, reason);
        self.drop_stream(id);
    }

    /// Forgets a stream of the peer, and tells those who work on it.
    pub(super) fn drop_stream(&mut self, id: u32) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        self.not_held(&stream);
        match stream.role {
            Role::Request(Request::Served(number)) => self.gone(number),
            Role::Other(other) => {
                let wakers = [other.reader, other.writer, other.watcher];
                self.woken.extend(wakers.into_iter().flatten());
            }
            Role::Request(_) | Role::Call(_) => {}
        }
    }

    /// What has come on a stream is not kept.
    fn not_held(&mut self, stream: &Stream) {
        self.unanswered -= stream.unanswered;
        match &stream.role {
            Role::Request(Request::Arriving { message, .. }) => {
                self.arriving = self.arriving.saturating_sub(message.held());
            }
            Role::Other(other) => {
                let unread: usize = other.chunks.iter().map(Bytes::len).sum();
                self.release_connection(unread as u32);
            }
            Role::Request(_) | Role::Call(_) => {}
        }
    }

    pub(super) fn put_reset(&mut self, id: u32, reason: Reason) {
        self.put_word(Kind::ResetStream, id, reason.0);
        self.count_answer();
    }

    pub(super) fn expire_stream(&mut self, id: u32) {
        match self.streams.get(&id).map(|stream| &stream.role) {
            Some(Role::Request(Request::Arriving { .. })) => {
                let text = "the message did not arrive within the deadline";
                self.fail_request(id, &tonic::Status::deadline_exceeded(text));
            }
            Some(Role::Call(_)) => {
                self.give_up_call(id, Reason::CANCEL, super::Failure::Deadline);
            }
            Some(_) => self.reset_stream(id, Reason::CANCEL),
            None => {}
        }
    }
}

impl Outgoing {
    /// Moves the first `length` bytes to the output.
    fn take(&mut self, mut length: usize, output: &mut Output) {
        self.bytes -= length;
        while length > 0
            && let Some(piece) = self.pieces.front_mut()
        {
            let part = piece.split_to(length.min(piece.len()));
            length -= part.len();
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            if part.len() <= COPY_LIMIT {
                output.extend(&part);
            } else {
                output.push(part);
            }
        }
    }
}
