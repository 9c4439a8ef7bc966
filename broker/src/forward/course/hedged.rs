//! An attempt that gets a copy elsewhere when it is late.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use edge_balance::{Destination, Hedging, Nanos, SharedHedging};
use edge_proto::rpc::Outcome;
use futures_util::future::{Either, select};

use super::super::attempt::Attempt;
use super::super::progress::Progress;
use super::{Course, Leg};

impl Course<'_> {
    /// What is known of how long to wait for an answer before a copy is sent elsewhere, if one may
    /// be.
    pub(super) fn hedging(self, leg: &Leg, progress: &Progress) -> Option<SharedHedging> {
        let may = self.forwarder.hedges
            && self.request.may_repeat
            && !self.request.dry
            && !self.view.asynchronous
            && !leg.is_last
            && progress.answers.is_empty();
        may.then(|| leg.pick.hedging())
    }

    /// One attempt and, if there is no answer after `delay`, a copy of it elsewhere; whoever
    /// answers first wins, and the other one is cancelled.
    pub(super) async fn hedged(
        &self,
        leg: Leg,
        hedging: &Hedging,
        delay: Nanos,
        progress: &mut Progress,
    ) -> Attempt {
        let counters = &self.forwarder.counters;
        let destination = leg.pick.destination().clone();
        let started = leg.now;
        let (mut first_pick, mut second_pick) = (Some(leg.pick), None);
        let mut decisions = (leg.decision, None);
        let attempt = {
            let mut first = pin!(self.attempt(&mut first_pick, leg.max_wait, leg.now));
            let late = self.until_copied(first.as_mut(), &destination, hedging, delay, progress);
            match late.await {
                Either::Left(attempt) => attempt,
                Either::Right(copy) => {
                    counters.hedged();
                    second_pick = Some(copy.pick);
                    decisions.1 = copy.decision;
                    let copied = copy.now;
                    let second = pin!(self.attempt(&mut second_pick, copy.max_wait, copied));
                    let judged = |copy: Attempt| {
                        let took = copy.took.into();
                        if copy.settles() {
                            hedging.copy_answered(took, delay);
                        } else {
                            hedging.copied_in_vain(took, delay);
                        }
                        copy
                    };
                    match select(first, second).await {
                        Either::Left((attempt, _)) if attempt.settles() => {
                            hedging.copied_in_vain(copied.elapsed().into(), delay);
                            attempt
                        }
                        Either::Right((copy, _)) if copy.settles() => judged(copy),
                        Either::Left((attempt, second)) => {
                            progress.attempts.ended(attempt.outcome, attempt.begun);
                            progress.goes_on_after(attempt, counters);
                            judged(second.await)
                        }
                        Either::Right((copy, first)) => {
                            progress.attempts.ended(copy.outcome, copy.begun);
                            progress.goes_on_after(judged(copy), counters);
                            first.await
                        }
                    }
                }
            }
        };
        let took = started.elapsed();
        let outcome = attempt.outcome;
        if let Some(outrun) = first_pick {
            counters.hedge_won();
            progress.attempts.outrun();
            outrun.outrun(self.now());
            self.explained(decisions.0, took, Outcome::Unspecified);
            self.explained(decisions.1, attempt.took, outcome);
        } else {
            self.explained(decisions.0, took, outcome);
            if second_pick.is_some() {
                progress.attempts.outrun();
                self.explained(decisions.1, took, Outcome::Unspecified);
            }
        }
        attempt
    }

    /// Waits until `first` is answered, or it is late and a copy can be sent. Where none can, it looks
    /// again, each time after twice as long: by then there may be room elsewhere, or the destination
    /// have been set aside.
    async fn until_copied(
        &self,
        mut first: Pin<&mut impl Future<Output = Attempt>>,
        destination: &Destination,
        hedging: &Hedging,
        delay: Nanos,
        progress: &mut Progress,
    ) -> Either<Attempt, Leg> {
        let (mut patience, mut is_late) = (Duration::from(delay), false);
        loop {
            let pause = pin!(tokio::time::sleep(patience));
            match select(first.as_mut(), pause).await {
                Either::Left((attempt, _)) => {
                    if !is_late && attempt.outcome == Outcome::Ok {
                        hedging.answered(attempt.took.into());
                    }
                    return Either::Left(attempt);
                }
                Either::Right(_) => {
                    if !is_late {
                        hedging.late();
                        is_late = true;
                    }
                    let is_ill = !destination.health().standing().is_well();
                    if hedging.take_copy(is_ill) {
                        if let Some(copy) = self.copy_leg(progress) {
                            return Either::Right(copy);
                        }
                        hedging.copied_in_vain(Nanos::ZERO, delay);
                    }
                    patience = patience.saturating_mul(2);
                }
            }
        }
    }

    /// Where a copy can go, if there is such a place and the budget allows it.
    fn copy_leg(self, progress: &mut Progress) -> Option<Leg> {
        let failed = std::mem::replace(&mut progress.failed, true);
        let leg = self.next_leg(progress, None, Instant::now()).ok();
        progress.failed = failed;
        leg
    }
}
