//! What came out of one cell.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::fairness::{jain, max_min_shares, ratios};
use super::fate::Fate;
use super::load::{Offered, Sample};
use super::memory::Memory;
use super::recovery::{back_to_normal, limit_ms};
use super::run::{Plan, Seen};
use crate::bench::percentile::{percentile_ms, sorted};

/// Refusals that come within so long count as immediate.
const IMMEDIATE: Duration = Duration::from_millis(1);

/// What one cell left behind.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) offered: Offered,
    pub(super) seen: Seen,
    /// Requests that the router took, by its own account.
    pub(super) taken: u64,
}

/// Figures of one cell, named as in the JSON lines. All but the last ones are about the burst.
///
/// Counts and latencies are those of the requests that were due in the burst; goodput is what was
/// answered during it. Latencies count from when a request was due, times of refusals from when it
/// left, since a late load generator says nothing about the router. In milliseconds; `null` where
/// there was nothing to measure.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    /// Offered load as a multiple of the capacity.
    pub(super) factor: f64,
    pub(super) capacity_rps: f64,
    pub(super) seconds: f64,
    pub(super) offered: usize,
    pub(super) offered_rps: f64,
    pub(super) goodput_rps: f64,
    pub(super) goodput_of_capacity: f64,
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) expired: usize,
    pub(super) failed: usize,
    pub(super) failed_by_kind: BTreeMap<&'static str, usize>,
    /// What the first failure of each kind said, in any phase.
    pub(super) failure_examples: BTreeMap<&'static str, String>,
    pub(super) unloaded_p50_ms: f64,
    pub(super) unloaded_p99_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) refusal_p50_ms: f64,
    pub(super) refusal_p99_ms: f64,
    pub(super) refusal_max_ms: f64,
    /// Share of the refusals that came within a millisecond.
    pub(super) refused_at_once: f64,
    /// Jain's index of what clients got over their fair shares.
    pub(super) jain: f64,
    /// What each client got over its fair share; the greedy ones come first.
    pub(super) client_ratios: Vec<f64>,
    /// Requests answered for each client.
    pub(super) client_answers: Vec<usize>,
    pub(super) lambdas: BTreeMap<&'static str, OfLambda>,
    /// Attempts of the router for each request, refused and failed ones included.
    pub(super) attempts_per_request: f64,
    pub(super) router_cpu_us: f64,
    /// CPU time of all computers for each request.
    pub(super) computers_cpu_us: f64,
    /// Requests in the router when the burst ended, those at computers included.
    pub(super) in_flight: u64,
    /// Requests at the computers then.
    pub(super) at_computers: u64,
    pub(super) router_memory: Memory,
    /// How late requests left at the worst, but for one in a hundred: the fault of this program
    /// or of a busy machine, and part of the latencies.
    pub(super) late_p99_ms: f64,
    /// Share of the machine's CPU time that nobody used.
    pub(super) idle: f64,
    /// Requests of all phases, and what became of them.
    pub(super) all: Counts,
    /// Requests of all phases that the router took, by its own account: those that expired before
    /// they left are missing.
    pub(super) router_requests: u64,
    /// Up to which 99th percentile a window counts as normal.
    pub(super) normal_up_to_ms: f64,
    /// From the end of the burst until latencies are normal again; `null` if they never were.
    pub(super) back_to_normal_ms: Option<u64>,
}

/// How many requests met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) sent: usize,
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) expired: usize,
    pub(super) failed: usize,
}

/// What one of several lambdas got.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct OfLambda {
    pub(super) offered_rps: f64,
    pub(super) goodput_rps: f64,
    /// Of all that was answered.
    pub(super) share: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) refused: usize,
    pub(super) expired: usize,
}

impl Counts {
    fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let mut counts = Self::default();
        for sample in samples {
            counts.sent += 1;
            let fate = match sample.fate {
                Fate::Answered => &mut counts.answered,
                Fate::Refused => &mut counts.refused,
                Fate::Expired => &mut counts.expired,
                Fate::Failed(_) => &mut counts.failed,
            };
            *fate += 1;
        }
        counts
    }
}

/// The samples of the burst from two points of view.
struct Burst<'a> {
    seconds: f64,
    /// Those that were due in it.
    due: Vec<&'a Sample>,
    /// Those that were answered in it.
    answered: Vec<&'a Sample>,
}

impl<'a> Burst<'a> {
    fn of(plan: &Plan, samples: &'a [Sample]) -> Self {
        let during = plan.timeline.burst_begins()..plan.timeline.burst_ends();
        let answered = |sample: &&Sample| {
            sample.fate == Fate::Answered && during.contains(&(sample.due + sample.latency))
        };
        Self {
            seconds: plan.timeline.burst.as_secs_f64(),
            due: samples
                .iter()
                .filter(|sample| during.contains(&sample.due))
                .collect(),
            answered: samples.iter().filter(answered).collect(),
        }
    }

    /// Of what was due in it and `is_meant`, in order.
    fn latencies(&self, is_meant: impl Fn(&Sample) -> bool) -> Vec<Duration> {
        let meant = self.due.iter().filter(|sample| is_meant(sample));
        sorted(meant.map(|sample| sample.latency))
    }

    fn refusals(&self) -> Vec<Duration> {
        let refused = self.due.iter().filter(|s| s.fate == Fate::Refused);
        sorted(refused.map(|sample| sample.latency.saturating_sub(sample.late)))
    }

    fn of_lambda(&self, lambda: usize) -> OfLambda {
        let own = |sample: &&&Sample| sample.lambda == lambda;
        let counts = Counts::of(self.due.iter().filter(own).copied());
        let latencies = self.latencies(|s| s.lambda == lambda && s.fate == Fate::Answered);
        let answered = self.answered.iter().filter(own).count() as f64;
        OfLambda {
            offered_rps: counts.sent as f64 / self.seconds,
            goodput_rps: answered / self.seconds,
            share: answered / self.answered.len() as f64,
            p50_ms: percentile_ms(&latencies, 0.5),
            p99_ms: percentile_ms(&latencies, 0.99),
            refused: counts.refused,
            expired: counts.expired,
        }
    }

    /// What each client asked for and what it got, per second.
    fn of_clients(&self, count: usize) -> (Vec<f64>, Vec<f64>) {
        let rates = |samples: &[&Sample]| {
            let mut rates = vec![0.0; count];
            for sample in samples {
                rates[sample.client] += 1.0 / self.seconds;
            }
            rates
        };
        (rates(&self.due), rates(&self.answered))
    }
}

impl Figures {
    /// Sums up one cell.
    pub(super) fn of(plan: &Plan, evidence: &Evidence) -> Self {
        let samples = &evidence.offered.samples;
        let timeline = &plan.timeline;
        let burst = Burst::of(plan, samples);
        let counts = Counts::of(burst.due.iter().copied());
        let goodput_rps = burst.answered.len() as f64 / burst.seconds;
        let capacity_rps = plan.capacity.rate();

        let normal: Vec<Sample> = between(samples, timeline.warm_up, timeline.burst_begins());
        let answered = normal.iter().filter(|s| s.fate == Fate::Answered);
        let unloaded = sorted(answered.map(|sample| sample.latency));
        let limit = limit_ms(&normal, timeline.warm_up, timeline.burst_begins());
        let back = back_to_normal(samples, timeline.burst_ends(), timeline.length(), limit);

        let latencies = burst.latencies(|sample| sample.fate == Fate::Answered);
        let refusals = burst.refusals();
        let at_once = refusals.iter().filter(|time| **time <= IMMEDIATE).count();
        let mut failed_by_kind = BTreeMap::new();
        for sample in &burst.due {
            if let Fate::Failed(kind) = sample.fate {
                *failed_by_kind.entry(kind.name()).or_default() += 1;
            }
        }
        let (demands, got) = burst.of_clients(plan.clients.count);
        let client_ratios = ratios(&got, &max_min_shares(&demands, capacity_rps));
        let names = plan.lambdas().iter().enumerate();
        let [first, last] = evidence.seen.books;
        let per_request = |spent: Duration| spent.as_secs_f64() * 1e6 / counts.sent as f64;
        let repeats = last.repeats.saturating_sub(first.repeats);
        Self {
            factor: plan.factor,
            capacity_rps,
            seconds: burst.seconds,
            offered: counts.sent,
            offered_rps: counts.sent as f64 / burst.seconds,
            goodput_rps,
            goodput_of_capacity: goodput_rps / capacity_rps,
            answered: counts.answered,
            refused: counts.refused,
            expired: counts.expired,
            failed: counts.failed,
            failed_by_kind,
            failure_examples: evidence.offered.examples.clone(),
            unloaded_p50_ms: percentile_ms(&unloaded, 0.5),
            unloaded_p99_ms: percentile_ms(&unloaded, 0.99),
            p50_ms: percentile_ms(&latencies, 0.5),
            p99_ms: percentile_ms(&latencies, 0.99),
            refusal_p50_ms: percentile_ms(&refusals, 0.5),
            refusal_p99_ms: percentile_ms(&refusals, 0.99),
            refusal_max_ms: percentile_ms(&refusals, 1.0),
            refused_at_once: at_once as f64 / refusals.len() as f64,
            jain: jain(&client_ratios),
            client_ratios,
            client_answers: got
                .iter()
                .map(|rate| (rate * burst.seconds).round() as usize)
                .collect(),
            lambdas: names
                .map(|(at, name)| (*name, burst.of_lambda(at)))
                .collect(),
            attempts_per_request: 1.0 + repeats as f64 / counts.sent as f64,
            router_cpu_us: per_request(last.cpu.saturating_sub(first.cpu)),
            computers_cpu_us: per_request(last.computers_cpu.saturating_sub(first.computers_cpu)),
            in_flight: last.in_flight,
            at_computers: last.at_computers,
            router_memory: evidence.seen.memory,
            late_p99_ms: percentile_ms(&sorted(burst.due.iter().map(|s| s.late)), 0.99),
            idle: evidence.seen.idle,
            all: Counts::of(samples.iter()),
            router_requests: evidence.taken,
            normal_up_to_ms: limit,
            back_to_normal_ms: back.and_then(|time| u64::try_from(time.as_millis()).ok()),
        }
    }
}

/// The samples that were due from `begin` until `end`.
fn between(samples: &[Sample], begin: Duration, end: Duration) -> Vec<Sample> {
    let due = |sample: &&Sample| (begin..end).contains(&sample.due);
    samples.iter().filter(due).copied().collect()
}

#[cfg(test)]
mod tests;
