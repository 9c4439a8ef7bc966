//! The rows as a table for people, with ratios to the others of the same load.

use super::kind::{Kind, Program};
use super::plan::{Cell, Plan};
use super::row::Row;

/// Says what is measured.
pub(super) fn introduce(programs: &[Program], plan: &Plan, service_ms: f64) {
    println!(
        "one client ({} connection(s)), one computer that takes {service_ms} ms; medians of {} round(s)",
        plan.connections, plan.rounds
    );
    for program in programs {
        println!("{:<11} {}", program.kind.name(), program.origin);
    }
    println!();
}

/// Prints all rows, load by load, and what half load did.
pub(super) fn print(rows: &[Row]) {
    head();
    let mut previous: Option<Cell> = None;
    for row in rows {
        let cell = Cell {
            bytes: row.bytes,
            in_flight: row.in_flight,
        };
        if previous
            .replace(cell)
            .is_some_and(|previous| previous != cell)
        {
            println!();
        }
        line(row, rows, cell);
    }
    for row in rows.iter().filter(|row| row.errors > 0) {
        println!(
            "{}, {} bytes, {} in flight: {} requests without a right answer, which do not count",
            row.name(),
            row.bytes,
            row.in_flight,
            row.errors
        );
    }
    half_load(rows);
}

fn head() {
    println!(
        "{:>7} {:>9} {:<11} {:>10} {:>9} {:>9} {:>9} {:>7} {:>15} {:>7} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>7}",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "CPU",
        "(user + system)",
        "RSS",
        "req/s",
        "p50",
        "CPU",
        "req/s",
        "CPU",
        "req/s",
        "CPU",
    );
    println!(
        "{:>7} {:>9} {:<11} {:>10} {:>9} {:>9} {:>9} {:>7} {:>15} {:>7} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>7}",
        "bytes",
        "in flight",
        "hop",
        "requests/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "us/req",
        "us",
        "MB",
        "/direct",
        "/direct",
        "/haproxy",
        "/haproxy",
        "/envoy",
        "/envoy",
        "/floor",
    );
}

fn line(row: &Row, rows: &[Row], cell: Cell) {
    let beside = |kind: Kind, value: fn(&Row) -> f64| {
        let other = rows
            .iter()
            .find(|other| other.kind == kind && other.is(cell));
        ratio(value(row), other.map(value))
    };
    let (rps, p50, cpu) = (
        |row: &Row| row.rps,
        |row: &Row| row.p50_us,
        |row: &Row| row.cpu_us,
    );
    let in_flight = match row.in_flight {
        0 => "paced".to_owned(),
        n => n.to_string(),
    };
    println!(
        "{:>7} {in_flight:>9} {:<11} {:>10.0} {:>9.1} {:>9.1} {:>9.1} {:>7} {:>15} {:>7} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>7}",
        row.bytes,
        row.name(),
        row.rps,
        row.p50_us,
        row.p99_us,
        row.p999_us,
        unless_zero(row.cpu_us, format!("{:.1}", row.cpu_us)),
        unless_zero(
            row.cpu_us,
            format!("{:.1} + {:.1}", row.user_us, row.system_us)
        ),
        unless_zero(row.cpu_us, format!("{:.1}", row.rss_kb as f64 / 1024.0)),
        beside(Kind::Direct, rps),
        beside(Kind::Direct, p50),
        beside(Kind::Haproxy, cpu),
        beside(Kind::Haproxy, rps),
        beside(Kind::Envoy, cpu),
        beside(Kind::Envoy, rps),
        beside(Kind::Floor, cpu),
    );
}

fn half_load(rows: &[Row]) {
    let mut shown: Vec<Kind> = Vec::new();
    for row in rows {
        let Some(half) = row.half_load.filter(|_| !shown.contains(&row.kind)) else {
            continue;
        };
        if shown.is_empty() {
            println!(
                "\nhalf load: the same {:.0} requests/s for all at random intervals, {} bytes; half of what the slowest hop can do",
                half.rps, row.bytes
            );
            println!(
                "{:<11} {:>9} {:>9} {:>11}",
                "hop", "p50 us", "p99 us", "CPU us/req"
            );
        }
        shown.push(row.kind);
        let cpu = unless_zero(half.cpu_us, format!("{:.1}", half.cpu_us));
        println!(
            "{:<11} {:>9.1} {:>9.1} {cpu:>11}",
            row.name(),
            half.p50_us,
            half.p99_us
        );
    }
}

/// A ratio, if there is anything to divide by.
fn ratio(value: f64, by: Option<f64>) -> String {
    match by.filter(|by| *by > 0.0 && value > 0.0) {
        Some(by) => format!("{:.2}", value / by),
        None => "-".to_owned(),
    }
}

fn unless_zero(value: f64, text: String) -> String {
    if value > 0.0 { text } else { "-".to_owned() }
}
