//! What an attempt means: for the caller, for the destination, and for what is learnt.

use std::time::Duration;

use edge_balance::{Destination, Nanos, Pick, Report};
use edge_proto::rpc::Outcome;
use edge_proto::view::ResponseView;
use edge_transport::pushback::{self, PushBack};
use edge_transport::{CallError, LambdaReply, unexecuted};
use tonic::Code;

use super::reply::{Answer, SOON, failure};
use super::{Ended, Query};
use crate::metrics::Counters;
use crate::report::report;
use crate::trace::Line;

/// The end of one attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    /// What the caller gets, unless another attempt does better.
    pub(super) reply: LambdaReply,
    /// What became of the request there.
    pub(super) outcome: Outcome,
    /// Whether it may have been executed there, at least in part.
    pub(super) begun: bool,
    /// How long it took.
    pub(super) took: Duration,
}

impl From<Attempt> for Answer {
    fn from(Attempt { reply, outcome, .. }: Attempt) -> Self {
        Self { reply, outcome }
    }
}

/// Whether another destination may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The caller gets the reply.
    Final,
    /// Trying elsewhere can help and cannot execute the request twice, unless
    /// it may be executed twice.
    TryElsewhere,
    /// The destination turned the request down, unexecuted, because it would
    /// have had to wait too long: another one is likely to be quicker.
    Refused,
}

impl Attempt {
    /// The time to wait before it was sent ran out: nobody's fault.
    pub(super) fn overdue(request: &Query<'_>, pick: Option<Pick>, text: String) -> Self {
        drop(pick);
        Self::failed(request, Verdict::Final, Outcome::Deadline, text).unbegun()
    }

    /// Too many wait for a place there already: another destination may have one.
    pub(super) fn crowded(request: &Query<'_>, pick: Option<Pick>, text: String) -> Self {
        drop(pick);
        let mut attempt =
            Self::failed(request, Verdict::TryElsewhere, Outcome::Overloaded, text).unbegun();
        pushback::set(&mut attempt.reply.trailers, SOON);
        attempt
    }

    fn failed(request: &Query<'_>, verdict: Verdict, outcome: Outcome, text: String) -> Self {
        Self {
            verdict,
            reply: failure(outcome, text, request.uuid).reply,
            outcome,
            begun: true,
            took: Duration::ZERO,
        }
    }

    fn unbegun(self) -> Self {
        Self {
            begun: false,
            ..self
        }
    }

    /// Whether it is of no use to wait for the answer to a copy of the request.
    pub(super) fn settles(&self) -> bool {
        self.verdict == Verdict::Final
    }
}

/// Judges an attempt, tells `pick` how it went, and lets the optimizer learn.
pub(super) fn judge(
    request: &Query<'_>,
    pick: Pick,
    destination: &Destination,
    answered: Result<LambdaReply, CallError>,
    ended: Ended,
    counters: &Counters,
) -> Attempt {
    let attempt = match answered {
        Ok(reply) => judge_answer(request, pick, destination, reply, ended, counters),
        Err(error) => judge_error(request, pick, &error, ended.now),
    };
    Attempt {
        took: ended.latency,
        ..attempt
    }
}

fn judge_answer(
    request: &Query<'_>,
    pick: Pick,
    destination: &Destination,
    mut reply: LambdaReply,
    ended: Ended,
    counters: &Counters,
) -> Attempt {
    let view = match ResponseView::parse(&reply.message) {
        Ok(view) => view,
        Err(error) => {
            pick.misbehaved(ended.now);
            let text = format!("invalid answer from {}: {error}", destination.name());
            return unavailable(request, text, request.may_repeat);
        }
    };
    let report = report(&view);
    if report.cold_start.is_some() {
        counters.cold_start();
    }
    let outcome = view.outcome();
    let is_marked = unexecuted::is_marked(&reply.trailers);
    let begun = match outcome {
        // Refusals by their nature.
        Outcome::NotFound | Outcome::Refused | Outcome::Overloaded => false,
        Outcome::Deadline | Outcome::Unavailable => !is_marked,
        Outcome::Ok | Outcome::Unspecified | Outcome::ApplicationError => true,
    };
    let verdict = match outcome {
        Outcome::Ok if view.asynchronous || request.dry => {
            // Tells nothing about how long the execution takes.
            pick.answered(&report, ended.now);
            Verdict::Final
        }
        Outcome::Ok => {
            learn(request, pick, destination, &report, ended);
            Verdict::Final
        }
        // Turned down, since it would not have been done in time there. Somebody else may be quicker.
        Outcome::Deadline if is_marked => {
            pick.answered(&report, ended.now);
            Verdict::TryElsewhere
        }
        // The platform works: what failed is the function or its input.
        Outcome::Unspecified | Outcome::ApplicationError | Outcome::Deadline => {
            pick.answered(&report, ended.now);
            Verdict::Final
        }
        Outcome::Refused => {
            // Any client can ask for what nobody can promise, which must not pass for a fault of
            // the destination, nor use up what the policy can afford.
            if !request.sender_set(ended.max_wait) {
                pick.refused(&report, ended.now);
            } else if !pick.is_trial() {
                pick.answered(&report, ended.now);
            }
            Verdict::Refused
        }
        // Turned down unexecuted by a platform that works.
        Outcome::NotFound => {
            pick.answered(&report, ended.now);
            Verdict::TryElsewhere
        }
        // Likewise, and it says when to come back.
        Outcome::Overloaded => {
            let (pause, verdict) = match pushback::get(&reply.trailers) {
                None => (None, Verdict::TryElsewhere),
                Some(PushBack::After(pause)) => (Some(pause), Verdict::TryElsewhere),
                Some(PushBack::Never) => (None, Verdict::Final),
            };
            let pause = pause.map(Nanos::from);
            if pushback::take_all(&mut reply.trailers) {
                pick.all_overloaded(pause, &report, ended.now);
            } else {
                pick.overloaded(pause, &report, ended.now);
            }
            verdict
        }
        Outcome::Unavailable => {
            pick.misbehaved(ended.now);
            // What is behind it cannot be reached, for example.
            repeat_if(request.may_repeat || is_marked)
        }
    };
    let message = if view.responder.is_empty() {
        ResponseView::with_responder(reply.message, destination.name())
    } else {
        reply.message
    };
    Attempt {
        verdict,
        reply: LambdaReply {
            message,
            trailers: reply.trailers,
        },
        outcome,
        begun,
        took: ended.latency,
    }
}

fn learn(
    request: &Query<'_>,
    pick: Pick,
    destination: &Destination,
    report: &Report,
    ended: Ended,
) {
    let latency = Nanos::from(ended.latency);
    if let (Some(trace), Some(forecast)) = (request.trace, pick.forecast()) {
        trace.write(Line {
            now: ended.now,
            lambda: request.name.to_owned(),
            destination: destination.name().to_owned(),
            forecast: *forecast,
            latency,
            residence: report.credible(latency).residence.unwrap_or_default(),
        });
    }
    let seconds = ended.latency.as_secs_f64();
    let optimizer = &request.learning.optimizer;
    optimizer.record(&pick, seconds, ended.now);
    pick.succeeded(latency, report, ended.now);
}

fn judge_error(request: &Query<'_>, pick: Pick, error: &CallError, now: Nanos) -> Attempt {
    let text = error.to_string();
    match error {
        // The caller's time is up, which says little about the destination:
        // if it is frozen, its connection finds out.
        CallError::Deadline => {
            drop(pick);
            Attempt::failed(request, Verdict::Final, Outcome::Deadline, text)
        }
        CallError::Status { status, .. } => {
            let outcome = match status.code() {
                // These say that the destination is not fit to serve anything.
                Code::Unavailable | Code::Unimplemented | Code::Cancelled | Code::Unknown => {
                    pick.misbehaved(now);
                    return unanswered(text, error, request);
                }
                Code::DeadlineExceeded => Outcome::Deadline,
                _ => Outcome::ApplicationError,
            };
            pick.answered(&Report::default(), now);
            Attempt::failed(request, Verdict::Final, outcome, text)
        }
        CallError::Connect(_) | CallError::NotTaken { .. } | CallError::Lost { .. } => {
            pick.failed(now);
            unanswered(text, error, request)
        }
        CallError::Invalid { .. } => {
            pick.misbehaved(now);
            unavailable(request, text, request.may_repeat)
        }
    }
}

/// Of an attempt that brought no answer.
fn unanswered(text: String, error: &CallError, request: &Query<'_>) -> Attempt {
    if error.never_left() {
        return unavailable(request, text, true).unbegun();
    }
    unavailable(request, text, request.may_repeat)
}

fn unavailable(request: &Query<'_>, text: String, elsewhere: bool) -> Attempt {
    Attempt::failed(request, repeat_if(elsewhere), Outcome::Unavailable, text)
}

fn repeat_if(may: bool) -> Verdict {
    if may {
        Verdict::TryElsewhere
    } else {
        Verdict::Final
    }
}
