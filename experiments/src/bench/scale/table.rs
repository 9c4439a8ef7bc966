//! The rows as tables for people.

use super::memory::Memory;
use super::row::{Load, Row};
use super::sweep::{Kind, Sweep};

/// Says what is measured.
pub(super) fn introduce(origin: &str, rounds: usize) {
    println!(
        "edgerouter: {origin}\n\
         default options but one core; 100 bytes in and out; CPU us per request, medians of {rounds} rounds\n\
         alone: one request after the other; busy: 64 in flight, of which fewer are read and written\n\
         together if they are spread over more connections; made up: 64 in flight, answered by the router\n\
         itself, so that picking is what is left"
    );
}

/// Prints one sweep.
pub(super) fn print(sweep: &Sweep, rows: &[Row]) {
    let made_up = sweep.kind == Kind::Destinations;
    let policy = if made_up { sweep.policy } else { "" };
    println!(
        "\n{:>12} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>11} {:>8}  {policy}",
        sweep.kind.name(),
        "alone",
        "x",
        "busy",
        "x",
        if made_up { "made up" } else { "" },
        if made_up { "x" } else { "" },
        "busy req/s",
        "RSS MB",
    );
    for &value in &sweep.values {
        let find = |load: Load| {
            rows.iter()
                .find(|row| row.value == value && row.load == load)
        };
        let cell = |load: Load| {
            find(load).map_or_else(
                || format!("{:>8} {:>6}", "", ""),
                |row| format!("{:>8.1} {:>6.2}", row.cpu_us, row.ratio),
            )
        };
        let busy = find(Load::Busy);
        println!(
            "{value:>12} {} {} {} {:>11.0} {:>8.1}",
            cell(Load::Alone),
            cell(Load::Busy),
            cell(Load::MadeUp),
            busy.map_or(f64::NAN, |row| row.rps),
            busy.map_or(f64::NAN, |row| row.rss_kb as f64 / 1024.0),
        );
    }
}

/// Prints what memory is needed.
pub(super) fn memory(rows: &[Memory]) {
    println!(
        "\n{:>12} {:>12} {:>8} {:>9} {:>7} {:>11}",
        "lambdas", "destinations", "RSS MB", "dumped", "in s", "RSS then MB"
    );
    for row in rows {
        println!(
            "{:>12} {:>12} {:>8.1} {:>9} {:>7.2} {:>11.1}",
            row.lambdas,
            row.destinations,
            row.rss_kb as f64 / 1024.0,
            row.dumped,
            row.dump_s,
            row.rss_after_dump_kb as f64 / 1024.0
        );
    }
}
