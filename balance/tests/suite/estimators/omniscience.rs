//! How near predictions come to somebody who knows all queues.

use super::{DELAY, UTIL, name, pick};
use crate::{Bench, seconds};
use edge_balance::{Pick, PolicyConfig, Report};

/// Network and service time of destinations with one worker each, which serve in order.
const PLACES: [(&str, f64, f64); 3] = [
    ("near and slow", 0.001, 0.020),
    ("far and quick", 0.015, 0.005),
    ("near and slower", 0.001, 0.030),
];
const REQUESTS: usize = 4000;

/// When each of [`PLACES`] is free.
#[derive(Default)]
struct Queues([f64; 3]);

impl Queues {
    /// Begin of service and answer of a request that is sent there now.
    fn look(&self, at: usize, now: f64) -> (f64, f64) {
        let (_, network, service) = PLACES[at];
        let begin = self.0[at].max(now + network / 2.0);
        (begin, begin + service + network / 2.0)
    }

    /// The same, sending it.
    fn send(&mut self, at: usize, now: f64) -> (f64, f64) {
        let (begin, answer) = self.look(at, now);
        self.0[at] = begin + PLACES[at].2;
        (begin, answer)
    }
}

/// Mean seconds of requests that come every `gap` seconds, where all queues are known.
fn omniscient(gap: f64) -> f64 {
    let mut queues = Queues::default();
    let mut total = 0.0;
    for request in 0..REQUESTS {
        let now = gap * request as f64;
        let answer = |at: &usize| queues.look(*at, now).1;
        let best = (0..3).min_by(|a, b| answer(a).total_cmp(&answer(b)));
        total += queues.send(best.unwrap(), now).1 - now;
    }
    total / REQUESTS as f64
}

/// A request under way.
struct Sent {
    pick: Pick,
    answer: f64,
    latency: f64,
    report: Report,
}

/// The same under a policy.
fn mean_time(policy: PolicyConfig, gap: f64) -> f64 {
    let mut bench = Bench::with(policy, &PLACES.map(|place| (place.0, 1.0)));
    let start = bench.now;
    let mut queues = Queues::default();
    let mut open: Vec<Sent> = Vec::new();
    let mut total = 0.0;
    for request in 0..REQUESTS {
        let now = gap * request as f64;
        open.sort_by(|a, b| b.answer.total_cmp(&a.answer));
        while open.last().is_some_and(|next| next.answer <= now) {
            let sent = open.pop().unwrap();
            bench.now = start + seconds(sent.answer);
            let latency = seconds(sent.latency);
            sent.pick.succeeded(latency, &sent.report, bench.now);
        }
        bench.now = start + seconds(now);
        let pick = pick(&mut bench, 100);
        let at = PLACES.iter().position(|p| p.0 == name(&pick)).unwrap();
        let (begin, answer) = queues.send(at, now);
        let latency = answer - now;
        total += latency;
        let waited = begin > now + PLACES[at].1 / 2.0;
        let report = Report {
            residence: Some(seconds(latency - PLACES[at].1)),
            utilization: Some(if waited { 1.0 } else { 0.5 }),
            ..Report::default()
        };
        open.push(Sent {
            pick,
            answer,
            latency,
            report,
        });
    }
    total / REQUESTS as f64
}

#[test]
fn predictions_come_near_to_omniscience_under_load() {
    for gap in [0.020, 0.008, 0.005, 0.0042] {
        let best = omniscient(gap);
        for estimator in [UTIL, DELAY] {
            let time = mean_time(PolicyConfig::Estimator(estimator), gap);
            let ratio = time / best;
            assert!(ratio < 1.1, "{estimator}, every {gap} s: {ratio}");
        }
    }
}
