//! The summary for people at a terminal.

use std::fmt::Write as _;

use super::comparison::{Comparison, Defeat};
use super::lineup::default_policy;

/// How many scenarios in which the default is beaten are listed.
const LISTED: usize = 10;

/// A table of contenders, best first, and where the default policy is beaten.
pub(crate) fn summary(comparison: &Comparison, defeats: &[Defeat]) -> String {
    let mut text = String::new();
    table(&mut text, comparison).expect(WRITES);
    lost(&mut text, comparison, defeats).expect(WRITES);
    text
}

const WRITES: &str = "writing to a string does not fail";

fn table(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(
        text,
        "p99 to that of oracleE, {} scenarios, {} seeds; counts per request; M/s: \
         million requests simulated per second and core\n",
        comparison.scenarios.len(),
        comparison.seeds
    )?;
    writeln!(
        text,
        "{:22} {:>7} {:>15} {:>7} {:>8} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>6}  worst in",
        "policy",
        "median",
        "geo-mean",
        "p90",
        "worst",
        "mean",
        "p99.9",
        "errors",
        "attempts",
        "refused",
        "probes",
        "M/s"
    )?;
    for (name, summary) in ranking(comparison) {
        let worst = &comparison.scenarios[summary.worst_scenario];
        writeln!(
            text,
            "{name:22} {:>7} {:>8} ±{:>4.1}% {:>7} {:>8} {:>7} {:>7} {:>8.5} {:>8.3} {:>7.3} {:>7.3} {:>6.2}  {} {}",
            short(summary.median),
            short(summary.geometric.mean),
            summary.geometric.half_width() * 100.0,
            short(summary.p90),
            short(summary.worst),
            short(summary.median_mean),
            short(summary.median_p999),
            summary.errors,
            summary.attempts,
            summary.refusals,
            summary.probes,
            summary.cost.requests_per_second_and_core() / 1e6,
            worst.index,
            worst.levels.name(),
        )?;
    }
    Ok(())
}

fn lost(text: &mut String, comparison: &Comparison, defeats: &[Defeat]) -> std::fmt::Result {
    let scenarios = comparison.scenarios.len();
    writeln!(
        text,
        "\n{} is beaten beyond the 95 % interval in {} of {scenarios} scenarios",
        default_policy(),
        defeats.len()
    )?;
    let victors = comparison
        .entry(default_policy())
        .map(|judged| comparison.victors(judged))
        .unwrap_or_default();
    if !victors.is_empty() {
        let victors: Vec<_> = victors
            .iter()
            .map(|(name, wins)| format!("{name} in {wins}"))
            .collect();
        writeln!(text, "  by {}", victors.join(", "))?;
    }
    for defeat in worst_first(defeats).into_iter().take(LISTED) {
        let point = &comparison.scenarios[defeat.scenario];
        writeln!(
            text,
            "  {:.3} times the p99 of {} ({:.3} to {:.3}) in {} {}",
            defeat.ratio.mean,
            comparison.entries[defeat.winner].name,
            defeat.ratio.low,
            defeat.ratio.high,
            point.index,
            point.levels.name(),
        )?;
    }
    if defeats.len() > LISTED {
        writeln!(text, "  and {} more", defeats.len() - LISTED)?;
    }
    Ok(())
}

/// All contenders with their summaries, the smallest geometric mean first.
pub(crate) fn ranking(comparison: &Comparison) -> Vec<(&'static str, super::comparison::Summary)> {
    let mut ranking: Vec<_> = comparison
        .entries
        .iter()
        .enumerate()
        .map(|(entry, contender)| (contender.name, comparison.summary(entry)))
        .collect();
    ranking.sort_by(|one, other| one.1.geometric.mean.total_cmp(&other.1.geometric.mean));
    ranking
}

/// Where the judged one loses most, first.
pub(crate) fn worst_first(defeats: &[Defeat]) -> Vec<&Defeat> {
    let mut sorted: Vec<&Defeat> = defeats.iter().collect();
    sorted.sort_by(|one, other| other.ratio.mean.total_cmp(&one.ratio.mean));
    sorted
}

/// A ratio with about three significant digits.
pub(crate) fn short(ratio: f64) -> String {
    if ratio < 10.0 {
        format!("{ratio:.3}")
    } else if ratio < 100.0 {
        format!("{ratio:.1}")
    } else {
        format!("{ratio:.0}")
    }
}
