//! What peers may do that costs us more than them.

use super::Connection;
use crate::http2::Reason;

/// Requests that a peer may give up per second, and at once, if it may not open more.
pub(super) const LEAST_RESETS: u32 = 1000;
/// Frames without sense or against the rules, per second and at once.
pub(super) const MOST_NONSENSE: u32 = 1000;
/// Answers to PING, SETTINGS and the like that may wait until the peer reads them.
const MOST_ANSWERS_QUEUED: u32 = 10_000;

impl Connection {
    /// A frame was queued because the peer sent one.
    pub(super) fn count_answer(&mut self) {
        self.answers_queued += 1;
        if self.answers_queued > MOST_ANSWERS_QUEUED {
            self.fail(
                Reason::ENHANCE_YOUR_CALM,
                "answers to control frames are not read",
            );
        }
    }

    /// The peer gave a request up that was not answered.
    pub(super) fn count_reset(&mut self) {
        if !self.resets.take(self.now) {
            self.fail(Reason::ENHANCE_YOUR_CALM, "too many streams are given up");
        }
    }

    /// The peer sent something that is of no use.
    pub(super) fn count_nonsense(&mut self) {
        if !self.nonsense.take(self.now) {
            self.fail(Reason::ENHANCE_YOUR_CALM, "too many frames make no sense");
        }
    }

    /// We end this stream: frames that are on their way are no mistake of the peer.
    pub(super) fn ended_early(&mut self, stream: u32) {
        self.last_ended = self.last_ended.max(stream);
    }
}
