//! Lambda requests of ours, and the peer's answers.

use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use tonic::Status;

use super::Connection;
use super::send::{Then, put_headers, put_metadata};
use crate::http2::Reason;
use crate::http2::head::{NO_STATUS, announced, grpc_status, metadata, other_content, status_code};
use crate::http2::hpack::Name;
use crate::http2::stream::{Call, End, Role, Stream};
use crate::{LambdaReply, Metadata, timeout};

/// Streams from this one on are left to a fresh connection.
const LAST_STREAM: u32 = (1 << 31) - 1;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The peer has not looked at the request.
    NotTaken(String),
    /// The connection or the stream broke.
    Lost(String),
    /// It was not answered in time.
    Deadline,
    /// The answer is a status.
    Status(Box<Status>),
    /// The answer is none.
    Invalid(String),
}

impl Failure {
    /// What an HTTP status other than 200 says. That there are too many header fields is about the request, like
    /// the gRPC status that stands for it, and nothing against the peer.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        let text = format!("HTTP status {status}");
        match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                Self::Status(Box::new(Status::resource_exhausted(text)))
            }
            _ => Self::Invalid(text),
        }
    }
}

/// No request can be sent on this connection any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Connection {
    /// Sends a request, or lets it wait until the peer has a place for it. Its answer is there for
    /// [`Self::poll_answer`]; who does not want it any more has to [`Self::forget`] it.
    ///
    /// # Errors
    /// If the peer takes no more requests on this connection.
    pub(crate) fn ask(
        &mut self,
        message: &[Bytes],
        metadata: &Metadata,
        now: Instant,
        deadline: Instant,
    ) -> Result<u32, Refused> {
        let is_used_up = self.next_own > LAST_STREAM - 2;
        if self.ended.is_some() || self.peer_leaves.is_some() || is_used_up {
            return Err(Refused);
        }
        let id = self.next_own;
        self.next_own += 2;
        let mut call = Call::default();
        let has_place = self.open < self.peer.max_streams && self.waiting.is_empty();
        if !has_place {
            call.waiting = Some(Box::new((message.to_vec(), metadata.clone())));
        }
        let window = self.fresh_window();
        let mut stream = Stream::new(Role::Call(call), self.peer.initial_window, window);
        stream.deadline = Some(deadline);
        self.watch_deadline(deadline);
        self.streams.insert(id, stream);
        if has_place {
            self.send_request(id, message, metadata, now, deadline);
        } else {
            self.waiting.push_back(id);
        }
        self.wake_driver();
        Ok(id)
    }

    /// The answer to the request with this number, once it is there. It can be had once.
    pub(crate) fn poll_answer(
        &mut self,
        id: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<LambdaReply, Failure>> {
        let Some(Stream {
            role: Role::Call(call),
            ..
        }) = self.streams.get_mut(&id)
        else {
            return Poll::Ready(Err(Failure::Lost("the answer is gone".to_owned())));
        };
        if let Some(outcome) = call.outcome.take() {
            self.streams.remove(&id);
            return Poll::Ready(outcome);
        }
        match &mut call.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => call.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&mut self, id: u32) {
        let dropped = Failure::Lost("given up".to_owned());
        self.give_up_call(id, Reason::CANCEL, dropped);
        self.streams.remove(&id);
        self.wake_driver();
    }

    /// Calls that have been sent and not been answered, or wait for their turn.
    pub(crate) fn calls(&self) -> usize {
        self.streams.len()
    }

    /// Answers so far, wrapping.
    pub(crate) fn answered(&self) -> u32 {
        self.answered
    }

    /// Whether the peer is of our own make.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }

    fn send_request(
        &mut self,
        id: u32,
        message: &[Bytes],
        metadata: &Metadata,
        now: Instant,
        deadline: Instant,
    ) {
        self.open += 1;
        let left = timeout::Text::of(deadline.saturating_duration_since(now));
        let Self {
            output,
            encoder,
            templates,
            ..
        } = self;
        put_headers(output, self.peer.max_payload, id, Then::More, |out| {
            encoder.begin(out, &mut templates.request, left.as_bytes());
            put_metadata(encoder, out, metadata);
        });
        self.send_message(id, message, End::Stream);
    }

    /// Sends what has been waiting for a place at the peer.
    pub(super) fn open_waiting(&mut self) {
        while self.open < self.peer.max_streams
            && let Some(id) = self.waiting.pop_front()
        {
            let Some(Stream {
                role: Role::Call(call),
                deadline,
                ..
            }) = self.streams.get_mut(&id)
            else {
                continue;
            };
            let deadline = deadline.unwrap_or(self.now);
            if let Some(waiting) = call.waiting.take() {
                let (message, metadata) = *waiting;
                self.send_request(id, &message, &metadata, self.now, deadline);
            }
        }
    }

    /// Gives a call up that is not over, and tells the peer if it has seen the request.
    pub(super) fn give_up_call(&mut self, id: u32, reason: Reason, failure: Failure) {
        let Some(Stream {
            role: Role::Call(call),
            ..
        }) = self.streams.get(&id)
        else {
            return;
        };
        if call.outcome.is_some() {
            return;
        }
        if call.waiting.is_none() {
            self.put_reset(id, reason);
        }
        self.finish(id, Err(failure));
    }

    /// A call is over.
    fn finish(&mut self, id: u32, outcome: Result<LambdaReply, Failure>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Role::Call(call) = &mut stream.role else {
            return;
        };
        if call.outcome.is_some() {
            return;
        }
        if call.waiting.take().is_none() {
            self.open -= 1;
        }
        call.outcome = Some(outcome);
        self.woken.extend(call.waker.take());
        stream.deadline = None;
        stream.outgoing = None;
        stream.peer_is_done = true;
        stream.we_are_done = true;
        if !self.waiting.is_empty() {
            self.open_waiting();
        }
    }

    pub(super) fn call_head(&mut self, id: u32, ends_stream: bool) {
        if self.fields.is_too_large() {
            let text = format!(
                "header fields of more than {} bytes",
                self.config.max_header_bytes
            );
            return self.give_up_call(id, Reason::CANCEL, Failure::Invalid(text));
        }
        let Some(Stream {
            role: Role::Call(call),
            announced: left,
            ..
        }) = self.streams.get_mut(&id)
        else {
            return;
        };
        let is_trailers = call.has_head;
        let status = self.fields.get(Name::Status).and_then(status_code);
        if self.fields.is_malformed()
            || is_trailers && (self.fields.has_pseudo() || !ends_stream)
            || !is_trailers && status.is_none()
        {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        if let Some(status) = status {
            if status.is_informational() {
                if ends_stream {
                    self.reset_stream(id, Reason::PROTOCOL_ERROR);
                }
                return;
            }
            call.has_head = true;
            match announced(&self.fields) {
                Ok(announced) => *left = announced.filter(|_| !ends_stream),
                Err(()) => return self.reset_stream(id, Reason::PROTOCOL_ERROR),
            }
            self.answered = self.answered.wrapping_add(1);
            self.is_ours = self.is_ours
                || self.fields.get(Name::Server) == Some(crate::client::OURS.as_bytes());
            if status != StatusCode::OK {
                return self.end_early(id, ends_stream, Failure::of_http(status));
            }
            if !self.is_ours
                && let Some(text) = other_content(&self.fields)
            {
                return self.end_early(id, ends_stream, Failure::Invalid(text));
            }
        }
        if let Some(status) = grpc_status(&self.fields) {
            return self.end_early(id, ends_stream, Failure::Status(Box::new(status)));
        }
        if ends_stream {
            self.call_ended(id, true);
        }
    }

    fn end_early(&mut self, id: u32, is_last: bool, failure: Failure) {
        if is_last && self.streams.get(&id).is_some_and(|s| s.we_are_done) {
            self.finish(id, Err(failure));
        } else {
            self.give_up_call(id, Reason::CANCEL, failure);
        }
    }

    pub(super) fn call_data(&mut self, id: u32, data: &[u8]) {
        let Some(Stream {
            role: Role::Call(call),
            ..
        }) = self.streams.get_mut(&id)
        else {
            return;
        };
        if !call.has_head {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        if let Err(status) = call.message.add(data, self.config.max_message_bytes) {
            let failure = Failure::Invalid(status.message().to_owned());
            return self.give_up_call(id, Reason::CANCEL, failure);
        }
        self.release_stream(id, data.len() as u32);
    }

    /// The last frame of an answer has come; if it was one of header fields, they are at hand.
    pub(super) fn call_ended(&mut self, id: u32, has_fields: bool) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Role::Call(call) = &mut stream.role else {
            return;
        };
        if !call.has_head {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        if stream.announced.is_some_and(|left| left > 0) {
            return self.reset_stream(id, Reason::PROTOCOL_ERROR);
        }
        // One that is not OK has ended the call already.
        let has_status = has_fields && self.fields.get(Name::GrpcStatus).is_some();
        let outcome = match std::mem::take(&mut call.message).end() {
            Ok(Some(message)) if has_status => {
                // Who answers has the request, and what left before it.
                self.bulk.came_up_to(stream.bulk);
                let trailers = metadata(&self.fields);
                Ok(LambdaReply { message, trailers })
            }
            // Maybe whoever is in between has lost the rest, and tells it as an end.
            Ok(Some(_)) => Err(Failure::Invalid(NO_STATUS.to_owned())),
            Ok(None) => Err(Failure::Invalid("no message".to_owned())),
            Err(status) => Err(Failure::Invalid(status.message().to_owned())),
        };
        if !stream.we_are_done {
            // It has its answer: there is no use in the rest of the request.
            self.put_reset(id, Reason::NO_ERROR);
        }
        self.finish(id, outcome);
    }

    pub(super) fn call_reset(&mut self, id: u32, reason: Reason) {
        let failure = match reason {
            Reason::REFUSED_STREAM => Failure::NotTaken(reason.to_string()),
            Reason::CANCEL => {
                Failure::Status(Box::new(Status::cancelled("the peer cancelled the call")))
            }
            _ => Failure::Lost(format!("the peer gave it up: {reason}")),
        };
        self.finish(id, Err(failure));
    }

    /// The peer leaves, and has not taken calls after `last`.
    pub(super) fn calls_not_taken(&mut self, last: u32, reason: Reason, what: &str) {
        let last = last.min(self.peer_leaves.unwrap_or(last));
        self.peer_leaves = Some(last);
        let text = if what.is_empty() {
            format!("the peer leaves: {reason}")
        } else {
            format!("the peer leaves: {reason} ({what})")
        };
        self.waiting.clear();
        self.finish_where(|id, call| {
            let is_not_taken = id > last || call.waiting.is_some();
            is_not_taken.then(|| Failure::NotTaken(text.clone()))
        });
    }

    pub(super) fn end_calls(&mut self, why: &str) {
        self.waiting.clear();
        self.finish_where(|_, call| {
            Some(if call.waiting.is_some() {
                Failure::NotTaken(why.to_owned())
            } else {
                Failure::Lost(why.to_owned())
            })
        });
    }

    fn finish_where(&mut self, failure: impl Fn(u32, &Call) -> Option<Failure>) {
        let over: Vec<_> = self
            .streams
            .iter()
            .filter_map(|(&id, stream)| match &stream.role {
                Role::Call(call) => Some((id, failure(id, call)?)),
                _ => None,
            })
            .collect();
        for (id, failure) in over {
            self.finish(id, Err(failure));
        }
    }
}
