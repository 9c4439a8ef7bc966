//! The course of one request: attempt after attempt, as long as that can help and does no harm.

mod hedged;

use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_balance::{Answers, Nanos, NoDestination, Pick, Tried};
use edge_proto::rpc::Outcome;
use edge_proto::view::RequestView;
use edge_transport::LambdaCall;
use rand::RngExt as _;
use smallvec::SmallVec;

use super::attempt::{self, Attempt};
use super::pending::NoPlace;
use super::progress::Progress;
use super::reply::{self, Answer, NO_DESTINATIONS};
use super::{Ended, Forwarder, PerCore, Query};
use crate::admission::{Applicant, Busy};
use crate::explain::Pending;
use crate::probes::Question;

/// How often a broker whose first table is not complete looks for a lambda in it.
const TABLE_LOOKED_FOR_EVERY: Duration = Duration::from_millis(10);

/// A request, and what it is sent with: the same for all attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) forwarder: &'a Forwarder,
    pub(super) core: &'a PerCore,
    pub(super) view: &'a RequestView<'a>,
    pub(super) request: &'a Query<'a>,
    pub(super) call: &'a LambdaCall,
    pub(super) arrived: Instant,
}

/// An attempt that is about to be made.
#[derive(Debug)]
struct Leg {
    pick: Pick,
    max_wait: Option<Nanos>,
    is_last: bool,
    /// Elsewhere, since few requests are sampled.
    decision: Option<Box<Pending>>,
    /// When it was decided on.
    now: Instant,
}

/// How a request ends without another attempt.
#[derive(Debug)]
enum End {
    /// With this.
    With(Box<Answer>),
    /// With what the last attempt came to.
    AsItIs,
    /// Not yet: there is no room for it now where it has not been.
    Wait,
    /// Not yet: nothing is known of the lambda, and not all lambdas are known.
    NoTable,
}

impl Course<'_> {
    /// Tries one destination after the other. What the caller sees is the last real answer or
    /// error, with the attempts that it took.
    pub(super) async fn run(&self) -> Answer {
        let arrived = self.forwarder.clock.at(self.arrived);
        self.forwarder.budget.deposit(arrived);
        let mut progress = Progress {
            sampled: self
                .forwarder
                .decisions
                .samples(&self.call.metadata, || self.core.random().random()),
            ..Progress::default()
        };
        if self.forwarder.inquirer.is_some() {
            progress.answers = Box::pin(self.inquire()).await;
        }
        let answer = self.attempts(&mut progress).await;
        Answer {
            reply: reply::with_attempts(answer.reply, &progress.attempts),
            ..answer
        }
    }

    async fn attempts(&self, progress: &mut Progress) -> Answer {
        let (mut called, mut waits) = (None, 0);
        // Nothing takes time before the first attempt, unless destinations are asked.
        let mut known_now = self.forwarder.inquirer.is_none().then_some(self.arrived);
        loop {
            let now = known_now.take().unwrap_or_else(Instant::now);
            let leg = match self.next_leg(progress, called.take(), now) {
                Ok(leg) => leg,
                Err(End::With(answer)) => return *answer,
                Err(End::AsItIs) => break,
                Err(End::NoTable) => {
                    tokio::time::sleep(TABLE_LOOKED_FOR_EVERY).await;
                    continue;
                }
                Err(End::Wait) => {
                    waits += 1;
                    match Box::pin(self.wait_for_a_place(&progress.tried, waits)).await {
                        Ok(call) => called = Some(call),
                        Err(Busy(_)) if progress.last.is_some() => break,
                        Err(Busy(push_back)) => {
                            self.forwarder.counters.shed();
                            return reply::busy(push_back, self.request.uuid);
                        }
                    }
                    continue;
                }
            };
            waits = 0;
            let hedging = self.hedging(&leg, progress);
            let known = hedging.as_ref().and_then(|h| Some((h, h.after()?)));
            let attempt = match known {
                Some((hedging, delay)) => {
                    Box::pin(self.hedged(leg, hedging, delay, progress)).await
                }
                None => {
                    let attempt = self.plain(leg).await;
                    // Not enough is known: this one adds to it.
                    if let Some(hedging) = hedging.filter(|_| attempt.outcome == Outcome::Ok) {
                        hedging.answered(attempt.took.into());
                    }
                    attempt
                }
            };
            progress.attempts.ended(attempt.outcome, attempt.begun);
            // A copy counts.
            let is_last = progress.tried.len() >= self.forwarder.max_attempts;
            if is_last || attempt.settles() {
                return attempt.into();
            }
            progress.goes_on_after(attempt, &self.forwarder.counters);
            if progress.failed {
                self.forwarder.counters.retried();
            }
            if !self.back_off(progress.failures).await {
                break;
            }
        }
        let last = progress.last.take();
        let uuid = self.request.uuid;
        last.unwrap_or_else(|| reply::failure(Outcome::Unavailable, NO_DESTINATIONS, uuid))
    }

    /// Stands in line until a destination has room where the request has not been.
    async fn wait_for_a_place(
        &self,
        tried: &Tried,
        waits: u32,
    ) -> Result<Result<Pick, NoDestination>, Busy> {
        /// Whoever is called up may still find that a retry was quicker.
        const MOST_WAITS: u32 = 4;
        if waits > MOST_WAITS {
            return Err(Busy(reply::SOON));
        }
        let admission = &self.forwarder.admission;
        let place = admission.line_up(Applicant {
            peer: self.request.peer,
            request: self.request.for_pick(),
            tried,
            priority: self.request.priority,
            table: self.request.learning,
            deadline: self.call.deadline,
        })?;
        admission.call_up(&mut *self.core.random());
        place.called().await
    }

    /// Chooses where to try next, if another attempt is allowed; `called` is what was chosen for it
    /// while it waited.
    fn next_leg(
        self,
        progress: &mut Progress,
        called: Option<Result<Pick, NoDestination>>,
        instant: Instant,
    ) -> Result<Leg, End> {
        let Forwarder {
            budget,
            counters,
            max_attempts,
            ..
        } = self.forwarder;
        let now = self.forwarder.clock.at(instant);
        let table = &self.request.learning.table;
        let tried = &progress.tried;
        let explanation = progress
            .sampled
            .then(|| table.explain(self.request.for_pick(), tried, now))
            .flatten();
        let is_first = tried.is_empty();
        let admission = &self.forwarder.admission;
        let (name, learning) = (self.request.name, self.request.learning);
        if is_first && called.is_none() && admission.is_awaited(name, learning) {
            return Err(End::Wait);
        }
        let pick_now = || {
            table.pick_knowing(
                self.request.for_pick(),
                tried,
                &progress.answers,
                now,
                &mut *self.core.random(),
            )
        };
        let picked = called.unwrap_or_else(pick_now);
        // Nobody lines up for what it could not afford. Refusals have a budget of their own, which
        // the policy keeps.
        let retry = match &picked {
            Ok(_) | Err(NoDestination::Saturated) if progress.failed => {
                let withdrawal = budget.withdraw(now);
                Some(withdrawal.ok_or_else(|| {
                    counters.budget_exhausted();
                    End::AsItIs
                })?)
            }
            _ => None,
        };
        let pick = match picked {
            Ok(pick) => pick,
            Err(NoDestination::Saturated) => return Err(End::Wait),
            Err(_) if progress.last.is_some() => return Err(End::AsItIs),
            Err(NoDestination::UnknownLambda) if self.forwarder.awaits_table() => {
                return Err(End::NoTable);
            }
            Err(NoDestination::UnknownLambda | NoDestination::AllTried) => {
                let nowhere = reply::failure(Outcome::NotFound, NO_DESTINATIONS, self.request.uuid);
                return Err(End::With(nowhere.into()));
            }
        };
        let number = tried.len() + 1;
        let is_last = number >= *max_attempts;
        let max_wait = self.request.max_wait(&pick, is_last);
        let decision = explanation.map(|explanation| {
            let identity = (self.request.name, self.request.uuid);
            let policy = table.policy_of(self.request.name).name();
            let pending = Pending::new(identity, policy, number, explanation, &pick, max_wait);
            Box::new(pending)
        });
        let refused = self.request.refused_early(&pick, now);
        let left = Nanos::from(self.call.deadline.saturating_duration_since(instant));
        if let Some(refusal) = refused.or_else(|| self.request.too_late(&pick, left)) {
            if let Some(decision) = decision {
                let outcome = refusal.outcome;
                self.forwarder
                    .decisions
                    .ended(*decision, Duration::ZERO, outcome);
            }
            return Err(End::With(refusal.into()));
        }
        if is_first {
            self.probe(&pick, now);
        }
        if let Some(retry) = retry {
            retry.spend();
        }
        progress.tried.push(pick.destination().id());
        Ok(Leg {
            pick,
            max_wait,
            is_last,
            decision,
            now: instant,
        })
    }

    /// One attempt, and nothing beside it.
    async fn plain(&self, leg: Leg) -> Attempt {
        let mut pick = Some(leg.pick);
        let attempt = self.attempt(&mut pick, leg.max_wait, leg.now).await;
        self.explained(leg.decision, attempt.took, attempt.outcome);
        attempt
    }

    /// What destinations say about this request, if the policy wants to know
    /// before it picks.
    async fn inquire(&self) -> Answers {
        let Some(inquirer) = &self.forwarder.inquirer else {
            return Answers::default();
        };
        let table = &self.request.learning.table;
        let probes = table.inquire(
            self.request.for_pick(),
            &Tried::new(),
            self.now(),
            &mut *self.core.random(),
        );
        let question = self.view.asking(&self.call.message);
        inquirer
            .ask(
                probes,
                &question,
                self.call.deadline,
                &self.core.client,
                self.forwarder.clock,
                &self.forwarder.counters,
            )
            .await
    }

    /// Sends the probes that the policy wants at the occasion of this request: the same request,
    /// marked dry, since what a destination expects depends on the input.
    fn probe(self, pick: &Pick, now: Nanos) {
        let probes = pick.probes(now, &mut *self.core.random());
        if probes.is_empty() {
            return;
        }
        let question = Question::about(self.view, &self.call.message);
        for probe in probes {
            let (clock, counters) = (self.forwarder.clock, &self.forwarder.counters);
            self.core
                .prober
                .send(probe, &question, &self.core.client, clock, counters);
        }
    }

    /// Sends the request where `pick` says, which is told how it went; it is left in its place if
    /// the attempt is cancelled.
    async fn attempt(
        &self,
        pick: &mut Option<Pick>,
        max_wait: Option<Nanos>,
        now: Instant,
    ) -> Attempt {
        let Forwarder {
            delay,
            pending,
            clock,
            counters,
            ..
        } = self.forwarder;
        let held = pick.as_ref().expect("an attempt begins with a pick");
        let destination = held.destination().clone();
        let is_trial = held.is_trial();
        let max_wait_us = max_wait.map_or(0, |span| span.as_micros().max(1));
        let message = self.forwarded(max_wait_us);
        let deadline = self.call.deadline;
        let mut started = now;
        if delay.pause.is_some() {
            if let Err(text) = Box::pin(delay.wait(&self.core.random, deadline)).await {
                return Attempt::overdue(self.request, pick.take(), text);
            }
            started = Instant::now();
        }
        let _permit = match pending {
            None => None,
            Some(limit) => match Box::pin(limit.acquire(destination.name(), deadline)).await {
                Ok(permit) => Some(permit),
                Err(NoPlace::Overdue(text)) => {
                    return Attempt::overdue(self.request, pick.take(), text);
                }
                Err(NoPlace::Crowded(text)) => {
                    return Attempt::crowded(self.request, pick.take(), text);
                }
            },
        };
        let answered = if delay.is_fake() {
            Ok(delay.fake_answer(&self.core.random))
        } else {
            let (client, metadata) = (&self.core.client, &self.call.metadata);
            let name = destination.name();
            let proven = if is_trial {
                // Connections of other cores may be as broken as the one that told of it.
                let proven = Box::pin(client.prove(name, deadline)).await;
                started = Instant::now();
                proven
            } else {
                Ok(())
            };
            match proven {
                Ok(()) => {
                    client
                        .send(name, &message, metadata, deadline, started)
                        .await
                }
                Err(error) => Err(error),
            }
        };
        let over = Instant::now();
        let ended = Ended {
            latency: over.saturating_duration_since(started),
            now: clock.at(over),
            max_wait,
        };
        let pick = pick.take().expect("nobody else takes it");
        let attempt = attempt::judge(self.request, pick, &destination, answered, ended, counters);
        let admission = &self.forwarder.admission;
        if admission.waiting() > 0 {
            admission.call_up(&mut *self.core.random());
        }
        attempt
    }

    /// The request as it is passed on.
    fn forwarded(self, max_wait_us: u64) -> SmallVec<[Bytes; 1]> {
        /// Messages up to this size are copied, which is quicker than to send them in pieces.
        const COPY_LIMIT: usize = 8 << 10;
        let message = &self.call.message;
        if message.len() > COPY_LIMIT {
            return self.view.forwarded_in_pieces(message, max_wait_us).into();
        }
        let mut whole = SmallVec::new();
        whole.push(self.view.forwarded(message, max_wait_us));
        whole
    }

    /// Pauses before the second retry and those after it; false if the deadline would pass.
    async fn back_off(&self, failures: u32) -> bool {
        let Some(exponent) = failures.checked_sub(2) else {
            return true;
        };
        let most = self.forwarder.back_off.for_retry(exponent);
        let pause = most.mul_f64(self.core.random().random());
        let left = self.call.deadline.saturating_duration_since(Instant::now());
        if pause >= left {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    fn explained(self, decision: Option<Box<Pending>>, took: Duration, outcome: Outcome) {
        if let Some(decision) = decision {
            self.forwarder.decisions.ended(*decision, took, outcome);
        }
    }

    fn now(self) -> Nanos {
        self.forwarder.clock.now()
    }
}
