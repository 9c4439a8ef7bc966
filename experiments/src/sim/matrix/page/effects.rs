//! The main effect of each factor: the geometric mean of the ratio at each of its levels.

use maud::{Markup, html};

use super::super::comparison::Comparison;
use super::super::lineup::default_policy;
use super::super::text::ranking;
use super::super::words::{FACTORS, present};
use super::overview::ratio;

/// One row per contender, one column per level.
pub(crate) fn render(comparison: &Comparison) -> Markup {
    let levels = present(&comparison.levels());
    html! {
        p { "Geometric mean of the p99 ratio over all scenarios that have the level." }
        div.wide tabindex="0" {
            table.dense {
                thead {
                    tr {
                        th rowspan="2" { "policy" }
                        @for (factor, levels) in FACTORS.iter().zip(&levels) {
                            th colspan=(levels.len()) { (factor) }
                        }
                    }
                    tr {
                        @for level in levels.iter().flatten() { th { (level) } }
                    }
                }
                tbody {
                    @for (name, _) in ranking(comparison) {
                        @let entry = comparison.entry(name);
                        tr.judged[name == default_policy()] {
                            th { (name) }
                            @for (factor, levels) in levels.iter().enumerate() {
                                @for level in levels {
                                    @let mean = entry.and_then(|entry| {
                                        comparison.geometric_over(entry, |of| of.values()[factor] == *level)
                                    });
                                    @if let Some(mean) = mean { (ratio(mean)) } @else { td {} }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
