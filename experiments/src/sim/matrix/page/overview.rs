//! The table of contenders, and the table of scenarios in which the default policy is beaten.

use maud::{Markup, html};

use super::super::comparison::{Comparison, Defeat};
use super::super::lineup::default_policy;
use super::super::text::{ranking, short, worst_first};
use super::colour;

/// One row per contender, best first.
pub(crate) fn summary(comparison: &Comparison) -> Markup {
    html! {
        div.wide tabindex="0" {
            table {
                thead {
                    tr {
                        th rowspan="2" { "policy" }
                        th colspan="5" { "p99" }
                        th { "mean" }
                        th colspan="2" { "p99.9" }
                        th colspan="4" { "per request" }
                        th { "simulated" }
                    }
                    tr {
                        th { "median" } th { "geo-mean" } th { "p90" } th { "worst" } th { "worst in" }
                        th { "median" }
                        th { "median" } th { "worst" }
                        th { "errors" } th { "attempts" } th { "refusals" } th { "probes" }
                        th { "million per second and core" }
                    }
                }
                tbody {
                    @for (name, summary) in ranking(comparison) {
                        @let worst = &comparison.scenarios[summary.worst_scenario];
                        tr.judged[name == default_policy()] {
                            th { (name) }
                            (ratio(summary.median))
                            td {
                                (short(summary.geometric.mean))
                                small { " ±" (format!("{:.1} %", summary.geometric.half_width() * 100.0)) }
                            }
                            (ratio(summary.p90))
                            (ratio(summary.worst))
                            td.name.long { a href={ "#s" (worst.index) } { (worst.index) " " (worst.levels.name()) } }
                            (ratio(summary.median_mean))
                            (ratio(summary.median_p999))
                            (ratio(summary.worst_p999))
                            td { (format!("{:.5}", summary.errors)) }
                            td { (format!("{:.3}", summary.attempts)) }
                            td { (format!("{:.3}", summary.refusals)) }
                            td { (format!("{:.3}", summary.probes)) }
                            td { (format!("{:.2}", summary.cost.requests_per_second_and_core() / 1e6)) }
                        }
                    }
                }
            }
        }
    }
}

/// A cell with the ratio and a mark in its colour.
pub(crate) fn ratio(ratio: f64) -> Markup {
    html! {
        td.ratio style={ "border-left-color:" (colour::of(ratio)) } { (short(ratio)) }
    }
}

/// One row per scenario in which another one is better beyond the interval.
pub(crate) fn defeats(comparison: &Comparison, defeats: &[Defeat]) -> Markup {
    html! {
        p {
            "In " (defeats.len()) " of " (comparison.scenarios.len()) " scenarios another policy "
            "(oracles do not count) has a lower p99, beyond the interval of the difference paired by "
            "seed. Where two are equal, chance alone gets past the interval once in forty."
        }
        @if !defeats.is_empty() {
            div.wide tabindex="0" {
                table {
                    thead {
                        tr { th { "scenario" } th { "best" } th { "p99 to that of the best" } th { "interval" } }
                    }
                    tbody {
                        @for defeat in worst_first(defeats) {
                            @let point = &comparison.scenarios[defeat.scenario];
                            tr {
                                td.name { a href={ "#s" (point.index) } { (point.index) " " (point.levels.name()) } }
                                td.name { (comparison.entries[defeat.winner].name) }
                                (ratio(defeat.ratio.mean))
                                td { (short(defeat.ratio.low)) " to " (short(defeat.ratio.high)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
