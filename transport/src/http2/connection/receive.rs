//! From bytes to frames, and what each kind of frame does.

use std::time::Instant;

use super::{Connection, Farewell};
use crate::http2::Reason;
use crate::http2::frame::{self, HEAD, Head, Kind, MAX_PAYLOAD, PREFACE, flag};
use crate::http2::settings::DEFAULT_WINDOW;
use crate::http2::stream::Role;

/// A header block of which parts have yet to come.
#[derive(Debug)]
pub(super) struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    parts: usize,
}

/// Data of a frame that has not arrived as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    stream: u32,
    data: usize,
    padding: usize,
    ends_stream: bool,
}

/// Parts of a header block, beyond those that its size calls for.
const MOST_EMPTY_PARTS: usize = 32;

/// Bytes of one stream, and of all together, that are taken without a word. On a slow network, the
/// sender takes the word for a sign of life. Half of them do where something else is written, which
/// a word of its own would take a call of the system at each end.
const UNSAID: u32 = 128 << 10;

impl Connection {
    /// Takes what has arrived by `now`. Returns how much of it was used; the rest is the beginning
    /// of a frame, at most [`MAX_PAYLOAD`] and [`HEAD`] bytes of it, and is to be offered again with
    /// what comes behind it.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = now;
        self.received = self.received.wrapping_add(bytes.len() as u64);
        let mut rest = bytes;
        while self.ended.is_none() {
            if self.preface_left > 0 {
                if rest.is_empty() {
                    break;
                }
                let expected = &PREFACE[PREFACE.len() - self.preface_left..];
                let length = expected.len().min(rest.len());
                if rest[..length] != expected[..length] {
                    self.fail(Reason::PROTOCOL_ERROR, "the preface is not that of HTTP/2");
                    break;
                }
                self.preface_left -= length;
                rest = &rest[length..];
            } else if let Some(payload) = self.payload.take() {
                rest = self.go_on(payload, rest);
                if self.payload.is_some() {
                    break;
                }
            } else {
                match self.next_frame(rest) {
                    Some(after) => rest = after,
                    None => break,
                }
            }
        }
        if self.ended.is_some() {
            return bytes.len();
        }
        bytes.len() - rest.len()
    }

    /// What comes behind the first frame of `bytes`; `None` if it has not come as a whole.
    fn next_frame<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let head = Head::parse(*head);
        if head.length > MAX_PAYLOAD {
            self.fail(Reason::FRAME_SIZE_ERROR, "a frame is too large");
            return None;
        }
        if !self.has_peer_settings && head.kind != Kind::Settings {
            self.fail(Reason::PROTOCOL_ERROR, "the first frame is not SETTINGS");
            return None;
        }
        let is_continued = self
            .block
            .as_ref()
            .is_none_or(|block| head.kind == Kind::Continuation && head.stream == block.stream);
        if !is_continued {
            self.fail(Reason::PROTOCOL_ERROR, "a header block is interrupted");
            return None;
        }
        if head.kind == Kind::Data {
            return self.data(head, rest);
        }
        let (payload, rest) = rest.split_at_checked(head.length)?;
        match head.kind {
            Kind::Headers => self.headers(head, payload),
            Kind::Continuation => self.continuation(head, payload),
            Kind::ResetStream => self.reset(head, payload),
            Kind::Settings => self.settings(head, payload),
            Kind::Ping => self.pinged(head, payload),
            Kind::GoAway => self.go_away(head, payload),
            Kind::WindowUpdate => self.window_update(head, payload),
            Kind::Priority if head.length != 5 => {
                self.fail(Reason::FRAME_SIZE_ERROR, "PRIORITY of a wrong size");
            }
            Kind::Priority if head.stream == 0 => {
                self.fail(Reason::PROTOCOL_ERROR, "PRIORITY without a stream");
            }
            Kind::PushPromise => self.fail(Reason::PROTOCOL_ERROR, "nothing may be pushed"),
            Kind::Priority | Kind::Unknown | Kind::Data => {}
        }
        Some(rest)
    }

    fn data<'a>(&mut self, head: Head, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (padding, rest) = if head.has(flag::PADDED) {
            let (padding, rest) = rest.split_first()?;
            (usize::from(*padding) + 1, rest)
        } else {
            (0, rest)
        };
        let Some(data) = head.length.checked_sub(padding) else {
            self.fail(Reason::PROTOCOL_ERROR, "more padding than payload");
            return None;
        };
        if self.is_idle(head.stream) {
            self.fail(
                Reason::PROTOCOL_ERROR,
                "DATA on a stream that was never opened",
            );
            return None;
        }
        let length = head.length as u32;
        self.receive_window -= i64::from(length);
        if self.receive_window < 0 {
            self.fail(
                Reason::FLOW_CONTROL_ERROR,
                "more data than the connection's window",
            );
            return None;
        }
        if data == 0 && !head.has(flag::END_STREAM) {
            self.count_nonsense();
        }
        let payload = Payload {
            stream: head.stream,
            data,
            padding: padding.saturating_sub(1),
            ends_stream: head.has(flag::END_STREAM),
        };
        // Nobody reads the padding: it makes room at once.
        let padded = length - data as u32;
        self.release_connection(padded);
        match self.streams.get_mut(&head.stream) {
            Some(stream) if !stream.peer_is_done => {
                stream.receive_window -= i64::from(length);
                if stream.receive_window < 0 {
                    self.reset_stream(head.stream, Reason::FLOW_CONTROL_ERROR);
                } else if padded > 0 {
                    self.release_stream(head.stream, padded);
                }
            }
            Some(_) => self.closed_too_early(head.stream),
            None => self.on_closed_stream(head.stream),
        }
        Some(self.go_on(payload, rest))
    }

    /// Takes what there is of a payload off the front of `bytes`.
    fn go_on<'a>(&mut self, mut payload: Payload, bytes: &'a [u8]) -> &'a [u8] {
        let (data, rest) = bytes.split_at(payload.data.min(bytes.len()));
        payload.data -= data.len();
        if !data.is_empty() {
            self.data_came(payload.stream, data);
        }
        let rest = if payload.data == 0 {
            let padding = payload.padding.min(rest.len());
            payload.padding -= padding;
            &rest[padding..]
        } else {
            rest
        };
        if payload.data > 0 || payload.padding > 0 {
            self.payload = Some(payload);
        } else if payload.ends_stream {
            self.stream_ended(payload.stream);
        }
        rest
    }

    fn data_came(&mut self, id: u32, data: &[u8]) {
        type Taken = fn(&mut Connection, u32, &[u8]);
        let stream = self.streams.get_mut(&id).filter(|s| !s.peer_is_done);
        let Some(stream) = stream else {
            return self.release_connection(data.len() as u32);
        };
        // Data that somebody reads as it comes makes room when it was read, any other at once.
        let (taken, is_read_later): (Taken, bool) = match &stream.role {
            Role::Request(_) => (Self::request_data, false),
            Role::Call(_) => (Self::call_data, false),
            Role::Other(_) => (Self::other_data, true),
        };
        let mut fits = true;
        if let Some(announced) = &mut stream.announced {
            match announced.checked_sub(data.len() as u64) {
                Some(left) => *announced = left,
                None => fits = false,
            }
        }
        if !fits || !is_read_later {
            self.release_connection(data.len() as u32);
        }
        if !fits {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        taken(self, id, data);
    }

    pub(super) fn stream_ended(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.peer_is_done) else {
            return;
        };
        if stream.announced.is_some_and(|left| left > 0) {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        stream.peer_is_done = true;
        match &stream.role {
            Role::Request(_) => self.request_ended(id),
            Role::Call(_) => self.call_ended(id, false),
            Role::Other(_) => self.other_ended(id),
        }
    }

    fn headers(&mut self, head: Head, payload: &[u8]) {
        if head.stream == 0 {
            return self.fail(Reason::PROTOCOL_ERROR, "HEADERS without a stream");
        }
        let Some(mut block) = frame::unpadded(head, payload) else {
            return self.fail(Reason::PROTOCOL_ERROR, "more padding than payload");
        };
        if head.has(flag::PRIORITY) {
            let Some((_, rest)) = block.split_at_checked(5) else {
                return self.fail(Reason::FRAME_SIZE_ERROR, "HEADERS of a wrong size");
            };
            block = rest;
        }
        let ends_stream = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.block_came(head.stream, ends_stream, block);
        }
        self.block = Some(Block {
            stream: head.stream,
            ends_stream,
            bytes: block.to_vec(),
            parts: 0,
        });
    }

    fn continuation(&mut self, head: Head, payload: &[u8]) {
        let Some(mut block) = self.block.take() else {
            return self.fail(Reason::PROTOCOL_ERROR, "CONTINUATION without HEADERS");
        };
        let most = self.config.max_header_bytes as usize;
        block.parts += 1;
        // Nobody needs more bytes for fields than the fields have, nor parts that are nearly empty.
        if block.bytes.len() + payload.len() > 2 * most + MAX_PAYLOAD
            || block.parts > MOST_EMPTY_PARTS + most / 1024
        {
            return self.fail(Reason::ENHANCE_YOUR_CALM, "a header block is too large");
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            self.block_came(block.stream, block.ends_stream, &block.bytes);
        } else {
            self.block = Some(block);
        }
    }

    fn block_came(&mut self, id: u32, ends_stream: bool, block: &[u8]) {
        self.fields.clear();
        if let Err(error) = self.decoder.decode(block, &mut self.fields) {
            return self.fail(Reason::COMPRESSION_ERROR, &error.to_string());
        }
        match self.streams.get(&id) {
            None if self.config.is_server => self.request_head(id, ends_stream),
            None if self.is_idle(id) => {
                self.fail(
                    Reason::PROTOCOL_ERROR,
                    "HEADERS on a stream that was never opened",
                );
            }
            None => self.on_closed_stream(id),
            Some(stream) if stream.peer_is_done => self.closed_too_early(id),
            Some(stream) => match &stream.role {
                Role::Call(_) => self.call_head(id, ends_stream),
                Role::Request(_) | Role::Other(_) => {
                    let is_wrong = self.fields.is_malformed() || self.fields.has_pseudo();
                    if !ends_stream || is_wrong {
                        return self.reset_stream(id, Reason::PROTOCOL_ERROR);
                    }
                    self.other_trailers(id);
                    self.stream_ended(id);
                }
            },
        }
    }

    fn reset(&mut self, head: Head, payload: &[u8]) {
        let (Some(word), 4) = (frame::word(payload), payload.len()) else {
            return self.fail(Reason::FRAME_SIZE_ERROR, "RST_STREAM of a wrong size");
        };
        if self.is_idle(head.stream) {
            return self.fail(Reason::PROTOCOL_ERROR, "RST_STREAM of no stream");
        }
        let reason = Reason(word);
        let Some(stream) = self.streams.get(&head.stream) else {
            return;
        };
        match &stream.role {
            Role::Request(_) => self.request_reset(head.stream),
            Role::Call(_) => self.call_reset(head.stream, reason),
            Role::Other(_) => self.other_reset(head.stream, reason),
        }
    }

    /// Whether nobody has opened this stream yet.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        let is_of_client = id % 2 == 1;
        if !is_of_client {
            // Servers open none.
            return true;
        }
        if self.config.is_server {
            id > self.last_of_peer
        } else {
            id >= self.next_own
        }
    }

    /// A frame behind the last one of the peer on a stream.
    fn closed_too_early(&mut self, id: u32) {
        // A call may be over here before its answer is.
        if self.config.is_server {
            self.reset_stream(id, Reason::STREAM_CLOSED);
        }
    }

    /// A frame on a stream that is over: no mistake if we ended it when the frame was on its way. Any
    /// number of streams may end at a time, as when a deadline passes, so that only the last one is
    /// remembered; frames on those before it cost no more than others that are not counted.
    pub(super) fn on_closed_stream(&mut self, id: u32) {
        let is_after_all = matches!(self.farewell, Farewell::Said(last) if id > last);
        // A server may answer what we have given up.
        if is_after_all || !self.config.is_server || id <= self.last_ended {
            return;
        }
        self.count_nonsense();
        self.put_reset(id, Reason::STREAM_CLOSED);
    }

    /// The window that a new stream of the peer has. Until our settings have been confirmed, it may
    /// be the one that the protocol begins with.
    pub(super) fn fresh_window(&self) -> u32 {
        if self.has_settings_ack {
            self.config.stream_window
        } else {
            self.config.stream_window.max(DEFAULT_WINDOW)
        }
    }

    /// The peer may send so many bytes more.
    pub(super) fn release_connection(&mut self, count: u32) {
        self.unreleased += count;
        if self.unreleased >= self.most_unsaid() {
            self.put_release();
        }
    }

    /// Tells the peer so along with what is to be written anyway.
    pub(crate) fn release_along(&mut self) {
        if !self.output.is_empty() && self.unreleased >= self.most_unsaid() / 2 {
            self.put_release();
        }
    }

    fn most_unsaid(&self) -> u32 {
        let window = self.config.connection_window.max(DEFAULT_WINDOW);
        (window / 2).min(UNSAID)
    }

    fn put_release(&mut self) {
        let more = std::mem::take(&mut self.unreleased);
        self.receive_window += i64::from(more);
        self.put_word(Kind::WindowUpdate, 0, more);
    }

    /// The peer may send so many bytes more on this stream, if it is going to send any.
    pub(super) fn release_stream(&mut self, id: u32, count: u32) {
        let window = self.config.stream_window;
        let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.peer_is_done) else {
            return;
        };
        stream.unreleased += count;
        if stream.unreleased >= (window / 2).clamp(1, UNSAID) {
            let more = std::mem::take(&mut stream.unreleased);
            stream.receive_window += i64::from(more);
            self.put_word(Kind::WindowUpdate, id, more);
        }
    }
}
