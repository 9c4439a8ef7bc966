//! The figures as a table for people.

use super::cell::Layout;
use super::figures::Figures;
use super::speed::Speed;
use crate::fabric::doctor::Backend;

/// Names and widths of the columns.
const COLUMNS: [(&str, usize); 16] = [
    ("", 11),
    ("loss %", 6),
    ("mode", 8),
    ("first ms", 8),
    ("mean ms", 8),
    ("p50 ms", 8),
    ("p90 ms", 8),
    ("p99 ms", 8),
    ("publ. p90", 9),
    ("ratio", 6),
    ("kB/s", 7),
    ("publ.", 7),
    ("ratio", 6),
    ("answers", 7),
    ("errors", 6),
    ("lost", 6),
];

/// Prints all cells, those of a link or layout together.
pub(super) fn print(all: &[Figures], backend: Backend) {
    println!("{}", introduction(backend));
    let names = COLUMNS.map(|(name, width)| format!("{name:>width$}"));
    println!("{}", names.join(" "));
    let mut before = None;
    for figures in all {
        let group = (figures.link, figures.layout);
        if before.is_some_and(|before| before != group) {
            println!();
        }
        before = Some(group);
        println!("{}", row(figures));
    }
    for figures in all {
        if let Some(why) = &figures.error {
            println!(
                "{} {} % {}: {why}",
                place(figures),
                figures.loss,
                figures.mode.name()
            );
        }
    }
}

pub(super) fn introduction(backend: Backend) -> &'static str {
    match backend {
        Backend::Fabric => {
            "packet fabric: hosts in namespaces, packets of TCP and UDP pass through the same links"
        }
        Backend::Proxy => {
            "proxies: UDP loses packets, TCP does not (its cells with losses are empty); kB/s are \
             without headers"
        }
    }
}

/// What a cell is named after in its experiment.
pub(super) fn place(figures: &Figures) -> &'static str {
    figures
        .link
        .map(Speed::name)
        .or(figures.layout.map(Layout::name))
        .unwrap_or("")
}

fn row(figures: &Figures) -> String {
    let published = &figures.published;
    let cells = [
        place(figures).to_owned(),
        figures.loss.to_string(),
        figures.mode.name().to_owned(),
        number(figures.first_ms),
        number(figures.mean_ms),
        number(figures.p50_ms),
        number(figures.p90_ms),
        number(figures.p99_ms),
        number(published.p90_ms),
        number(published.p90_ratio),
        number(figures.throughput),
        number(published.throughput),
        number(published.throughput_ratio),
        figures.requests.to_string(),
        figures.errors.to_string(),
        figures.packets_lost.to_string(),
    ];
    let cells = cells.iter().zip(COLUMNS);
    let cells: Vec<_> = cells
        .map(|(text, (_, width))| format!("{text:>width$}"))
        .collect();
    cells.join(" ")
}

/// Three digits that mean something; a dash for nothing.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_mean_something() {
        let text = [Some(0.1234), Some(12.34), Some(1234.5), None].map(number);
        assert_eq!(text, ["0.12", "12.3", "1234", "-"]);
    }
}
