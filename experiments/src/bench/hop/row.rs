//! One hop under one load: the median of all rounds, as a row and as a JSON line.

use serde::Serialize;

use super::kind::Kind;
use super::plan::Cell;
use crate::bench::percentile::median;

/// One measurement of one round.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) rps: f64,
    /// 50th, 99th, 99.9th.
    pub(super) percentiles_us: [f64; 3],
    pub(super) cpu_us: f64,
    /// Of the clock, in user mode and in the kernel.
    pub(super) ticks: [u64; 2],
    pub(super) rss_kb: u64,
    pub(super) errors: u64,
}

/// The median of all rounds. Without a hop, what it costs is 0.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    #[serde(skip)]
    pub(super) kind: Kind,
    hop: &'static str,
    pub(super) bytes: usize,
    /// 0: an open loop.
    pub(super) in_flight: usize,
    pub(super) rps: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) cpu_us: f64,
    pub(super) user_us: f64,
    pub(super) system_us: f64,
    pub(super) rss_kb: u64,
    /// Requests of all rounds without a right answer.
    pub(super) errors: u64,
    /// Largest by smallest CPU time of the rounds.
    pub(super) spread: f64,
    #[serde(flatten)]
    pub(super) half_load: Option<HalfLoad>,
}

/// The same hop in an open loop that is the same for all hops.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct HalfLoad {
    #[serde(rename = "half_load_rps")]
    pub(super) rps: f64,
    #[serde(rename = "half_load_p50_us")]
    pub(super) p50_us: f64,
    #[serde(rename = "half_load_p99_us")]
    pub(super) p99_us: f64,
    #[serde(rename = "half_load_cpu_us")]
    pub(super) cpu_us: f64,
}

impl HalfLoad {
    /// What was measured at `rate` requests per second.
    pub(super) fn of(paced: &Row, rate: f64) -> Self {
        Self {
            rps: rate,
            p50_us: paced.p50_us,
            p99_us: paced.p99_us,
            cpu_us: paced.cpu_us,
        }
    }
}

impl Row {
    pub(super) fn of(kind: Kind, cell: Cell, samples: &[Sample]) -> Self {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let cpu_us = of(|sample| sample.cpu_us);
        // Ticks are rare: those of all rounds tell the shares.
        let [user, system] = [0, 1].map(|i| samples.iter().map(|s| s.ticks[i]).sum::<u64>());
        let user_share = user as f64 / (user + system).max(1) as f64;
        let largest = samples.iter().map(|s| s.cpu_us).fold(0.0, f64::max);
        let smallest = samples
            .iter()
            .map(|s| s.cpu_us)
            .fold(f64::INFINITY, f64::min);
        Self {
            kind,
            hop: kind.name(),
            bytes: cell.bytes,
            in_flight: cell.in_flight,
            rps: of(|sample| sample.rps),
            p50_us: of(|sample| sample.percentiles_us[0]),
            p99_us: of(|sample| sample.percentiles_us[1]),
            p999_us: of(|sample| sample.percentiles_us[2]),
            cpu_us,
            user_us: cpu_us * user_share,
            system_us: cpu_us * (1.0 - user_share),
            // From the second round on it may still hold what the largest bodies took.
            rss_kb: samples.iter().map(|s| s.rss_kb).min().unwrap_or(0),
            errors: samples.iter().map(|s| s.errors).sum(),
            spread: if smallest > 0.0 {
                largest / smallest
            } else {
                1.0
            },
            half_load: None,
        }
    }

    /// True if this is a row of that load.
    pub(super) fn is(&self, cell: Cell) -> bool {
        self.bytes == cell.bytes && self.in_flight == cell.in_flight
    }

    /// The name of the hop.
    pub(super) fn name(&self) -> &'static str {
        self.hop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu_us: f64) -> Sample {
        Sample {
            rps: 1000.0 / cpu_us,
            percentiles_us: [1.0, 2.0, 3.0],
            cpu_us,
            ticks: [3, 1],
            rss_kb: cpu_us as u64,
            errors: 1,
        }
    }

    #[test]
    fn a_row_is_the_median_of_its_rounds() {
        let cell = Cell {
            bytes: 100,
            in_flight: 16,
        };
        let row = Row::of(Kind::Router, cell, &[sample(8.0), sample(4.0), sample(5.0)]);
        assert_eq!(row.cpu_us, 5.0);
        assert_eq!((row.user_us, row.system_us), (3.75, 1.25));
        assert_eq!(row.rps, 200.0);
        assert_eq!(row.rss_kb, 4);
        assert_eq!(row.spread, 2.0);
        assert_eq!(row.errors, 3);
        let line = serde_json::to_value(&row).unwrap();
        assert_eq!(line["hop"], "router");
        assert!(line.get("half_load_p99_us").is_none());
    }
}
