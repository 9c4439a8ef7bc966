//! What one value of a sweep costs, as a JSON line.

use serde::Serialize;

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
    /// One of `sweep`, from figures of the order of the fields.
    pub(super) fn new(
        (sweep, policy, value): (&'static str, &'static str, usize),
        load: Load,
        [rps, p50_us, p99_us, cpu_us]: [f64; 4],
        rss_kb: u64,
    ) -> Self {
        Self {
            sweep,
            policy,
            value,
            load,
            in_flight: load.in_flight(),
            rps,
            p50_us,
            p99_us,
            cpu_us,
            ratio: 1.0,
            rss_kb,
        }
    }
}
