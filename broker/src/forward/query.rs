//! What the path needs to know of a request, whatever destination it goes to.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use edge_balance::{Nanos, Occupancy, Pick};
use edge_proto::rpc::Outcome;
use edge_proto::view::RequestView;
use edge_transport::Peer;
use foldhash::fast::FixedState;

use super::reply::{Answer, failure};
use crate::tables::LearningTable;
use crate::trace::Trace;

/// A request as the forwarding path sees it.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) name: &'a str,
    pub(super) uuid: &'a str,
    pub(super) input_bytes: usize,
    pub(super) affinity: u64,
    pub(super) dry: bool,
    /// What a broker in front of this one is willing to wait for.
    pub(super) max_wait: Option<Nanos>,
    pub(super) may_repeat: bool,
    pub(super) priority: u8,
    pub(super) peer: Peer,
    pub(super) learning: &'a Arc<LearningTable>,
    pub(super) trace: Option<&'a Trace>,
}

impl Query<'_> {
    pub(super) fn for_pick(&self) -> edge_balance::Request<'_> {
        edge_balance::Request {
            lambda: self.name,
            input_bytes: self.input_bytes,
            affinity: self.affinity,
        }
    }

    /// The longest wait at the destination: what the policy wants, within what the sender wants.
    /// The last attempt is up to the sender alone, who would see a refusal by the policy's will.
    pub(super) fn max_wait(&self, pick: &Pick, is_last: bool) -> Option<Nanos> {
        match (pick.max_wait().filter(|_| !is_last), self.max_wait) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        }
    }

    /// Whether the sender's condition was the one in force when a destination was allowed
    /// `max_wait`.
    pub(super) fn sender_set(&self, max_wait: Option<Nanos>) -> bool {
        self.max_wait.is_some() && self.max_wait == max_wait
    }

    /// The refusal of a request that would wait longer even at the best destination than the
    /// broker that sent it is willing to, all workers being busy. With idle ones the destination
    /// decides: whoever refuses and reports idle workers is taken for broken.
    pub(super) fn refused_early(&self, pick: &Pick, now: Nanos) -> Option<Answer> {
        let wait = pick.predicted_wait()?;
        let max_wait = self.max_wait.filter(|max_wait| wait > *max_wait)?;
        let Occupancy { in_flight, workers } = self.learning.table.occupancy(self.name, now);
        if workers == 0 || in_flight < workers {
            return None;
        }
        let text = format!(
            "refused: lambda {} would wait {} us, the request allows {} us",
            self.name,
            wait.as_micros(),
            max_wait.as_micros()
        );
        Some(failure(Outcome::Refused, text, self.uuid))
    }

    /// The refusal of a request that would be answered after its deadline even by the best
    /// destination. One with nothing of ours in flight gets it all the same, since a prediction that
    /// nobody puts to the test would stand for ever.
    pub(super) fn too_late(&self, pick: &Pick, left: Nanos) -> Option<Answer> {
        let predicted = pick.predicted().filter(|predicted| *predicted > left)?;
        // The request itself is counted.
        if pick.is_trial() || pick.destination().in_flight() <= 1 {
            return None;
        }
        let text = format!(
            "deadline exceeded: lambda {} is expected to take {} us, {} us are left",
            self.name,
            predicted.as_micros(),
            left.as_micros()
        );
        Some(failure(Outcome::Deadline, text, self.uuid))
    }
}

/// Requests of one session go to the same destination where the policy cares: those with the same
/// states or, without any, the same lambda.
pub(super) fn affinity(view: &RequestView<'_>) -> u64 {
    FixedState::with_seed(0).hash_one((view.name, view.first_state))
}
