//! One side of one connection.

mod calls;
mod control;
mod limits;
mod others;
mod receive;
mod requests;
mod send;
mod signs;

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Waker};
use std::time::Instant;

use foldhash::fast::RandomState;

pub(crate) use self::calls::Failure;
pub(crate) use self::others::Gone;
use self::receive::{Block, Payload};
pub(crate) use self::requests::{Event, Incoming};
pub(crate) use self::signs::Signs;
use self::signs::{Answers, Bulk};
use super::budget::Budget;
use super::fields::Fields;
use super::frame::{self, Kind, PREFACE};
use super::hpack::{Decoder, Encoder, Template};
use super::output::Output;
use super::reason::Reason;
use super::settings::{self, DEFAULT_WINDOW, HEADER_TABLE, PeerSettings};
use super::stream::Stream;
use crate::Limits;

/// What one side is, and what it allows the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Whether it answers; else it asks.
    pub is_server: bool,
    /// Path of the method whose requests are handed over as messages; others are streams.
    pub served: Option<&'static str>,
    /// Largest message, in bytes.
    pub max_message_bytes: usize,
    /// Largest set of header fields, in bytes.
    pub max_header_bytes: u32,
    /// Streams that the peer may have open.
    pub max_streams: u32,
    /// Bytes that the peer may send ahead on one stream.
    pub stream_window: u32,
    /// Bytes that the peer may send ahead on all streams together.
    pub connection_window: u32,
}

impl Config {
    /// A server within `limits`.
    pub fn server(limits: &Limits) -> Self {
        Self {
            is_server: true,
            served: Some(edge_proto::RUN_LAMBDA_PATH),
            max_message_bytes: limits.max_message_bytes,
            max_header_bytes: limits.max_header_bytes,
            max_streams: limits.max_concurrent_streams,
            stream_window: limits.stream_window_bytes.min((1 << 31) - 1),
            connection_window: limits.connection_window_bytes.min((1 << 31) - 1),
        }
    }

    /// A client within `limits`.
    pub fn client(limits: &Limits) -> Self {
        Self {
            is_server: false,
            served: None,
            ..Self::server(limits)
        }
    }
}

/// One side of a connection.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    /// When the last bytes arrived.
    now: Instant,
    /// Changes whenever bytes arrive.
    received: u64,
    /// Bytes of the client's preface that have yet to come.
    preface_left: usize,
    has_peer_settings: bool,
    has_settings_ack: bool,
    block: Option<Block>,
    payload: Option<Payload>,
    decoder: Decoder,
    fields: Fields,
    streams: HashMap<u32, Stream, RandomState>,
    /// The last stream that the peer opened.
    last_of_peer: u32,
    /// The next stream of ours.
    next_own: u32,
    /// Streams of ours that the peer has to keep.
    open: u32,
    /// Streams of ours that wait until the peer has a place for them.
    waiting: VecDeque<u32>,
    /// Where the last frames of streams end that the peer believes to be open.
    unflushed: VecDeque<u64>,
    /// The last stream of the peer that we ended before the peer did.
    last_ended: u32,
    peer: PeerSettings,
    send_window: i64,
    receive_window: i64,
    unreleased: u32,
    /// Streams that have something to send.
    line: VecDeque<u32>,
    output: Output,
    encoder: Encoder,
    templates: Templates,
    /// Frames that answer the peer's, and have not been written, as far as is known.
    answers_queued: u32,
    /// Those of them that go before others.
    urgent_queued: u32,
    /// Where the last SETTINGS were confirmed behind all that had been queued.
    confirmed: u64,
    resets: Budget,
    nonsense: Budget,
    visits: Budget,
    next_deadline: Option<Instant>,
    /// PINGs sent, and PONGs received.
    pings: u32,
    pongs: u32,
    ping_wakers: Vec<Waker>,
    bulk: Bulk,
    answers: Answers,
    /// Answers to our calls.
    answered: u32,
    /// Bytes of messages that have not arrived as a whole.
    arriving: usize,
    /// Bytes of large messages that have, and have not been answered.
    unanswered: usize,
    /// The peer is of our own make.
    is_ours: bool,
    farewell: Farewell,
    /// The last stream of ours that the peer took, if it said good-bye.
    peer_leaves: Option<u32>,
    /// Nobody is going to ask anything more.
    ends_when_idle: bool,
    /// Whether the peer has been told so.
    has_parted: bool,
    ended: Option<String>,
    is_tls_to_blame: bool,
    woken: Vec<Waker>,
    events: Vec<Event>,
    driver: Option<Waker>,
}

/// Header fields that are sent again and again.
#[derive(Debug)]
struct Templates {
    request: Template,
    answer: Template,
    ok: Template,
    other: Template,
}

/// How far we are with saying good-bye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    No,
    /// The peer was told to open no more streams; those on their way are taken until this PING is
    /// answered.
    Announced(u32),
    /// Streams after this one are not looked at.
    Said(u32),
}

impl Connection {
    /// The server's side, for a client that connected at `now`.
    pub fn server(config: Config, now: Instant) -> Self {
        Self::new(config, Template::new(&[]), now)
    }

    /// The client's side, which asks `authority`.
    pub(crate) fn client(config: Config, scheme: &str, authority: &str, now: Instant) -> Self {
        let request = Template::new(&[
            (":method", "POST"),
            (":scheme", scheme),
            (":path", edge_proto::RUN_LAMBDA_PATH),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ]);
        Self::new(config, request.ending_with("grpc-timeout"), now)
    }

    fn new(config: Config, request: Template, now: Instant) -> Self {
        let signature = crate::client::OURS;
        let mut connection = Self {
            config,
            now,
            received: 0,
            preface_left: if config.is_server { PREFACE.len() } else { 0 },
            has_peer_settings: false,
            has_settings_ack: false,
            block: None,
            payload: None,
            decoder: Decoder::new(HEADER_TABLE),
            fields: Fields::new(config.max_header_bytes as usize),
            streams: HashMap::default(),
            last_of_peer: 0,
            next_own: 1,
            open: 0,
            waiting: VecDeque::new(),
            unflushed: VecDeque::new(),
            last_ended: 0,
            peer: PeerSettings::default(),
            send_window: DEFAULT_WINDOW.into(),
            receive_window: DEFAULT_WINDOW.max(config.connection_window).into(),
            unreleased: 0,
            line: VecDeque::new(),
            output: Output::default(),
            encoder: Encoder::new(),
            templates: Templates {
                request,
                answer: Template::new(&[
                    (":status", "200"),
                    ("content-type", "application/grpc"),
                    ("server", signature),
                ]),
                ok: Template::new(&[("grpc-status", "0")]),
                other: Template::new(&[]),
            },
            answers_queued: 0,
            urgent_queued: 0,
            confirmed: 0,
            resets: Budget::new(config.max_streams.max(limits::LEAST_RESETS), now),
            nonsense: Budget::new(limits::MOST_NONSENSE, now),
            visits: Budget::new(limits::MOST_VISITS, now),
            next_deadline: None,
            pings: 0,
            pongs: 0,
            ping_wakers: Vec::new(),
            bulk: Bulk::default(),
            answers: Answers::default(),
            answered: 0,
            arriving: 0,
            unanswered: 0,
            is_ours: false,
            farewell: Farewell::No,
            peer_leaves: None,
            ends_when_idle: false,
            has_parted: false,
            ended: None,
            is_tls_to_blame: false,
            woken: Vec::new(),
            events: Vec::new(),
            driver: None,
        };
        connection.greet();
        connection
    }

    fn greet(&mut self) {
        if !self.config.is_server {
            self.output.extend(PREFACE);
        }
        let payload = settings::ours(&self.config);
        let head = frame::head(Kind::Settings, 0, 0, payload.len());
        self.output.extend(&head);
        self.output.extend(&payload);
        if let Some(more) = self.config.connection_window.checked_sub(DEFAULT_WINDOW)
            && more > 0
        {
            self.put_word(Kind::WindowUpdate, 0, more);
        }
        self.output.comes_first();
    }

    /// What is to be written.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// `count` bytes of the output have been written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.output.advance(count);
        let flushed = self.output.flushed();
        while self.unflushed.front().is_some_and(|end| *end <= flushed) {
            self.unflushed.pop_front();
        }
        if self.output.is_empty() {
            self.answers_queued = 0;
            self.urgent_queued = 0;
        } else if self.urgent_queued > 0 && !self.output.has_urgent() {
            self.answers_queued -= std::mem::take(&mut self.urgent_queued);
        }
        self.pump();
    }

    /// Moves what is to be written into `bytes`: for those who have no socket.
    pub fn take_output(&mut self, bytes: &mut Vec<u8>) {
        self.release_along();
        while !self.output.is_empty() {
            let mut slices = super::no_slices();
            let count = self.output.slices(&mut slices);
            let before = bytes.len();
            for slice in &slices[..count] {
                bytes.extend_from_slice(slice);
            }
            self.wrote(bytes.len() - before);
        }
    }

    /// Who is to be woken when something was queued from outside.
    pub(crate) fn set_driver(&mut self, cx: &Context<'_>) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(cx.waker()),
            None => self.driver = Some(cx.waker().clone()),
        }
    }

    /// Lets whoever drives the connection look at it.
    pub(crate) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// Those who have something to look at; to be woken when the connection is not held any more.
    pub(crate) fn take_woken(&mut self, woken: &mut Vec<Waker>) {
        woken.append(&mut self.woken);
    }

    pub(crate) fn take_events(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.events);
    }

    /// Why the connection is of no more use, if it is not.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Whether the peer has said what it allows, as it has to at first.
    pub(crate) fn is_greeted(&self) -> bool {
        self.has_peer_settings
    }

    /// Whether there is anything between us and the peer that is not over.
    pub(crate) fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether all has been said that was to be.
    pub(crate) fn is_over(&self) -> bool {
        let is_idle = !self.has_streams();
        self.ended.is_some()
            || (is_idle && self.ends_when_idle)
            || (is_idle && matches!(self.farewell, Farewell::Said(_)) && self.has_delivered())
    }

    /// Tells the peer to open no more streams, and ends the connection after those that it has.
    pub(crate) fn leave(&mut self) {
        if self.farewell == Farewell::No {
            self.put_go_away((1 << 31) - 1, Reason::NO_ERROR, "");
            let ping = self.ping();
            self.farewell = Farewell::Announced(ping);
        }
    }

    /// Ends the connection at once.
    pub(crate) fn abandon(&mut self, why: &str) {
        if self.ended.is_none() {
            self.put_go_away(self.last_taken(), Reason::NO_ERROR, "");
            self.end(why.to_owned());
        }
    }

    /// The connection is lost, or the peer has left.
    pub(crate) fn end(&mut self, why: String) {
        if self.ended.is_some() {
            return;
        }
        self.end_calls(&why);
        self.end_others();
        self.woken.append(&mut self.ping_wakers);
        self.ended = Some(why);
    }

    /// The stream below is lost: `is_tls` if encryption is the reason.
    pub(crate) fn lost(&mut self, error: &std::io::Error, is_tls: bool) {
        self.is_tls_to_blame |= is_tls && self.ended.is_none();
        self.end(error.to_string());
    }

    pub(crate) fn is_tls_to_blame(&self) -> bool {
        self.is_tls_to_blame
    }

    /// The connection ends when nothing is under way any more.
    pub(crate) fn end_when_idle(&mut self) {
        self.ends_when_idle = true;
        self.wake_driver();
    }

    /// Takes leave of the peer, once, if that is so. To be called before what there is to be said is
    /// written for the last time.
    pub(crate) fn part_if_idle(&mut self) {
        if self.ends_when_idle && !self.has_parted && self.ended.is_none() && !self.has_streams() {
            self.has_parted = true;
            // The peer has opened no streams, and we open no more.
            self.put_go_away(0, Reason::NO_ERROR, "");
        }
        if matches!(self.farewell, Farewell::Said(_)) && !self.has_streams() {
            self.ask_for_receipt();
        }
    }

    /// The peer broke a rule: tells it so, and ends the connection.
    fn fail(&mut self, reason: Reason, what: &str) {
        if self.ended.is_some() {
            return;
        }
        self.put_go_away(self.last_taken(), reason, what);
        self.end(format!("{reason}: {what}"));
    }

    /// The last stream of the peer that was looked at.
    fn last_taken(&self) -> u32 {
        match self.farewell {
            Farewell::Said(last) => last,
            Farewell::No | Farewell::Announced(_) => self.last_of_peer,
        }
    }

    /// What is given up at `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.next_deadline.is_none_or(|next| now < next) {
            return;
        }
        let mut next = None;
        let mut over = Vec::new();
        for (&id, stream) in &self.streams {
            match stream.watched_deadline() {
                Some(deadline) if deadline <= now => over.push(id),
                Some(deadline) if next.is_none_or(|next| deadline < next) => next = Some(deadline),
                _ => {}
            }
        }
        self.next_deadline = next;
        for id in over {
            self.expire_stream(id);
        }
    }

    /// When [`Self::expire`] has something to do, at the earliest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    fn watch_deadline(&mut self, deadline: Instant) {
        if self.next_deadline.is_none_or(|next| deadline < next) {
            self.next_deadline = Some(deadline);
        }
    }

    fn put_word(&mut self, kind: Kind, stream: u32, word: u32) {
        let head = frame::head(kind, 0, stream, 4);
        self.output.extend(&head);
        self.output.extend(&word.to_be_bytes());
    }

    fn put_go_away(&mut self, last: u32, reason: Reason, what: &str) {
        let head = frame::head(Kind::GoAway, 0, 0, 8 + what.len());
        self.output.extend(&head);
        self.output.extend(&last.to_be_bytes());
        self.output.extend(&reason.0.to_be_bytes());
        self.output.extend(what.as_bytes());
    }
}
