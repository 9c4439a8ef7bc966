//! The rows as tables for people.

use super::memory::Memory;
use super::rounds::Rounds;
use super::row::{Load, Row};
use super::sweep::{Kind, Sweep};

/// Says what is measured.
pub(super) fn introduce(origin: &str, rounds: Rounds, two_cores: bool) {
    let cores = if two_cores {
        "the router that is measured has a core for itself, client and computer share another"
    } else {
        "CORES ARE SHARED: requests that come alone cost equal routers more or less"
    };
    println!(
        "edgerouter: {origin}\n\
         default options but one core; 100 bytes in and out; {cores}\n\
         CPU us per request, medians of {} rounds; x: the median of the ratios to the first value in the same\n\
         round; +-: width of the range that half of these ratios are in; again: another router with the first value\n\
         alone: one request after the other; busy: 64 in flight, of which fewer are read and written\n\
         together if they are spread over more connections; made up: 64 in flight, answered by the router\n\
         itself, so that picking is what is left",
        rounds.count
    );
}

/// Prints one sweep.
pub(super) fn print(sweep: &Sweep, rows: &[Row]) {
    let made_up = sweep.kind == Kind::Destinations;
    let policy = if made_up { sweep.policy } else { "" };
    let head = |name: &str| format!("{name:>8} {:>5} {:>4}", "x", "+-");
    println!(
        "\n{:>12} {} {} {} {:>11} {:>7}  {policy}",
        sweep.kind.name(),
        head("alone"),
        head("busy"),
        if made_up {
            head("made up")
        } else {
            String::new()
        },
        "busy req/s",
        "RSS MB",
    );
    let cell = |row: &Row| format!("{:>8.1} {:>5.2} {:>4.2}", row.cpu_us, row.ratio, row.spread);
    for row in rows.iter().filter(|row| row.load == Load::Alone) {
        let same = |load: Load| {
            let is_it = |other: &&Row| {
                (other.value, other.again, other.load) == (row.value, row.again, load)
            };
            rows.iter().find(is_it)
        };
        let busy = same(Load::Busy);
        let value = if row.again {
            "again".to_owned()
        } else {
            row.value.to_string()
        };
        println!(
            "{value:>12} {} {} {} {:>11.0} {:>7.1}",
            cell(row),
            busy.map(cell).unwrap_or_default(),
            same(Load::MadeUp).map(cell).unwrap_or_default(),
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
