//! What has become of a request so far, for what is to be tried next.

use edge_balance::{Answers, Tried};

use super::attempt::{Attempt, Verdict};
use super::reply::{Answer, Attempts};
use crate::metrics::Counters;

/// What happened to a request so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) tried: Tried,
    /// The last attempt failed, so that another one has to be afforded.
    pub(super) failed: bool,
    /// Attempts that failed.
    pub(super) failures: u32,
    /// What became of each attempt.
    pub(super) attempts: Attempts,
    /// The last real answer or error.
    pub(super) last: Option<Answer>,
    /// Whether its decisions are kept.
    pub(super) sampled: bool,
    pub(super) answers: Answers,
}

impl Progress {
    /// Takes note of an attempt that did not settle the matter.
    pub(super) fn goes_on_after(&mut self, attempt: Attempt, counters: &Counters) {
        self.failed = attempt.verdict == Verdict::TryElsewhere;
        if self.failed {
            self.failures += 1;
        } else {
            self.tried.refused();
            counters.refused();
        }
        self.last = Some(attempt.into());
    }
}
