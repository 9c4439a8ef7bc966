//! What a caller gets that no destination wrote: errors, and how many attempts it took.

use std::time::Duration;

use bytes::Bytes;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::{LambdaReply, Metadata, pushback, unexecuted};
use http::{HeaderName, HeaderValue};
use prost::Message as _;
use smallvec::SmallVec;

use crate::metrics::OUTCOMES;

/// What a request gets when its lambda is in no table.
pub(super) const NO_DESTINATIONS: &str = "No destinations found for the entry";
/// Trailing metadata: how many attempts it took; absent if it took one.
const ATTEMPTS: HeaderName = HeaderName::from_static("edge-attempts");
/// Trailing metadata: what became of each of them.
const ATTEMPT_OUTCOMES: HeaderName = HeaderName::from_static("edge-attempt-outcomes");
/// An attempt that was cancelled because its copy was answered first.
const OUTRUN: &str = "outrun";
/// When to come back where nothing better is known.
pub(super) const SOON: Duration = Duration::from_millis(20);

/// Longest uuid that comes back with what a broker says itself, in bytes.
const LONGEST_UUID: usize = 1024;

/// What a caller gets, and what it says became of the request, so that nobody has to read it again.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reply: LambdaReply,
    pub(super) outcome: Outcome,
}

/// An answer of our own to the request with this uuid.
pub(super) fn failure(outcome: Outcome, text: impl Into<String>, uuid: &str) -> Answer {
    let mut response = LambdaResponse::error(outcome, text);
    if uuid.len() <= LONGEST_UUID {
        uuid.clone_into(&mut response.uuid);
    }
    own(&response)
}

/// An answer that this broker makes.
pub(super) fn own(response: &LambdaResponse) -> Answer {
    Answer {
        reply: encoded(response),
        outcome: response.outcome(),
    }
}

pub(super) fn encoded(response: &LambdaResponse) -> LambdaReply {
    LambdaReply {
        message: Bytes::from(response.encode_to_vec()),
        trailers: Metadata::new(),
    }
}

/// The refusal of a request for which there is no place now.
pub(super) fn busy(push_back: Duration, uuid: &str) -> Answer {
    let milliseconds = u64::try_from(push_back.as_millis()).unwrap_or(u64::MAX);
    let text = format!("overloaded: all destinations are busy, try again in {milliseconds} ms");
    let mut busy = failure(Outcome::Overloaded, text, uuid);
    pushback::set(&mut busy.reply.trailers, push_back);
    busy
}

/// The same of one for which the broker as a whole has too much to do, so that it is not read.
pub(super) fn all_busy() -> Answer {
    let mut busy = busy(SOON, "");
    pushback::extend_to_all(&mut busy.reply.trailers);
    busy
}

/// What became of the attempts so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    outcomes: SmallVec<[&'static str; 4]>,
    /// Some attempt may have executed the request, at least in part.
    begun: bool,
    /// The last one could not be served, which says nothing by itself of whether it was executed.
    is_unavailable: bool,
}

impl Attempts {
    pub(super) fn ended(&mut self, outcome: Outcome, begun: bool) {
        self.outcomes.push(outcome_name(outcome));
        self.begun |= begun;
        self.is_unavailable = outcome == Outcome::Unavailable;
    }

    /// One was cancelled, and nobody knows how far it had come.
    pub(super) fn outrun(&mut self) {
        self.outcomes.push(OUTRUN);
        self.begun = true;
    }
}

/// Tells the caller what became of each attempt, if there was more than one. A reply says that the
/// request was not executed if that is so of all attempts, and only then.
pub(super) fn with_attempts(mut reply: LambdaReply, attempts: &Attempts) -> LambdaReply {
    let Attempts {
        outcomes,
        begun,
        is_unavailable,
    } = attempts;
    if *is_unavailable && !begun {
        unexecuted::mark(&mut reply.trailers);
    }
    if outcomes.len() < 2 && reply.trailers.is_empty() {
        return reply;
    }
    if *begun {
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

fn outcome_name(outcome: Outcome) -> &'static str {
    OUTCOMES[outcome as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reply: LambdaReply, ends: &[(Outcome, bool)]) -> Metadata {
        let mut attempts = Attempts::default();
        for (outcome, begun) in ends {
            attempts.ended(*outcome, *begun);
        }
        with_attempts(reply, &attempts).trailers
    }

    fn marked() -> LambdaReply {
        let mut reply = LambdaReply::default();
        unexecuted::mark(&mut reply.trailers);
        reply
    }

    #[test]
    fn attempts_are_told_if_there_was_more_than_one() {
        let told = |ends: &[(Outcome, bool)]| after(LambdaReply::default(), ends);
        assert!(told(&[(Outcome::Ok, true)]).is_empty());
        let trailers = told(&[(Outcome::Unavailable, true), (Outcome::Ok, true)]);
        assert_eq!(trailers.text("edge-attempts"), Some("2"));
        let list = trailers.text("edge-attempt-outcomes");
        assert_eq!(list, Some("unavailable,ok"));
    }

    #[test]
    fn a_request_passes_for_unexecuted_only_if_no_attempt_may_have_executed_it() {
        let stays = |ends: &[(Outcome, bool)]| unexecuted::is_marked(&after(marked(), ends));
        let never_left = after(LambdaReply::default(), &[(Outcome::Unavailable, false)]);
        assert!(unexecuted::is_marked(&never_left), "nobody else can know");
        let refused = after(LambdaReply::default(), &[(Outcome::Refused, false)]);
        assert!(refused.is_empty(), "it says so itself");
        assert!(stays(&[(Outcome::Deadline, false)]));
        assert!(stays(&[(Outcome::Unavailable, false)]));
        assert!(stays(&[
            (Outcome::Overloaded, false),
            (Outcome::Unavailable, false)
        ]));
        assert!(!stays(&[(Outcome::Unavailable, true)]));
        assert!(!stays(&[
            (Outcome::Unavailable, true),
            (Outcome::Deadline, false)
        ]));
        let mut attempts = Attempts::default();
        attempts.outrun();
        attempts.ended(Outcome::Unavailable, false);
        assert!(!unexecuted::is_marked(
            &with_attempts(marked(), &attempts).trailers
        ));
    }
}
