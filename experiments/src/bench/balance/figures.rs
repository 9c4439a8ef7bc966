//! What one peer achieved in one cell.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::cell::COMPUTERS;
use super::load::Sample;
use crate::bench::percentile::{percentile_ms, sorted};

/// What one run of a peer left behind.
#[derive(Debug)]
pub(super) struct Evidence {
    /// All requests, those of the warm-up included.
    pub(super) samples: Vec<Sample>,
    /// Attempts beyond the first, if the peer tells.
    pub(super) retries: Option<u64>,
    /// CPU time of the brokers while the load lasted.
    pub(super) cpu: Duration,
}

/// Figures of one or more runs, named as in the JSON lines. Times are in milliseconds, from when a
/// request was due; errors count with the time after which they came.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) cell: &'static str,
    pub(super) brokers: usize,
    pub(super) peer: &'static str,
    /// Requests per second that were asked for.
    pub(super) rate_rps: f64,
    pub(super) seconds: f64,
    pub(super) requests: usize,
    pub(super) answered: usize,
    pub(super) errors: usize,
    pub(super) errors_by_kind: BTreeMap<&'static str, usize>,
    pub(super) goodput_rps: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) attempts_per_request: Option<f64>,
    /// Answers of each computer; trouble is that of the first.
    pub(super) answered_by: [usize; COMPUTERS],
    /// CPU time of the brokers per request, health checks included.
    pub(super) broker_cpu_us: f64,
    /// How late requests left at the worst, but for one in a hundred: the fault of this program
    /// or of a busy machine, and part of the latencies.
    pub(super) late_p99_ms: f64,
    /// Share of the machine's CPU time that nobody used.
    pub(super) idle: f64,
    /// p99 of the better of the others divided by that of ours; only in our line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) better_peer_over_ours_p99: Option<f64>,
    /// Where there is trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<InTrouble>,
}

/// Figures of the requests that were due while they could feel the trouble: the rest of a run dilutes
/// what it has done to them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct InTrouble {
    pub(super) requests: usize,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    /// As for the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) better_peer_over_ours_p99: Option<f64>,
}

/// What was asked of all peers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) cell: &'static str,
    pub(super) brokers: usize,
    pub(super) rate_rps: f64,
    /// Requests that are due earlier do not count.
    pub(super) warm_up: Duration,
    /// Length of the measured part of one run.
    pub(super) measured: Duration,
    /// When what is due may feel the trouble, from the beginning of the load.
    pub(super) trouble: Option<(Duration, Duration)>,
}

impl Figures {
    /// Sums up the runs of one peer.
    pub(super) fn of(asked: &Asked, peer: &'static str, runs: &[Evidence], idle: f64) -> Self {
        let counted: Vec<&Sample> = runs
            .iter()
            .flat_map(|run| &run.samples)
            .filter(|sample| sample.due >= asked.warm_up)
            .collect();
        let all: usize = runs.iter().map(|run| run.samples.len()).sum();
        let mut answered_by = [0; COMPUTERS];
        let mut errors_by_kind = BTreeMap::new();
        for sample in &counted {
            match sample.answer {
                Ok(computer) => answered_by[computer] += 1,
                Err(kind) => *errors_by_kind.entry(kind.name()).or_default() += 1,
            }
        }
        let answered = answered_by.iter().sum();
        let seconds = asked.measured.as_secs_f64() * runs.len() as f64;
        let latencies = sorted(counted.iter().map(|sample| sample.latency));
        let trouble = asked.trouble.map(|(from, until)| {
            let felt = |sample: &&&Sample| (from..until).contains(&sample.due);
            let latencies = sorted(counted.iter().filter(felt).map(|sample| sample.latency));
            InTrouble {
                requests: latencies.len(),
                p99_ms: percentile_ms(&latencies, 0.99),
                p999_ms: percentile_ms(&latencies, 0.999),
                better_peer_over_ours_p99: None,
            }
        });
        let retries: Option<u64> = runs.iter().map(|run| run.retries).sum();
        let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
        Self {
            cell: asked.cell,
            brokers: asked.brokers,
            peer,
            rate_rps: asked.rate_rps,
            seconds,
            requests: counted.len(),
            answered,
            errors: counted.len() - answered,
            errors_by_kind,
            goodput_rps: answered as f64 / seconds,
            p50_ms: percentile_ms(&latencies, 0.5),
            p99_ms: percentile_ms(&latencies, 0.99),
            p999_ms: percentile_ms(&latencies, 0.999),
            attempts_per_request: retries.map(|retries| 1.0 + retries as f64 / all as f64),
            answered_by,
            broker_cpu_us: cpu.as_secs_f64() * 1e6 / all as f64,
            late_p99_ms: percentile_ms(&sorted(counted.iter().map(|sample| sample.late)), 0.99),
            idle,
            better_peer_over_ours_p99: None,
            trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_client::ErrorKind;

    use super::*;

    fn sample(due_ms: u64, latency_ms: u64, answer: Result<usize, ErrorKind>) -> Sample {
        Sample {
            due: Duration::from_millis(due_ms),
            late: Duration::ZERO,
            latency: Duration::from_millis(latency_ms),
            answer,
        }
    }

    const ASKED: Asked = Asked {
        cell: "equal",
        brokers: 1,
        rate_rps: 1.0,
        warm_up: Duration::from_millis(100),
        measured: Duration::from_secs(1),
        trouble: None,
    };

    #[test]
    fn errors_count_in_percentiles_but_not_in_goodput() {
        let run = Evidence {
            samples: vec![
                sample(0, 999, Ok(0)),
                sample(100, 10, Ok(0)),
                sample(200, 20, Ok(5)),
                sample(300, 2000, Err(ErrorKind::Deadline)),
            ],
            retries: Some(2),
            cpu: Duration::from_micros(40),
        };
        let figures = Figures::of(&ASKED, "ours", &[run], 0.5);
        assert_eq!(
            (figures.requests, figures.answered, figures.errors),
            (3, 2, 1)
        );
        assert_eq!(figures.errors_by_kind, BTreeMap::from([("deadline", 1)]));
        assert_eq!(figures.answered_by, [1, 0, 0, 0, 0, 1]);
        assert_eq!((figures.p50_ms, figures.p99_ms), (20.0, 2000.0));
        assert_eq!(figures.goodput_rps, 2.0);
        assert_eq!(figures.attempts_per_request, Some(1.5));
        assert_eq!(figures.broker_cpu_us, 10.0);
    }

    #[test]
    fn what_is_due_in_trouble_has_percentiles_of_its_own() {
        let run = Evidence {
            samples: vec![
                sample(50, 999, Ok(0)),
                sample(299, 900, Ok(0)),
                sample(300, 30, Ok(0)),
                sample(799, 40, Err(ErrorKind::Deadline)),
                sample(800, 800, Ok(0)),
            ],
            retries: None,
            cpu: Duration::ZERO,
        };
        let asked = Asked {
            trouble: Some((Duration::from_millis(300), Duration::from_millis(800))),
            ..ASKED
        };
        let figures = Figures::of(&asked, "ours", &[run], 0.5);
        let trouble = figures.trouble.unwrap();
        assert_eq!((trouble.requests, trouble.p99_ms), (2, 40.0));
        assert_eq!(figures.p99_ms, 900.0);
    }

    #[test]
    fn retries_that_one_run_does_not_tell_are_unknown() {
        let run = |retries| Evidence {
            samples: vec![sample(100, 1, Ok(0))],
            retries,
            cpu: Duration::ZERO,
        };
        let figures = Figures::of(&ASKED, "envoy", &[run(Some(1)), run(None)], 0.5);
        assert_eq!(figures.attempts_per_request, None);
    }
}
