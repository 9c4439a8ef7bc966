//! Contenders by scenarios: the ratio as a colour, the levels of the scenarios in strips above.

use maud::{Markup, html};

use super::super::comparison::{Comparison, Point};
use super::super::lineup::default_policy;
use super::super::text::{ranking, short};
use super::super::words::{FACTORS, present};
use super::colour;

/// All lengths in pixels.
const WIDTH: f64 = 1200.0;
/// For names, and all levels of a factor.
const MARGIN: f64 = 216.0;
const WIDEST_CELL: f64 = 40.0;
const STRIP: f64 = 11.0;
const ROW: f64 = 20.0;
const GAP: f64 = 8.0;

/// The map with its legend; a click on a cell leads to the scenario.
pub(crate) fn render(comparison: &Comparison) -> Markup {
    let columns = comparison.scenarios.len();
    let cell = ((WIDTH - MARGIN) / columns as f64).min(WIDEST_CELL);
    let top = STRIP * FACTORS.len() as f64 + GAP;
    let ranking = ranking(comparison);
    let height = top + ROW * ranking.len() as f64;
    html! {
        (legend())
        div.wide tabindex="0" {
            svg.map width=(WIDTH) height=(height) role="img" aria-label="p99 ratio by policy and scenario" {
                (strips(comparison, cell))
                @for (row, (name, _)) in ranking.iter().enumerate() {
                    @let y = top + row as f64 * ROW;
                    text.judged[*name == default_policy()] x=(MARGIN - 8.0) y=(y + ROW * 0.7) text-anchor="end" { (name) }
                    @if let Some(entry) = comparison.entry(name) {
                        @for (column, point) in comparison.scenarios.iter().enumerate() {
                            @let ratio = &comparison.cell(column, entry).p99_ratio;
                            a href={ "#s" (point.index) } {
                                rect x=(place(column, cell)) y=(y) width=(format!("{:.2}", cell * 0.94)) height=(ROW - 1.0)
                                    style={ "fill:" (colour::of(ratio.mean)) } {
                                    title {
                                        (name) ": " (short(ratio.mean)) " (" (short(ratio.low)) " to " (short(ratio.high)) ")\n"
                                        (point.index) " " (point.levels.name())
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One thin row per factor, darker for higher levels; neighbours of the same level make one piece.
fn strips(comparison: &Comparison, cell: f64) -> Markup {
    let levels = present(&comparison.levels());
    html! {
        @for (factor, name) in FACTORS.iter().enumerate() {
            @let y = factor as f64 * STRIP;
            text.strip x=(MARGIN - 8.0) y=(y + STRIP * 0.8) text-anchor="end" {
                (name) " " (levels[factor].join(" · "))
            }
            @for piece in pieces(&comparison.scenarios, factor) {
                @let level = levels[factor].iter().position(|level| *level == piece.level).unwrap_or_default();
                rect class={ "level" (level) } x=(place(piece.first, cell)) y=(y)
                    width=(format!("{:.2}", (piece.length as f64 - 0.06) * cell)) height=(STRIP - 1.5) {
                    title { (name) " " (piece.level) }
                }
            }
        }
    }
}

struct Piece {
    level: String,
    first: usize,
    length: usize,
}

fn pieces(scenarios: &[Point], factor: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (column, point) in scenarios.iter().enumerate() {
        let level = point.levels.values()[factor].clone();
        match pieces.last_mut() {
            Some(last) if last.level == level => last.length += 1,
            _ => pieces.push(Piece {
                level,
                first: column,
                length: 1,
            }),
        }
    }
    pieces
}

fn legend() -> Markup {
    html! {
        p.legend {
            @for tick in colour::TICKS {
                span { i style={ "background:" (colour::of(tick)) } {} (tick) }
            }
            span { "columns are scenarios by index; point at a cell for its figures, click to see its scenario" }
        }
    }
}

fn place(column: usize, cell: f64) -> String {
    format!("{:.2}", MARGIN + column as f64 * cell)
}
