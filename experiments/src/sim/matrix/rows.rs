//! The CSV file: one row per scenario and contender.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::comparison::Comparison;
use super::factor::{Demand, Rhythm};
use super::statistics::Mean;

/// One row. Latencies in seconds, mean over the seeds; counts per request, mean over the seeds. A margin is
/// half the width of the 95 % interval of the mean beside it, infinite of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Index into the design.
    pub(crate) scenario: usize,
    pub(crate) load: f64,
    pub(crate) executors: usize,
    /// Fastest over slowest.
    pub(crate) speeds: f64,
    pub(crate) routers: usize,
    pub(crate) antagonist: bool,
    pub(crate) service: Demand,
    pub(crate) arrivals: Rhythm,
    pub(crate) workers: u32,
    /// Per run, the warm-up included.
    pub(crate) requests: usize,
    pub(crate) seeds: usize,
    pub(crate) policy: String,
    pub(crate) mean: f64,
    pub(crate) mean_margin: f64,
    pub(crate) p50: f64,
    pub(crate) p50_margin: f64,
    pub(crate) p99: f64,
    pub(crate) p99_margin: f64,
    pub(crate) p999: f64,
    pub(crate) p999_margin: f64,
    pub(crate) errors: f64,
    pub(crate) errors_margin: f64,
    pub(crate) attempts: f64,
    pub(crate) refusals: f64,
    pub(crate) probes: f64,
    /// To oracleE's: geometric mean over the seeds and its 95 % interval.
    pub(crate) p99_ratio: f64,
    pub(crate) p99_ratio_low: f64,
    pub(crate) p99_ratio_high: f64,
    pub(crate) mean_ratio: f64,
    pub(crate) p999_ratio: f64,
    /// Of the completed requests, per executor, slowest first, separated by spaces.
    pub(crate) share: String,
    /// The margins of these.
    pub(crate) share_margin: String,
}

/// The rows of a comparison, by scenario, then by contender.
pub(crate) fn rows(comparison: &Comparison) -> Vec<Row> {
    let mut rows = Vec::new();
    for (scenario, point) in comparison.scenarios.iter().enumerate() {
        for (entry, contender) in comparison.entries.iter().enumerate() {
            let cell = comparison.cell(scenario, entry);
            let levels = &point.levels;
            let shares = |figure: fn(&Mean) -> f64| {
                let each = cell.share.iter().map(figure);
                let each: Vec<_> = each.map(|figure| format!("{figure:.4}")).collect();
                each.join(" ")
            };
            rows.push(Row {
                scenario: point.index,
                load: levels.load,
                executors: levels.executors,
                speeds: levels.spread,
                routers: levels.routers,
                antagonist: levels.antagonist,
                service: levels.demand,
                arrivals: levels.rhythm,
                workers: levels.workers,
                requests: point.requests,
                seeds: comparison.seeds,
                policy: contender.name.to_owned(),
                mean: cell.mean.value,
                mean_margin: cell.mean.margin,
                p50: cell.p50.value,
                p50_margin: cell.p50.margin,
                p99: cell.p99.value,
                p99_margin: cell.p99.margin,
                p999: cell.p999.value,
                p999_margin: cell.p999.margin,
                errors: cell.errors.value,
                errors_margin: cell.errors.margin,
                attempts: cell.attempts,
                refusals: cell.refusals,
                probes: cell.probes,
                p99_ratio: cell.p99_ratio.mean,
                p99_ratio_low: cell.p99_ratio.low,
                p99_ratio_high: cell.p99_ratio.high,
                mean_ratio: cell.mean_ratio,
                p999_ratio: cell.p999_ratio,
                share: shares(|share| share.value),
                share_margin: shares(|share| share.margin),
            });
        }
    }
    rows
}

/// Writes them as CSV with a header.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(rows: &[Row], to: impl Write) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    for row in rows {
        writer.serialize(row)?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn rows_survive_the_file() {
        let comparison = sample::comparison(&[3, 160], 1, |scenario, name, _| {
            0.1 / 3.0 + scenario as f64 * 0.007 + name.len() as f64 * 1e-5
        });
        let rows = rows(&comparison);
        assert_eq!(rows.len(), 2 * comparison.entries.len());
        assert!(rows.iter().all(|row| row.p99_ratio_high.is_infinite()));
        assert!(rows.iter().all(|row| row.p50_margin.is_infinite()));
        let mut csv = Vec::new();
        write(&rows, &mut csv).unwrap();
        let read: Result<Vec<Row>, csv::Error> =
            csv::Reader::from_reader(&csv[..]).deserialize().collect();
        assert_eq!(read.unwrap(), rows);
    }
}
