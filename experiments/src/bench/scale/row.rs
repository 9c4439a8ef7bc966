//! What one value of a sweep costs, as a JSON line.

use serde::Serialize;

use super::subject::Sample;
use crate::bench::percentile::median;

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Load {
    /// One after the other.
    Alone,
    /// 64 in flight, so that those of one connection are read and written together.
    Busy,
    /// 64 in flight, and the router makes the answers up: what is left is to take them and to pick.
    MadeUp,
}

impl Load {
    pub(super) fn in_flight(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Busy | Self::MadeUp => 64,
        }
    }
}

/// The median of the rounds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) sweep: &'static str,
    pub(super) policy: &'static str,
    pub(super) value: usize,
    pub(super) load: Load,
    in_flight: usize,
    pub(super) rps: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us: f64,
    /// CPU time beside that of the first value.
    pub(super) ratio: f64,
    pub(super) rss_kb: u64,
}

impl Row {
    /// One of `sweep`, from the samples of its rounds.
    pub(super) fn of(
        (sweep, policy, value): (&'static str, &'static str, usize),
        load: Load,
        samples: &[Sample],
    ) -> Self {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let rss_kb = samples.iter().map(|sample| sample.rss_kb).max();
        Self {
            sweep,
            policy,
            value,
            load,
            in_flight: load.in_flight(),
            rps: of(|sample| sample.rps),
            p50_us: of(|sample| sample.p50_us),
            p99_us: of(|sample| sample.p99_us),
            cpu_us: of(|sample| sample.cpu_us),
            ratio: 1.0,
            rss_kb: rss_kb.unwrap_or(0),
        }
    }
}
