//! Both sides of a connection against each other, and against frames written by hand.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a failing helper is a failing test"
)]

mod calls;
mod floods;
mod pairs;
mod requests;
mod urgent;
mod windows;

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::connection::{Config, Connection, Event, Failure, Incoming};
use super::frame::{HEAD, Head, Kind, PREFACE, flag};
use super::hpack::{Decoder, Name};
use super::{Fields, Reason};
use crate::{LambdaReply, Limits, Metadata};

/// Long enough not to matter.
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        max_message_bytes: 1 << 20,
        max_concurrent_streams: 100,
        ..Limits::default()
    }
}

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = super::frame::head(kind, flags, stream, payload.len()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn word(kind: Kind, stream: u32, value: u32) -> Vec<u8> {
    frame(kind, 0, stream, &value.to_be_bytes())
}

/// A header block without any compression.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "a length of one byte");
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

const REQUEST: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", edge_proto::RUN_LAMBDA_PATH),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
];
const WHOLE_BLOCK: u8 = flag::END_HEADERS;
const WHOLE: u8 = flag::END_HEADERS | flag::END_STREAM;

fn request_head(stream: u32) -> Vec<u8> {
    frame(Kind::Headers, WHOLE_BLOCK, stream, &block(&REQUEST))
}

fn message(text: &[u8]) -> Vec<u8> {
    [&super::message::prefix(text.len())[..], text].concat()
}

fn data(stream: u32, text: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flag::END_STREAM, stream, &message(text))
}

fn request(stream: u32, text: &[u8]) -> Vec<u8> {
    [request_head(stream), data(stream, text)].concat()
}

/// Frames that a connection wants to have written.
fn said(connection: &mut Connection) -> Vec<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    connection.take_output(&mut bytes);
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
        let head = Head::parse(*head);
        let (payload, tail) = tail.split_at(head.length);
        frames.push((head, payload.to_vec()));
        rest = tail;
    }
    assert!(rest.is_empty(), "whole frames are written");
    frames
}

/// Kinds and streams of frames.
fn outline(frames: &[(Head, Vec<u8>)]) -> Vec<(Kind, u32)> {
    frames
        .iter()
        .map(|(head, _)| (head.kind, head.stream))
        .collect()
}

/// Why a connection says good-bye.
fn good_bye(connection: &mut Connection) -> Option<Reason> {
    let frames = said(connection);
    let (_, payload) = frames.iter().find(|(head, _)| head.kind == Kind::GoAway)?;
    super::frame::word(&payload[4..]).map(Reason)
}

/// Why it gives a stream up.
fn reset(frames: &[(Head, Vec<u8>)], stream: u32) -> Option<Reason> {
    let (_, payload) = frames
        .iter()
        .find(|(head, _)| head.kind == Kind::ResetStream && head.stream == stream)?;
    super::frame::word(payload).map(Reason)
}

/// A server whose client has said hello.
struct Served {
    server: Connection,
    now: Instant,
}

impl Served {
    fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        let mut served = Self {
            server: Connection::server(Config::server(limits), now),
            now,
        };
        let hello = [
            &PREFACE[..],
            &frame(Kind::Settings, 0, 0, &[]),
            &frame(Kind::Settings, flag::ACK, 0, &[]),
        ];
        served.tell(&hello.concat());
        said(&mut served.server);
        served
    }

    fn tell(&mut self, bytes: &[u8]) {
        assert_eq!(self.server.receive(bytes, self.now), bytes.len());
    }

    fn requests(&mut self) -> Vec<Incoming> {
        let mut events = Vec::new();
        self.server.take_events(&mut events);
        let is_request = |event| match event {
            Event::Request(incoming) => Some(incoming),
            _ => None,
        };
        let requests = events.into_iter().filter_map(is_request);
        requests
            .filter(|incoming| self.server.serve(incoming.stream, incoming.stream))
            .collect()
    }

    fn answer(&mut self, stream: u32, message: &[u8]) {
        self.server.answer(stream, Ok(reply(message)));
    }

    /// Whether it still answers requests.
    fn is_alive(&mut self, stream: u32) -> bool {
        said(&mut self.server);
        self.requests();
        self.tell(&request(stream, b"alive?"));
        self.requests()
            .iter()
            .any(|incoming| incoming.stream == stream)
    }
}

fn reply(message: &[u8]) -> LambdaReply {
    LambdaReply {
        message: Bytes::copy_from_slice(message),
        trailers: Metadata::new(),
    }
}

/// A client whose server has said hello with these settings.
struct Client {
    client: Connection,
    now: Instant,
}

impl Client {
    fn new(limits: &Limits, settings: &[(u16, u32)]) -> Self {
        let now = Instant::now();
        let client = Connection::client(Config::client(limits), "http", "there:1", now);
        let mut client = Self { client, now };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        client.tell(&frame(Kind::Settings, 0, 0, &payload));
        said(&mut client.client);
        client
    }

    fn tell(&mut self, bytes: &[u8]) {
        assert_eq!(self.client.receive(bytes, self.now), bytes.len());
    }

    fn ask(&mut self, message: &[u8]) -> u32 {
        let message = Bytes::copy_from_slice(message);
        let deadline = self.now + PATIENCE;
        let asked = self
            .client
            .ask(&[message], &Metadata::new(), self.now, deadline);
        asked.unwrap()
    }

    fn answer(&mut self, number: u32) -> Option<Result<LambdaReply, Failure>> {
        let cx = Context::from_waker(Waker::noop());
        match self.client.poll_answer(number, &cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

fn answer_head(stream: u32) -> Vec<u8> {
    let fields = [(":status", "200"), ("content-type", "application/grpc")];
    frame(Kind::Headers, WHOLE_BLOCK, stream, &block(&fields))
}

fn answer_data(stream: u32, text: &[u8]) -> Vec<u8> {
    frame(Kind::Data, 0, stream, &message(text))
}

fn trailers(stream: u32) -> Vec<u8> {
    frame(
        Kind::Headers,
        WHOLE,
        stream,
        &block(&[("grpc-status", "0")]),
    )
}

fn fields_of(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut fields = Fields::new(10_000);
    decoder.decode(block, &mut fields).unwrap();
    fields
}
