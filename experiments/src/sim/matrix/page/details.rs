//! One foldable block per scenario: bars of the ratios with their intervals, and the figures.

use maud::{Markup, html};

use super::super::comparison::{Cell, Comparison};
use super::super::lineup::{ORACLE, default_policy};
use super::super::statistics::Mean;
use super::super::text::short;
use super::colour;

/// Width of the bars' part, in pixels.
const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 14.0;

/// All blocks, folded; a link to one unfolds it.
pub(crate) fn render(comparison: &Comparison) -> Markup {
    let oracle = comparison.entry(ORACLE);
    let judged = comparison.entry(default_policy());
    html! {
        @for (scenario, point) in comparison.scenarios.iter().enumerate() {
            details {
                summary {
                    b { (point.index) } " " (point.levels.name())
                    @if let Some(judged) = judged {
                        span.aside { " · " (default_policy()) " " (short(comparison.cell(scenario, judged).p99_ratio.mean)) }
                    }
                    @if let Some(oracle) = oracle {
                        span.aside { " · " (ORACLE) " p99 " (milliseconds(comparison.cell(scenario, oracle).p99.value)) " ms" }
                    }
                }
                // Browsers unfold what surrounds the target of a link.
                div id={ "s" (point.index) } { (block(comparison, scenario)) }
            }
        }
    }
}

fn block(comparison: &Comparison, scenario: usize) -> Markup {
    let ratios =
        (0..comparison.entries.len()).map(|entry| &comparison.cell(scenario, entry).p99_ratio);
    // An interval may be open, or far longer than the bars that are to be compared.
    let highest = ratios.map(|ratio| ratio.mean).fold(2.0, f64::max) * 1.1;
    html! {
        div.wide tabindex="0" {
            table {
                thead {
                    tr {
                        th { "policy" } th { "p99 to " (ORACLE) "'s" } th { "ratio" } th { "interval" }
                        th { "mean" } th { "p50" } th { "p99" } th { "p99.9 ms" }
                        th { "errors" } th { "attempts" } th { "refusals" } th { "probes" } th { "share of executors" }
                    }
                }
                tbody {
                    @for (entry, contender) in comparison.entries.iter().enumerate() {
                        @let cell = comparison.cell(scenario, entry);
                        tr.judged[contender.name == default_policy()] {
                            th { (contender.name) }
                            td { (bar(cell, highest)) }
                            td { (short(cell.p99_ratio.mean)) }
                            td { (short(cell.p99_ratio.low)) " to " (short(cell.p99_ratio.high)) }
                            @for seconds in [cell.mean, cell.p50, cell.p99, cell.p999] {
                                td { (milliseconds(seconds.value)) (margin(&milliseconds(seconds.margin), seconds)) }
                            }
                            td {
                                (format!("{:.5}", cell.errors.value))
                                (margin(&format!("{:.5}", cell.errors.margin), cell.errors))
                            }
                            td { (format!("{:.3}", cell.attempts)) }
                            td { (format!("{:.3}", cell.refusals)) }
                            td { (format!("{:.3}", cell.probes)) }
                            td { (shares(&cell.share)) }
                        }
                    }
                }
            }
        }
    }
}

/// A bar from 1 to the ratio, to the left where it is below, and a line for the interval.
fn bar(cell: &Cell, highest: f64) -> Markup {
    let lowest: f64 = 0.5;
    let place = |ratio: f64| {
        let way = (ratio / lowest).ln() / (highest / lowest).ln();
        way.clamp(0.0, 1.0) * WIDTH
    };
    let (one, end) = (place(1.0), place(cell.p99_ratio.mean));
    let (low, high) = (place(cell.p99_ratio.low), place(cell.p99_ratio.high));
    let middle = HEIGHT / 2.0;
    html! {
        svg width=(WIDTH) height=(HEIGHT) role="img" {
            rect x=(pixel(one.min(end))) y="2" width=(pixel((end - one).abs())) height=(HEIGHT - 4.0)
                style={ "fill:" (colour::of(cell.p99_ratio.mean)) } {}
            line.axis x1=(pixel(one)) x2=(pixel(one)) y1="0" y2=(HEIGHT) {}
            line.interval x1=(pixel(low)) x2=(pixel(high)) y1=(middle) y2=(middle) {}
        }
    }
}

/// A small bar per executor, slowest first, as high as its share of the largest.
fn shares(shares: &[Mean]) -> Markup {
    let values = shares.iter().map(|share| share.value);
    let largest = values.fold(f64::MIN_POSITIVE, f64::max);
    let width = (128.0 / shares.len() as f64).clamp(2.0, 12.0);
    html! {
        svg width=(pixel(width * shares.len() as f64)) height=(HEIGHT) role="img" {
            @for (executor, share) in shares.iter().enumerate() {
                @let height = share.value / largest * HEIGHT;
                rect.share x=(pixel(executor as f64 * width)) y=(pixel(HEIGHT - height))
                    width=(pixel(width * 0.8)) height=(pixel(height)) {
                    title { "executor " (executor) ": " (format!("{:.1} %", share.value * 100.0)) }
                }
            }
        }
    }
}

/// How far the interval reaches, as it is written, where there is one.
fn margin(written: &str, of: Mean) -> Markup {
    html! {
        @if of.margin.is_finite() { small { " ±" (written) } }
    }
}

fn milliseconds(seconds: f64) -> String {
    short(seconds * 1e3)
}

fn pixel(value: f64) -> String {
    format!("{value:.1}")
}
