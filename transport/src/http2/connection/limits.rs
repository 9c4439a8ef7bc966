//! What peers may do that costs us more than them.

use super::Connection;
use crate::http2::Reason;

/// Requests that a peer may give up per second, and at once, if it may not open more.
pub(super) const LEAST_RESETS: u32 = 1000;
/// Frames without sense or against the rules, per second and at once.
pub(super) const MOST_NONSENSE: u32 = 1000;
/// Streams that are looked at because the peer says something about all of them, per second and at
/// once: a hundred times all that it may have open.
pub(super) const MOST_VISITS: u32 = 1_000_000;
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

    /// The peer said something for which all streams have to be looked at. False if that was once too
    /// often.
    pub(super) fn may_visit_all(&mut self) -> bool {
        let count = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        let may = self.visits.take_some(count, self.now);
        if !may {
            self.fail(
                Reason::ENHANCE_YOUR_CALM,
                "too many frames concern all streams",
            );
        }
        may
    }

    /// We end this stream: frames that are on their way are no mistake of the peer.
    pub(super) fn ended_early(&mut self, stream: u32) {
        self.last_ended = self.last_ended.max(stream);
    }
}
