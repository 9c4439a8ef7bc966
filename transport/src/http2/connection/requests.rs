//! Lambda requests of the peer, and our answers.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tonic::Status;

use super::send::Then;
use super::{Connection, Farewell};
use crate::http2::Reason;
use crate::http2::head::{announced, check, is_foreign, metadata, too_large};
use crate::http2::hpack::Name;
use crate::http2::message::Message;
use crate::http2::stream::{End, Request, Role, Stream};
use crate::limits::{LARGE_MESSAGE, MESSAGES_HELD};
use crate::{DEFAULT_DEADLINE, LambdaCall, LambdaReply, Metadata, timeout};

/// Longest deadline that is told from "never", so that sums do not overflow.
const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a server has to do something about.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request for a lambda.
    Request(Incoming),
    /// A request for anything else, whose data is to be had from the connection.
    Other(u32, Box<http::Request<()>>),
    /// Nobody waits for the answer any more that is worked on under this number.
    Gone(u32),
}

/// A request for a lambda.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) stream: u32,
    pub(crate) call: LambdaCall,
}

/// The number of a request that nobody works on yet.
const NOBODY: u32 = u32::MAX;

impl Connection {
    /// From now on somebody works on the request, under this number; false if it has been given up.
    pub(crate) fn serve(&mut self, id: u32, number: u32) -> bool {
        match self.streams.get_mut(&id) {
            Some(Stream {
                role: Role::Request(request @ Request::Served(NOBODY)),
                ..
            }) => {
                *request = Request::Served(number);
                true
            }
            _ => false,
        }
    }

    /// Answers a request, unless it has been given up.
    pub(crate) fn answer(&mut self, id: u32, answer: Result<LambdaReply, Status>) {
        match self.streams.get_mut(&id) {
            Some(Stream {
                role: Role::Request(request),
                unanswered,
                ..
            }) => {
                *request = Request::Answered;
                self.unanswered -= std::mem::take(unanswered);
            }
            _ => return,
        }
        match answer {
            Ok(reply) => {
                let none = Metadata::new();
                self.put_block(id, Then::More, |all| &mut all.answer, &none);
                let message = std::slice::from_ref(&reply.message);
                self.send_message(id, message, End::Ok(reply.trailers));
            }
            Err(status) => self.fail_request(id, &status),
        }
    }

    /// Gives a request up that cannot be answered.
    pub(crate) fn abort(&mut self, id: u32) {
        if let Some(Stream {
            role: Role::Request(request),
            ..
        }) = self.streams.get_mut(&id)
        {
            *request = Request::Answered;
            self.reset_stream(id, Reason::INTERNAL_ERROR);
        }
    }

    pub(super) fn gone(&mut self, number: u32) {
        if number != NOBODY {
            self.events.push(Event::Gone(number));
        }
    }

    pub(super) fn request_head(&mut self, id: u32, ends_stream: bool) {
        if id.is_multiple_of(2) {
            return self.fail(Reason::PROTOCOL_ERROR, "clients open odd streams");
        }
        if id <= self.last_of_peer {
            // Trailers may come late, but who opens a stream takes a number above all before.
            return match self.fields.has_pseudo() {
                true => self.fail(Reason::PROTOCOL_ERROR, "streams are opened in order"),
                false => self.on_closed_stream(id),
            };
        }
        self.last_of_peer = id;
        if matches!(self.farewell, Farewell::Said(_)) {
            return;
        }
        // Streams count until the peer can know of their end.
        let open = self.streams.len() + self.unflushed.len();
        if open >= self.config.max_streams as usize {
            self.ended_early(id);
            return self.put_reset(id, Reason::REFUSED_STREAM);
        }
        if self.fields.is_too_large() {
            return match too_large(&self.fields, self.config.max_header_bytes) {
                Ok(status) => self.put_refusal(id, &status, ends_stream),
                Err(status) => self.put_bare(id, status, ends_stream),
            };
        }
        let is_complete = [Name::Method, Name::Scheme, Name::Path].iter().all(|name| {
            self.fields
                .get(*name)
                .is_some_and(|value| !value.is_empty())
        });
        let is_malformed = self.fields.is_malformed() || self.fields.get(Name::Status).is_some();
        if is_malformed || !is_complete {
            self.count_nonsense();
            self.ended_early(id);
            return self.put_reset(id, Reason::PROTOCOL_ERROR);
        }
        let Ok(announced) = announced(&self.fields) else {
            self.count_nonsense();
            self.ended_early(id);
            return self.put_reset(id, Reason::PROTOCOL_ERROR);
        };
        let path = self.fields.get(Name::Path);
        let is_served = path.is_some() && path == self.config.served.map(str::as_bytes);
        let role = if is_served {
            if let Err(status) = check(&self.fields) {
                return self.put_bare(id, status, ends_stream);
            }
            Role::Request(Request::Arriving {
                metadata: metadata(&self.fields),
                message: Message::default(),
            })
        } else if is_foreign(&self.fields) {
            return self.put_bare(id, StatusCode::UNSUPPORTED_MEDIA_TYPE, ends_stream);
        } else {
            match self.other_head(id) {
                Some(role) => role,
                None => return self.put_bare(id, StatusCode::BAD_REQUEST, ends_stream),
            }
        };
        let mut stream = Stream::new(role, self.peer.initial_window, self.fresh_window());
        stream.announced = announced;
        if let Role::Request(_) = stream.role {
            let patience = self.fields.get(Name::GrpcTimeout).and_then(timeout::parse);
            let patience = patience.unwrap_or(DEFAULT_DEADLINE).min(MAX_PATIENCE);
            let deadline = self.now + patience;
            stream.deadline = Some(deadline);
            self.watch_deadline(deadline);
        }
        self.streams.insert(id, stream);
        if ends_stream {
            self.stream_ended(id);
        }
    }

    pub(super) fn request_data(&mut self, id: u32, data: &[u8]) {
        let Some(Stream {
            role: Role::Request(Request::Arriving { message, .. }),
            ..
        }) = self.streams.get_mut(&id)
        else {
            return;
        };
        let before = message.held();
        let added = message.add(data, self.config.max_message_bytes);
        self.arriving += message.held().saturating_sub(before);
        if let Err(status) = added {
            return self.fail_request(id, &status);
        }
        let most = MESSAGES_HELD.saturating_mul(self.config.max_message_bytes);
        let is_large = message.held() >= LARGE_MESSAGE;
        if self.arriving > most || is_large && self.arriving + self.unanswered > most {
            let text = "too much of other messages is held for this connection";
            return self.fail_request(id, &Status::resource_exhausted(text));
        }
        self.release_stream(id, data.len() as u32);
    }

    pub(super) fn request_ended(&mut self, id: u32) {
        let deadline = self.now + DEFAULT_DEADLINE;
        let Some(Stream {
            role: Role::Request(request),
            deadline: own,
            unanswered,
            ..
        }) = self.streams.get_mut(&id)
        else {
            return;
        };
        let Request::Arriving { metadata, message } =
            std::mem::replace(request, Request::Served(NOBODY))
        else {
            return;
        };
        self.arriving = self.arriving.saturating_sub(message.held());
        if message.held() >= LARGE_MESSAGE {
            *unanswered = message.held();
            self.unanswered += *unanswered;
        }
        match message.end() {
            Ok(Some(message)) => {
                let deadline = own.unwrap_or(deadline);
                let call = LambdaCall {
                    message,
                    metadata,
                    deadline,
                };
                self.events
                    .push(Event::Request(Incoming { stream: id, call }));
            }
            Ok(None) => self.fail_request(id, &Status::internal("the request has no message")),
            Err(status) => self.fail_request(id, &status),
        }
    }

    pub(super) fn request_reset(&mut self, id: u32) {
        let is_answered = matches!(
            self.streams.get(&id).map(|stream| &stream.role),
            Some(Role::Request(Request::Answered))
        );
        self.drop_stream(id);
        if !is_answered {
            self.count_reset();
        }
    }

    /// Answers a request with a status only.
    pub(super) fn fail_request(&mut self, id: u32, status: &Status) {
        let fields = fields_of(status);
        self.put_block(id, Then::EndOfStream, |all| &mut all.answer, &fields);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.outgoing = None;
        }
        self.we_are_done(id);
    }

    /// Answers what is no gRPC, on a stream that is not kept.
    fn put_bare(&mut self, id: u32, status: StatusCode, peer_is_done: bool) {
        self.put_head(id, Then::EndOfStream, status.as_u16(), &HeaderMap::new());
        self.said_all(id, peer_is_done);
    }

    /// Answers with a status of gRPC, on a stream that is not kept.
    fn put_refusal(&mut self, id: u32, status: &Status, peer_is_done: bool) {
        let fields = fields_of(status);
        self.put_block(id, Then::EndOfStream, |all| &mut all.answer, &fields);
        self.said_all(id, peer_is_done);
    }

    /// What else the peer sends on a stream that is not kept is not wanted.
    fn said_all(&mut self, id: u32, peer_is_done: bool) {
        if !peer_is_done {
            self.ended_early(id);
            self.put_reset(id, Reason::NO_ERROR);
        }
        self.count_answer();
    }
}

/// The fields that say `status`.
fn fields_of(status: &Status) -> Metadata {
    let mut fields = HeaderMap::new();
    if status.add_header(&mut fields).is_err() {
        fields.insert("grpc-status", http::HeaderValue::from_static("13"));
    }
    Metadata::from(&fields)
}
