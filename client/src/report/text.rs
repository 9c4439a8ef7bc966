//! A report for people.

use std::fmt::Write as _;

use super::{Mode, Report, millis};
use crate::number::general;

/// Writing to a `String` cannot fail.
const INFALLIBLE: &str = "a string takes any text";

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    write(report, &mut out).expect(INFALLIBLE);
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    let tally = &report.tally;
    let elapsed = report.elapsed.as_secs_f64();
    let (sent, ok, failed) = (tally.sent, tally.ok, tally.failed());
    let failures = per_cent(failed, sent);
    writeln!(
        out,
        "requests      {sent} in {elapsed:.3} s: {ok} ok, {failed} errors ({failures:.2} %)"
    )?;
    let reached = rate(report.rate_reached());
    match report.mode {
        Mode::Open { rate: asked } => {
            let asked = rate(asked);
            writeln!(out, "rate          asked {asked}/s, reached {reached}/s")?;
        }
        Mode::Closed { clients: 1 } => writeln!(out, "rate          {reached}/s by 1 client")?,
        Mode::Closed { clients } => {
            writeln!(out, "rate          {reached}/s by {clients} clients")?;
        }
    }
    if ok > 0 {
        let at = |quantile| report.latency(quantile).map_or(0.0, millis);
        let served = tally.served();
        writeln!(
            out,
            "latency ms    mean {:.3}, p50 {:.3}, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3}",
            millis(served.mean()),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            millis(served.longest),
        )?;
    }
    if !tally.lag.is_empty() {
        let at = |quantile| report.lag(quantile).map_or(0.0, millis);
        writeln!(
            out,
            "sent late ms  p50 {:.3}, p99 {:.3}, max {:.3}",
            at(0.5),
            at(0.99),
            millis(tally.longest_lag),
        )?;
    }
    for (kind, failures) in &tally.errors {
        let (count, example) = (failures.count, &failures.example);
        writeln!(out, "error         {count} x {kind} ({example})")?;
    }
    let width = tally.destinations.keys().map(String::len).max();
    let width = width.unwrap_or_default();
    for (responder, served) in &tally.destinations {
        writeln!(
            out,
            "destination   {responder:width$}  {:5.1} %  {} ok, mean {:.3} ms, max {:.3} ms",
            per_cent(served.count, ok),
            served.count,
            millis(served.mean()),
            millis(served.longest),
        )?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
fn per_cent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// Requests per second: one decimal, or as many as it takes to see something of it.
fn rate(per_second: f64) -> String {
    if per_second < 1.0 {
        general(per_second)
    } else {
        format!("{per_second:.1}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::recorder::Recorder;

    #[test]
    fn the_summary_names_counts_rates_errors_and_shares() {
        let recorder = Arc::new(Recorder::new(Instant::now()));
        for responder in ["a:1", "a:1", "a:1", "b:22"] {
            recorder.sent(Instant::now()).answered(responder);
        }
        recorder.sent(Instant::now()).overran(7);
        let report = Report {
            mode: Mode::Open { rate: 5.0 },
            elapsed: Duration::from_secs(2),
            tally: recorder.lock().clone(),
        };
        let text = report.to_text();
        for part in [
            "requests      5 in 2.000 s: 4 ok, 1 errors (20.00 %)",
            "asked 5.0/s, reached 2.0/s",
            "error         1 x overrun (7 requests were outstanding)",
            "destination   a:1    75.0 %  3 ok",
            "destination   b:22   25.0 %  1 ok",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn rates_below_one_are_to_be_seen() {
        let shown = [0.0, 0.01, 0.333_333_333, 1.0, 1e6].map(rate);
        assert_eq!(shown, ["0", "0.01", "0.333333", "1.0", "1000000.0"]);
    }

    #[test]
    fn there_is_one_longest_latency() {
        let recorder = Arc::new(Recorder::new(Instant::now()));
        // Histograms are exact to three digits.
        let due = Instant::now() - Duration::from_micros(1_019_760);
        recorder.left_after(due);
        recorder.sent(due).answered("a:1");
        let report = Report {
            mode: Mode::Open { rate: 1.0 },
            elapsed: Duration::from_secs(2),
            tally: recorder.lock().clone(),
        };
        let longest = report.tally.destinations["a:1"].longest;
        assert_eq!(report.latency(1.0), Some(longest));
        assert_eq!(report.latency(0.5), Some(longest));
        assert_eq!(report.lag(1.0), Some(report.tally.longest_lag));
        let expected = format!("max {:.3}", millis(longest));
        assert_eq!(report.to_text().matches(&expected).count(), 2);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let destination = &json["destinations"][0];
        assert_eq!(json["latency_ms"]["max"], destination["max_ms"]);
        assert_eq!(json["latency_ms"]["mean"], destination["mean_ms"]);
    }

    #[test]
    fn a_responder_of_any_length_fits() {
        let recorder = Arc::new(Recorder::new(Instant::now()));
        recorder.sent(Instant::now()).answered(&"x".repeat(100_000));
        let report = Report {
            mode: Mode::Closed { clients: 1 },
            elapsed: Duration::from_secs(1),
            tally: recorder.lock().clone(),
        };
        let longest = report.to_text().lines().map(str::len).max();
        assert!(longest < Some(500), "{longest:?}");
    }
}
