//! What one scenario came to, and whether that is what routers are expected to achieve.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::faults::{Goals, OnceErrors};
use super::latency::{self, Recovery};
use super::load::{End, Kind, Sample};
use super::run::{Evidence, Plan};
use super::world::Totals;

/// Attempts per request that a router may make.
const MOST_ATTEMPTS: f64 = 1.2;
/// Requests after which a router should know a computer that fails at once.
const LESSONS: u64 = 20;

/// Figures of one scenario, named as in the JSON lines. Times are in milliseconds, from when a
/// request was due; requests that failed count with the time after which they did.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) scenario: &'static str,
    pub(super) rate_rps: f64,
    pub(super) routers: usize,
    pub(super) kinds: Vec<Figures>,
    /// Attempts per request, refusals included, as the routers count them.
    pub(super) attempts: Option<f64>,
    /// Copies of late requests that the routers have sent.
    pub(super) hedges: Option<u64>,
    /// How long the fault lasted.
    pub(super) fault_ms: f64,
    /// From the fault, or, where there is no steady state meanwhile, from its end.
    pub(super) recovery_ms: Option<f64>,
    /// From the end of the fault until the p99 was that of the time afterwards.
    pub(super) return_ms: Option<f64>,
    /// The p99 up to which it was over.
    pub(super) normal_p99_ms: Option<f64>,
    /// Windows of half a second that were not normal later on.
    pub(super) relapses: usize,
    /// Most requests that were at the first computer at the same time from the fault on.
    pub(super) most_in_flight: u64,
    /// Requests that reached the first computer, if it fails at once: counted there, or else as
    /// errors and further attempts.
    pub(super) reached: Option<u64>,
    /// Connections to the first computer that were made during the fault.
    pub(super) connections: Option<u64>,
    /// Requests that a killed computer had begun with.
    pub(super) interrupted: u64,
    /// How late requests left at the worst, but for one in a hundred: the fault of this program
    /// or of a busy machine, and part of the latencies.
    pub(super) late_p99_ms: f64,
    pub(super) goals: Vec<Goal>,
}

/// The requests of one kind.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) kind: Kind,
    pub(super) sent: usize,
    /// Ended as they should.
    pub(super) right: usize,
    pub(super) errors: usize,
    /// Of these, those that a computer had begun with.
    pub(super) errors_begun: usize,
    pub(super) errors_by_kind: BTreeMap<&'static str, usize>,
    /// Got the answer to another request.
    pub(super) mistaken: usize,
    /// Got no answer and no error.
    pub(super) lost: usize,
    /// Executed more than once.
    pub(super) twice: usize,
    /// Begun by more than one computer, or twice by one, whatever came of it.
    pub(super) begun_twice: usize,
    /// Got a right answer, and were not executed.
    pub(super) unexecuted: usize,
    /// Before, during, and after the fault.
    pub(super) p50_ms: [Option<f64>; 3],
    pub(super) p99_ms: [Option<f64>; 3],
    /// The longest that one took.
    pub(super) worst_ms: [Option<f64>; 3],
}

/// One expectation.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Goal {
    pub(super) text: String,
    pub(super) met: bool,
    /// Holds whatever the machine does: missing it is a defect of a program.
    #[serde(skip)]
    always: bool,
}

impl Report {
    pub(super) fn of(plan: &Plan, evidence: &Evidence) -> anyhow::Result<Self> {
        let Evidence {
            schedule, trouble, ..
        } = evidence;
        let kinds: Vec<_> = Kind::ALL
            .iter()
            .filter_map(|kind| Figures::of(*kind, evidence))
            .collect();
        let sent = evidence.samples.len();
        let further = evidence.totals.as_ref().map(Totals::further_attempts);
        let attempts = further.transpose()?;
        let hedges = evidence.totals.as_ref().map(Totals::hedges).transpose()?;
        let end = trouble.until + schedule.after;
        let (from, until) = if plan.fault.is_unsteady() {
            (trouble.until, end)
        } else {
            (trouble.from, trouble.until)
        };
        let recovery = latency::recovery(&evidence.samples, from, until);
        let returned = latency::recovery(&evidence.samples, trouble.until, end);
        let mut late: Vec<_> = evidence.samples.iter().map(|s| s.late).collect();
        late.sort_unstable();
        let late_p99 = late.get(late.len() * 99 / 100).copied();
        let mut report = Self {
            scenario: plan.fault.name(),
            rate_rps: plan.rate,
            routers: plan.fault.shape(plan.shape).routers,
            attempts: attempts.map(|further| 1.0 + further as f64 / sent.max(1) as f64),
            hedges,
            fault_ms: ms(trouble.until.saturating_sub(trouble.from)),
            recovery_ms: recovery.after.map(ms),
            return_ms: returned.after.map(ms),
            normal_p99_ms: recovery.normal_ms,
            relapses: recovery.relapses,
            most_in_flight: evidence.most_in_flight,
            // A copy is sent for being late, not because the first attempt failed.
            reached: trouble
                .reached
                .or(attempts.zip(hedges).map(|(further, hedges)| {
                    let errors = kinds.iter().map(|figures| figures.errors as u64);
                    further.saturating_sub(hedges) + errors.sum::<u64>()
                })),
            connections: trouble.connections,
            interrupted: evidence.account.interrupted,
            late_p99_ms: ms(late_p99.unwrap_or_default()),
            kinds,
            goals: Vec::new(),
        };
        let requests = during(evidence).count() as u64;
        report.goals = report.judge(&plan.fault.goals(schedule), recovery, requests);
        Ok(report)
    }

    /// The goals that are missed: `all` of them, or only those that hold whatever the machine does.
    pub(super) fn missed(&self, all: bool) -> impl Iterator<Item = String> {
        let missed = self.goals.iter().filter(|goal| !goal.met);
        missed
            .filter(move |goal| all || goal.always)
            .map(|goal| format!("{}: {}", self.scenario, goal.text))
    }

    /// True if every goal is met.
    pub(super) fn is_good(&self) -> bool {
        self.goals.iter().all(|goal| goal.met)
    }

    fn judge(&self, goals: &Goals, recovery: Recovery, requests: u64) -> Vec<Goal> {
        let sum = |of: fn(&Figures) -> usize| self.kinds.iter().map(of).sum::<usize>() as u64;
        let of = |kind| {
            let figures = self.kinds.iter().filter(move |f| f.kind == kind);
            figures.map(|f| f.errors as u64).sum::<u64>()
        };
        let mut judged = vec![
            none("lost", sum(|f| f.lost)),
            none("mistaken", sum(|f| f.mistaken)),
            none("answered unexecuted", sum(|f| f.unexecuted)),
        ];
        let others = self.kinds.iter().filter(|f| f.kind != Kind::Idempotent);
        let begun_twice: usize = others.map(|f| f.begun_twice).sum();
        judged.push(none(
            "begun twice, though not idempotent",
            begun_twice as u64,
        ));
        if let Some(most) = goals.idempotent_errors {
            judged.push(at_most("errors of idempotent", of(Kind::Idempotent), most));
        }
        let once = self.kinds.iter().filter(|f| f.kind == Kind::Once);
        let begun: usize = once.map(|f| f.errors_begun).sum();
        let most = match goals.once_errors {
            OnceErrors::None => Some(0),
            OnceErrors::Begun => Some((begun as u64).max(self.most_in_flight)),
            OnceErrors::InFlight(times) => {
                Some((times * self.most_in_flight).max(self.interrupted))
            }
            OnceErrors::Any => None,
        };
        if let Some(most) = most {
            judged.push(at_most("errors of the others", of(Kind::Once), most));
        }
        judged.push(at_most("errors of poison", of(Kind::Poison), 0));
        if let Some(within) = goals.recovery {
            let text = match recovery.after {
                Some(after) => format!("p99 back after {} ms, at most {}", ms(after), ms(within)),
                None => format!("p99 never back, at most {} ms", ms(within)),
            };
            let met = recovery.after.is_some_and(|after| after <= within);
            judged.push(Goal {
                text,
                met,
                always: false,
            });
        }
        if let (Some(share), Some(reached)) = (goals.share, self.reached) {
            let most = LESSONS + (share * requests as f64) as u64;
            judged.push(at_most("reached the failing computer", reached, most));
        }
        if let Some(attempts) = self.attempts {
            judged.push(Goal {
                text: format!("{attempts:.3} attempts per request, at most {MOST_ATTEMPTS}"),
                met: attempts <= MOST_ATTEMPTS,
                always: false,
            });
        }
        judged
    }
}

fn at_most(what: &str, count: u64, most: u64) -> Goal {
    Goal {
        text: format!("{count} {what}, at most {most}"),
        met: count <= most,
        always: false,
    }
}

fn none(what: &str, count: u64) -> Goal {
    Goal {
        always: true,
        ..at_most(what, count, 0)
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn during(evidence: &Evidence) -> impl Iterator<Item = &Sample> {
    let trouble = evidence.trouble;
    evidence
        .samples
        .iter()
        .filter(move |s| (trouble.from..trouble.until).contains(&s.due))
}

impl Figures {
    /// `None` if there are no requests of that kind.
    fn of(kind: Kind, evidence: &Evidence) -> Option<Self> {
        let all: Vec<&Sample> = evidence.samples.iter().filter(|s| s.kind == kind).collect();
        if all.is_empty() {
            return None;
        }
        let count = |of: &dyn Fn(&Sample) -> bool| all.iter().filter(|s| of(s)).count();
        let mut errors_by_kind = BTreeMap::new();
        for sample in &all {
            if let End::Error(name) = sample.end {
                *errors_by_kind.entry(name).or_default() += 1;
            }
        }
        let right = |s: &Sample| s.end == End::Right;
        let account = &evidence.account;
        let trouble = evidence.trouble;
        let phases = [
            Duration::ZERO..trouble.from,
            trouble.from..trouble.until,
            trouble.until..Duration::MAX,
        ];
        let percentiles = |fraction| {
            phases.clone().map(|phase| {
                let inside = all.iter().copied().filter(|s| phase.contains(&s.due));
                latency::percentile_ms(inside, fraction)
            })
        };
        Some(Self {
            kind,
            sent: all.len(),
            right: count(&right),
            errors: errors_by_kind.values().sum(),
            errors_begun: count(&|s| matches!(s.end, End::Error(_)) && account.begun(s.number) > 0),
            errors_by_kind,
            mistaken: count(&|s| s.end == End::Mistaken),
            lost: count(&|s| s.end == End::Lost),
            twice: count(&|s| account.executions(s.number) > 1),
            begun_twice: count(&|s| account.begun(s.number) > 1),
            unexecuted: count(&|s| {
                kind != Kind::Poison && right(s) && account.executions(s.number) == 0
            }),
            p50_ms: percentiles(0.5),
            p99_ms: percentiles(0.99),
            worst_ms: percentiles(1.0),
        })
    }
}
