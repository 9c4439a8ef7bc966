//! What is to be reached, and whether this run has reached it.

use super::memory::Memory;
use super::row::{Load, Row};

/// Prints all goals that this run can say anything about.
pub(super) fn print(rows: &[Row], memory: &[Memory]) {
    println!("\ngoals");
    for row in rows {
        if let Some((goal, limit)) = growth(row) {
            verdict(
                row.ratio <= limit,
                &format!("{} {}, {}: {goal}", row.value, row.sweep, row.policy),
                &format!("x {:.2}, goal {limit:.2}", row.ratio),
            );
        }
    }
    for row in memory {
        let limit = if row.lambdas == 0 { 12.0 } else { 64.0 };
        let megabytes = row.rss_kb as f64 / 1024.0;
        verdict(
            megabytes < limit,
            &format!("memory with {} lambdas x {}", row.lambdas, row.destinations),
            &format!("{megabytes:.1} MB, goal {limit:.0} MB"),
        );
    }
}

/// By how much the cost of a row may have grown. Spreading requests over more connections costs
/// more system calls when they come together, which no router can help: there, only those that
/// come alone tell.
fn growth(row: &Row) -> Option<(&'static str, f64)> {
    match (row.sweep, row.load, row.value) {
        ("lambdas", Load::Alone, 2..) => Some(("flat, alone", 1.10)),
        ("lambdas", Load::Busy, 2..) => Some(("flat, busy", 1.10)),
        ("changes", Load::Alone, 1..) => Some(("next to nothing, alone", 1.05)),
        ("changes", Load::Busy, 1..) => Some(("next to nothing, busy", 1.05)),
        ("destinations" | "policies", Load::Alone, 2..=64) => Some(("flat, alone", 1.10)),
        ("destinations" | "policies", Load::Alone, 65..)
            if row.policy != "proportional-fairness" =>
        {
            Some(("half as much again, alone", 1.50))
        }
        _ => None,
    }
}

fn verdict(met: bool, what: &str, how: &str) {
    println!("{:<7} {what:<72} {how}", if met { "met" } else { "MISSED" });
}
