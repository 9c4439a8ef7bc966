//! The streams of native requests, until the peer has their answers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use quinn::{RecvStream, SendStream, VarInt};

use super::code;

/// The stream of a request; given up if this is dropped before the answer has been said.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) send: SendStream,
    /// None once all of it has been read.
    pub(super) receive: Option<RecvStream>,
    pub(super) is_over: bool,
}

impl Stream {
    /// Tells the peer that the request has not been looked at.
    pub(super) fn refuse(mut self) {
        self.end(code::NOT_TAKEN);
    }

    pub(super) fn end(&mut self, code: VarInt) {
        self.is_over = true;
        // They fail where the stream has ended, which is all that is asked for.
        self.send.reset(code).ok();
        if let Some(receive) = &mut self.receive {
            receive.stop(code).ok();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(code::FAULT);
        }
    }
}

/// Answers that the peer may not have yet. They are looked at only when there are many, or when it
/// matters: no request waits for it. There are no more than streams, which count until then.
#[derive(Debug, Default)]
pub(super) struct Unheard(Mutex<Answered>);

#[derive(Debug)]
struct Answered {
    /// The oldest first.
    streams: VecDeque<Stream>,
    /// The first of them is looked at when there are more.
    most: usize,
}

/// Streams that are kept without a look.
const KEPT: usize = 8;

impl Default for Answered {
    fn default() -> Self {
        Self {
            streams: VecDeque::new(),
            most: KEPT,
        }
    }
}

impl Answered {
    /// Forgets those that the peer has, two for one that comes, so that there are fewer again when it
    /// has caught up. Where it has not, there is no use in looking soon.
    fn forget_some(&mut self) {
        for _ in 0..2 {
            if !self.streams.front().is_some_and(has_all) {
                self.most = 2 * self.streams.len();
                return;
            }
            self.streams.pop_front();
        }
        if self.streams.len() <= KEPT {
            self.most = KEPT;
            self.streams.shrink_to(2 * KEPT);
        }
    }
}

impl Unheard {
    /// All has been said on this stream.
    pub(super) fn add(&self, stream: Stream) {
        let mut answered = self.lock();
        answered.streams.push_back(stream);
        if answered.streams.len() > answered.most {
            answered.forget_some();
        }
    }

    /// Whether the peer has them all.
    pub(super) fn is_empty(&self) -> bool {
        let mut answered = self.lock();
        answered.streams.retain(|stream| !is_heard(stream));
        answered.streams.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Answered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the peer has all that was said on this stream: the cheapest question that fails then.
fn has_all(stream: &Stream) -> bool {
    stream.send.priority().is_err()
}

/// Whether the peer has all that was said on this stream, or wants no more of it.
fn is_heard(stream: &Stream) -> bool {
    stream.send.stopped().now_or_never().is_some()
}
