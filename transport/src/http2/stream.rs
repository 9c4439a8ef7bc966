//! What is known of one stream.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;

use super::connection::Failure;
use super::message::Message;
use crate::{LambdaReply, Metadata};

/// A stream that is not over.
#[derive(Debug)]
pub(super) struct Stream {
    /// Bytes that the peer allows us.
    pub(super) send_window: i64,
    /// Bytes that we allow the peer.
    pub(super) receive_window: i64,
    /// Bytes that were read, of which the peer has not been told.
    pub(super) unreleased: u32,
    /// When it is given up.
    pub(super) deadline: Option<Instant>,
    /// Bytes that are still to come, if the peer said how many.
    pub(super) announced: Option<u64>,
    /// The peer has sent its last frame.
    pub(super) peer_is_done: bool,
    /// We have queued our last frame.
    pub(super) we_are_done: bool,
    /// Bytes of large messages on all streams that had been queued by then.
    pub(super) bulk: u64,
    /// Bytes of a large message that has come, until it is answered.
    pub(super) unanswered: usize,
    /// In the line of those that have something to send.
    pub(super) is_in_line: bool,
    /// What did not fit into the window yet.
    pub(super) outgoing: Option<Box<Outgoing>>,
    pub(super) role: Role,
}

/// Data that waits for room, and how it ends.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) bytes: usize,
    pub(super) end: End,
}

/// What comes behind the data.
#[derive(Debug, Default)]
pub(super) enum End {
    /// It is not known yet.
    #[default]
    Open,
    /// Nothing.
    Stream,
    /// The trailers of an answer to a lambda request.
    Ok(Metadata),
    /// These trailers.
    Trailers(Metadata),
}

/// Whose stream it is.
#[derive(Debug)]
pub(super) enum Role {
    /// A lambda request of the peer.
    Request(Request),
    /// A lambda request of ours.
    Call(Call),
    /// A request of the peer for anything else.
    Other(Box<Other>),
}

/// A request on its way in, or being answered.
#[derive(Debug)]
pub(super) enum Request {
    /// Not all of it has come.
    Arriving {
        metadata: Metadata,
        message: Message,
    },
    /// Somebody works on it, whom this number tells.
    Served(u32),
    /// The answer has been given; what is left of it waits for room.
    Answered,
}

/// A request on its way out, and its answer.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// The head of the answer has come.
    pub(super) has_head: bool,
    pub(super) message: Message,
    /// Who waits.
    pub(super) waker: Option<Waker>,
    /// How it ended.
    pub(super) outcome: Option<Result<LambdaReply, Failure>>,
    /// The request, as long as there is no place for it at the peer.
    pub(super) waiting: Option<Box<(Vec<Bytes>, Metadata)>>,
}

/// A stream that is handed over as it comes.
#[derive(Debug, Default)]
pub(super) struct Other {
    pub(super) chunks: VecDeque<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) watcher: Option<Waker>,
}

impl Stream {
    pub(super) fn new(role: Role, send_window: u32, receive_window: u32) -> Self {
        Self {
            send_window: send_window.into(),
            receive_window: receive_window.into(),
            unreleased: 0,
            deadline: None,
            announced: None,
            peer_is_done: false,
            we_are_done: false,
            bulk: 0,
            unanswered: 0,
            is_in_line: false,
            outgoing: None,
            role,
        }
    }

    /// When it is to be given up, as far as that is up to the connection: what a service works on
    /// is up to the service.
    pub(super) fn watched_deadline(&self) -> Option<Instant> {
        match self.role {
            Role::Request(Request::Served(_)) => None,
            _ => self.deadline,
        }
    }
}
