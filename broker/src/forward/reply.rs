//! What a caller gets that no destination wrote: errors, and how many attempts it took.

use std::time::Duration;

use bytes::Bytes;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::{LambdaReply, Metadata, pushback, unexecuted};
use http::{HeaderName, HeaderValue};
use prost::Message as _;

use crate::metrics::OUTCOMES;

/// What a request gets when its lambda is in no table.
pub(super) const NO_DESTINATIONS: &str = "No destinations found for the entry";
/// Trailing metadata: how many attempts it took; absent if it took one.
const ATTEMPTS: HeaderName = HeaderName::from_static("edge-attempts");
/// Trailing metadata: what became of each of them.
const ATTEMPT_OUTCOMES: HeaderName = HeaderName::from_static("edge-attempt-outcomes");
/// An attempt that was cancelled because its copy was answered first.
pub(super) const OUTRUN: &str = "outrun";
/// When to come back where nothing better is known.
pub(super) const SOON: Duration = Duration::from_millis(20);

pub(super) fn failure(outcome: Outcome, text: impl Into<String>) -> LambdaReply {
    encoded(&LambdaResponse::error(outcome, text))
}

pub(super) fn encoded(response: &LambdaResponse) -> LambdaReply {
    LambdaReply {
        message: Bytes::from(response.encode_to_vec()),
        trailers: Metadata::new(),
    }
}

/// The refusal of a request for which there is no place now.
pub(super) fn busy(push_back: Duration) -> LambdaReply {
    let milliseconds = u64::try_from(push_back.as_millis()).unwrap_or(u64::MAX);
    let text = format!("overloaded: all destinations are busy, try again in {milliseconds} ms");
    let mut reply = failure(Outcome::Overloaded, text);
    pushback::set(&mut reply.trailers, push_back);
    reply
}

/// Tells the caller what became of each attempt, if there was more than one. A reply that says that
/// the request was not executed says so of all attempts, or no longer.
pub(super) fn with_attempts(mut reply: LambdaReply, outcomes: &[&str]) -> LambdaReply {
    if outcomes.len() < 2 && reply.trailers.is_empty() {
        return reply;
    }
    if !outcomes.iter().all(|outcome| is_never_begun(outcome)) {
        unexecuted::unmark(&mut reply.trailers);
    }
    if outcomes.len() > 1 {
        let trailers = &mut reply.trailers;
        trailers.insert(&ATTEMPTS, &HeaderValue::from(outcomes.len()));
        if let Ok(list) = HeaderValue::from_str(&outcomes.join(",")) {
            trailers.insert(&ATTEMPT_OUTCOMES, &list);
        }
    }
    reply
}

/// Whether an attempt was turned down unexecuted that was followed by another one, or marked.
fn is_never_begun(outcome: &str) -> bool {
    let refusals = [
        Outcome::NotFound,
        Outcome::Refused,
        Outcome::Overloaded,
        // Without the mark none would have followed.
        Outcome::Deadline,
    ];
    refusals.map(outcome_name).contains(&outcome)
}

pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    OUTCOMES[outcome as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_if_there_was_more_than_one() {
        let told = |outcomes: &[&str]| with_attempts(LambdaReply::default(), outcomes).trailers;
        assert!(told(&["ok"]).is_empty());
        let trailers = told(&["unavailable", "ok"]);
        assert_eq!(trailers.text("edge-attempts"), Some("2"));
        let list = trailers.text("edge-attempt-outcomes");
        assert_eq!(list, Some("unavailable,ok"));
    }

    #[test]
    fn a_request_passes_for_unexecuted_only_if_no_attempt_may_have_executed_it() {
        let stays = |outcomes: &[&str]| {
            let mut reply = LambdaReply::default();
            unexecuted::mark(&mut reply.trailers);
            unexecuted::is_marked(&with_attempts(reply, outcomes).trailers)
        };
        assert!(stays(&["deadline"]));
        assert!(stays(&["overloaded", "refused", "not_found", "deadline"]));
        assert!(!stays(&["unavailable", "deadline"]));
        assert!(!stays(&[OUTRUN, "deadline"]));
    }
}
