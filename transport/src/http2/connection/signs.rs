//! PINGs, and what else shows that the peer is there.

use std::task::{Context, Poll};

use super::Connection;
use crate::http2::frame::{self, Kind};

/// What has moved so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Bytes that came.
    received: u64,
    /// Bytes that left.
    written: u64,
    /// The way out takes no more for now.
    is_stuck: bool,
}

impl Signs {
    /// Whether there is a sign of life that was not there before. That bytes leave is one only
    /// where they could not before: the system takes some for a peer that has frozen, too.
    pub(crate) fn are_newer_than(&self, before: &Self) -> bool {
        self.received != before.received || (before.is_stuck && self.written != before.written)
    }
}

/// Bytes of large messages, which the peer may take a while to receive.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    /// All that were queued.
    pub(super) queued: u64,
    /// Those before the last PING.
    before_ping: u64,
    /// Those that the peer is known to have received.
    received: u64,
}

impl Bulk {
    /// The peer has received what was queued before these.
    pub(super) fn came_up_to(&mut self, position: u64) {
        self.received = self.received.max(position);
    }
}

/// Positions in the output, for a server to know whether its answers have arrived.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Where the last answer ends.
    pub(super) end: u64,
    /// Where the last PING ends.
    before_ping: u64,
    /// Up to where the peer is known to have received everything.
    received: u64,
}

impl Connection {
    /// Whether something is being answered, or an answer has not been written as a whole.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.has_streams() || !self.unflushed.is_empty()
    }

    /// Whether the peer is known to have received all answers: those that are not read when a
    /// connection is closed may be lost.
    pub(crate) fn has_delivered(&self) -> bool {
        self.answers.received >= self.answers.end
    }

    /// Asks the peer, once, whether the last answer has come.
    pub(super) fn ask_for_receipt(&mut self) {
        if !self.has_delivered() && self.answers.before_ping < self.answers.end {
            self.ping();
        }
    }

    /// Asks the peer for a sign of life. The answer is there when [`Self::poll_pong`] says so.
    pub(crate) fn ping(&mut self) -> u32 {
        self.pings = self.pings.wrapping_add(1);
        let head = frame::head(Kind::Ping, 0, 0, 8);
        self.output.extend(&head);
        self.output.extend(b"edge");
        self.output.extend(&self.pings.to_be_bytes());
        self.bulk.before_ping = self.bulk.queued;
        self.answers.before_ping = self.output.end();
        self.wake_driver();
        self.pings
    }

    /// Whether the answer to this PING has come.
    pub(crate) fn poll_pong(&mut self, ping: u32, cx: &Context<'_>) -> Poll<Result<(), String>> {
        if self.has_pong(ping) {
            return Poll::Ready(Ok(()));
        }
        if let Some(ended) = &self.ended {
            return Poll::Ready(Err(ended.clone()));
        }
        let is_known = |waker: &std::task::Waker| waker.will_wake(cx.waker());
        if !self.ping_wakers.iter().any(is_known) {
            self.ping_wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn has_pong(&self, ping: u32) -> bool {
        self.pongs.wrapping_sub(ping).cast_signed() >= 0
    }

    /// The answer to this PING, and so to all before it, has come.
    pub(super) fn pong(&mut self, number: u32) {
        self.pongs = number;
        if number == self.pings {
            self.bulk.came_up_to(self.bulk.before_ping);
            self.answers.received = self.answers.before_ping;
        }
        self.woken.append(&mut self.ping_wakers);
    }

    /// What has moved so far: for whoever holds the connection when it has been written.
    pub(crate) fn signs(&self) -> Signs {
        Signs {
            received: self.received,
            written: self.output.left(),
            is_stuck: !self.output.is_empty(),
        }
    }

    /// Bytes of large messages before the last PING that the peer may not have received yet.
    pub(crate) fn ahead_of_ping(&self) -> u64 {
        self.bulk.before_ping.saturating_sub(self.bulk.received)
    }
}
