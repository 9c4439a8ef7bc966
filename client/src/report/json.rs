//! A report for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Mode, Report, millis};

/// The keys are documented at [`Report::to_json`].
#[derive(Serialize)]
struct Document<'a> {
    mode: &'static str,
    sent: u64,
    ok: u64,
    errors: u64,
    errors_by_kind: BTreeMap<&'static str, Failures<'a>>,
    elapsed_s: f64,
    rate_asked: Option<f64>,
    rate_reached: f64,
    latency_ms: Option<Latency>,
    lag_ms: Option<Lag>,
    destinations: Vec<Destination<'a>>,
    per_second: Vec<Second>,
}

#[derive(Serialize)]
struct Failures<'a> {
    count: u64,
    example: &'a str,
}

#[derive(Serialize)]
struct Latency {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Serialize)]
struct Lag {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Serialize)]
struct Destination<'a> {
    responder: &'a str,
    count: u64,
    share: f64,
    mean_ms: f64,
    max_ms: f64,
}

#[derive(Serialize)]
struct Second {
    second: usize,
    sent: u64,
    ok: u64,
    errors: u64,
    mean_ms: f64,
    max_ms: f64,
}

pub(super) fn render(report: &Report) -> String {
    let tally = &report.tally;
    let (mode, rate_asked) = match report.mode {
        Mode::Open { rate } => ("open", Some(rate)),
        Mode::Closed { .. } => ("closed", None),
    };
    let failures = tally.errors.iter().map(|(kind, failures)| {
        let example = &failures.example;
        let count = failures.count;
        (kind.name(), Failures { count, example })
    });
    let document = Document {
        mode,
        sent: tally.sent,
        ok: tally.ok,
        errors: tally.failed(),
        errors_by_kind: failures.collect(),
        elapsed_s: report.elapsed.as_secs_f64(),
        rate_asked,
        rate_reached: report.rate_reached(),
        latency_ms: latency(report),
        lag_ms: lag(report),
        destinations: destinations(report),
        per_second: per_second(report),
    };
    serde_json::to_string(&document).expect("numbers and texts can be written as JSON")
}

fn latency(report: &Report) -> Option<Latency> {
    let at = |quantile| report.latency(quantile).map(millis);
    let served = report.tally.served();
    Some(Latency {
        mean: millis(served.mean()),
        p50: at(0.5)?,
        p90: at(0.9)?,
        p99: at(0.99)?,
        p99_9: at(0.999)?,
        max: millis(served.longest),
    })
}

fn lag(report: &Report) -> Option<Lag> {
    let at = |quantile| report.lag(quantile).map(millis);
    Some(Lag {
        p50: at(0.5)?,
        p99: at(0.99)?,
        max: millis(report.tally.longest_lag),
    })
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
fn destinations(report: &Report) -> Vec<Destination<'_>> {
    let all = report.tally.ok.max(1) as f64;
    let destinations = report.tally.destinations.iter();
    destinations
        .map(|(responder, served)| Destination {
            responder,
            count: served.count,
            share: served.count as f64 / all,
            mean_ms: millis(served.mean()),
            max_ms: millis(served.longest),
        })
        .collect()
}

fn per_second(report: &Report) -> Vec<Second> {
    let seconds = report.tally.seconds.iter().enumerate();
    seconds
        .filter(|(_, counts)| counts.sent > 0)
        .map(|(second, counts)| Second {
            second,
            sent: counts.sent,
            ok: counts.served.count,
            errors: counts.errors,
            mean_ms: millis(counts.served.mean()),
            max_ms: millis(counts.served.longest),
        })
        .collect()
}
