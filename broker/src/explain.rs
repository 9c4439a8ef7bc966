//! Why requests went where they went: the decisions about a sample of them, for the admin endpoint.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use edge_balance::{Explanation, Nanos, Pick};
use edge_proto::rpc::Outcome;
use edge_transport::Metadata;
use serde::{Serialize, Serializer};

use crate::config::ExplainConfig;

/// A request with this metadata, whatever its value, is always sampled.
pub(crate) const EXPLAIN_METADATA: &str = "edge-explain";
/// Candidates of one decision that are kept, the cheapest ones.
const MAX_CANDIDATES: usize = 64;
/// Bytes of a text from outside that are kept: clients may give a `uuid` as large as a message.
const MAX_TEXT: usize = 256;

/// The latest sampled decisions.
#[derive(Debug)]
pub(crate) struct Decisions {
    sample: f64,
    keep: usize,
    kept: Mutex<VecDeque<Arc<Decision>>>,
}

/// One attempt of one request: what was considered, what was chosen, and how it ended. Of texts that
/// come from outside, 256 bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// When it was made, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The `uuid` of the request; empty if it came without.
    pub uuid: String,
    /// Name of the lambda.
    pub lambda: String,
    /// The policy that chose.
    pub policy: &'static str,
    /// 1 for the first destination of this request, and so on.
    pub attempt: usize,
    /// Destinations that the request had not been to, the cheapest first; at most 64 of them.
    pub candidates: Vec<Candidate>,
    /// How many there were.
    pub candidates_total: usize,
    /// Where the request went, or would have gone had this broker not refused it.
    pub chosen: String,
    /// `best`, `trial`, `exploration` or `last-resort`.
    pub reason: &'static str,
    /// The wait that the destination was allowed, in microseconds; absent: any.
    pub max_wait_us: Option<u64>,
    /// Predicted time until the answer, in microseconds.
    pub predicted_us: Option<u64>,
    /// Time until the answer, in microseconds; 0 if this broker refused the request itself, since
    /// it would have waited longer than its sender wants.
    pub latency_us: u64,
    /// What became of it.
    pub outcome: &'static str,
}

/// A destination as the policy saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub destination: String,
    /// Smaller is better: seconds, or whatever the policy compares.
    pub cost: f64,
    /// What the cost is made of; names that end in `_s` are seconds.
    pub terms: Terms,
    /// Requests of this broker there.
    pub in_flight: u32,
    /// `healthy`, `full`, `ejected`, `stalled`, `pushed-back` or `on-trial`.
    pub standing: &'static str,
}

/// Decisions that are shown, the latest first; they are shared, so that taking them costs little.
#[derive(Debug)]
pub(crate) struct Latest(pub(crate) Vec<Arc<Decision>>);

impl Serialize for Latest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Arc::as_ref))
    }
}

/// What a cost is made of: numbers with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms(Box<[(&'static str, f64)]>);

impl Terms {
    /// The number of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A decision that waits for its outcome.
#[derive(Debug)]
pub(crate) struct Pending {
    decision: Decision,
}

impl Decisions {
    pub(crate) fn new(config: &ExplainConfig) -> Self {
        Self {
            sample: config.sample,
            keep: config.keep,
            kept: Mutex::default(),
        }
    }

    /// Whether the request is one to remember, `draw` being uniform in 0..1.
    pub(crate) fn samples(&self, metadata: &Metadata, draw: impl FnOnce() -> f64) -> bool {
        self.keep > 0
            && (metadata.contains_key(EXPLAIN_METADATA)
                || (self.sample > 0.0 && draw() < self.sample))
    }

    /// Keeps a decision, and forgets the oldest one if there are too many.
    pub(crate) fn ended(&self, pending: Pending, latency: Duration, outcome: Outcome) {
        let decision = Arc::new(Decision {
            latency_us: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            outcome: outcome_name(outcome),
            ..pending.decision
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= self.keep {
            kept.pop_front();
        }
        kept.push_back(decision);
    }

    /// The latest first; of one request, or of all if `uuid` is none.
    pub(crate) fn latest(&self, uuid: Option<&str>) -> Latest {
        let uuid = uuid.map(beginning);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |decision: &&Arc<Decision>| uuid.is_none_or(|uuid| decision.uuid == uuid);
        Latest(kept.iter().rev().filter(wanted).cloned().collect())
    }
}

impl Pending {
    /// `explanation` is what the policy thought right before `pick`.
    pub(crate) fn new(
        (lambda, uuid): (&str, &str),
        policy: &'static str,
        attempt: usize,
        explanation: Explanation,
        pick: &Pick,
        max_wait: Option<Nanos>,
    ) -> Self {
        let Explanation {
            mut candidates,
            total: candidates_total,
        } = explanation;
        candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        candidates.truncate(MAX_CANDIDATES);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            decision: Decision {
                unix_ms: now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
                uuid: beginning(uuid).to_owned(),
                lambda: beginning(lambda).to_owned(),
                policy,
                attempt,
                candidates: candidates.into_iter().map(Candidate::from).collect(),
                candidates_total,
                chosen: beginning(pick.destination().name()).to_owned(),
                reason: pick.reason().name(),
                max_wait_us: max_wait.map(Nanos::as_micros),
                predicted_us: pick.predicted().map(Nanos::as_micros),
                latency_us: 0,
                outcome: "",
            },
        }
    }
}

impl From<edge_balance::Candidate> for Candidate {
    fn from(candidate: edge_balance::Candidate) -> Self {
        Self {
            destination: beginning(&candidate.destination).to_owned(),
            cost: candidate.cost,
            terms: Terms(candidate.terms.into()),
            in_flight: candidate.in_flight,
            standing: candidate.standing.name(),
        }
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    crate::metrics::OUTCOMES[outcome as usize]
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("short"), "short");
        let text = format!("x{}", "\u{fc}".repeat(1000));
        assert_eq!(beginning(&text).len(), MAX_TEXT - 1);
    }

    #[test]
    fn terms_are_a_map_and_what_is_no_number_is_null() {
        let terms = Terms(Box::new([("workers", 2.0), ("network_s", f64::NAN)]));
        assert_eq!(
            serde_json::to_string(&terms).unwrap(),
            r#"{"workers":2.0,"network_s":null}"#
        );
        assert_eq!(terms.get("workers"), Some(2.0));
        assert_eq!(terms.get("other"), None);
    }
}
