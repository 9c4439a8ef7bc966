//! What is to be reached, and whether this run has reached it.

use super::memory::Memory;
use super::row::{Load, Row};

/// Prints all goals that this run can say anything about.
pub(super) fn print(rows: &[Row], memory: &[Memory]) {
    println!("\ngoals");
    for row in rows.iter().filter(|row| !row.again) {
        if let Some((goal, limit)) = growth(row) {
            let doubt = row.doubt + unlike(rows, row);
            let verdict = Verdict::of(row.ratio, doubt, limit);
            let spread = match verdict {
                Verdict::NotJudged => format!(", spread {:.2}", row.spread),
                _ => String::new(),
            };
            say(
                verdict,
                &format!("{} {}, {}: {goal}", row.value, row.sweep, row.policy),
                &format!("x {:.2} ±{doubt:.2}{spread}, goal {limit:.2}", row.ratio),
            );
        }
    }
    for row in memory {
        let limit = if row.lambdas == 0 { 12.0 } else { 64.0 };
        let megabytes = row.rss_kb as f64 / 1024.0;
        say(
            Verdict::of(megabytes, 0.0, limit),
            &format!("memory with {} lambdas x {}", row.lambdas, row.destinations),
            &format!("{megabytes:.1} MB, goal {limit:.0} MB"),
        );
    }
}

/// By how much another router with the first value differs from the first one: as much may be luck in any
/// row beside it.
fn unlike(rows: &[Row], row: &Row) -> f64 {
    let same = |other: &&Row| {
        other.again && (other.sweep, other.policy, other.load) == (row.sweep, row.policy, row.load)
    };
    let again = rows.iter().find(same);
    again.map_or(0.0, |again| (again.ratio - 1.0).abs())
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

/// What a run says of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// It may be either.
    NotJudged,
}

impl Verdict {
    fn of(ours: f64, doubt: f64, limit: f64) -> Self {
        if ours + doubt <= limit {
            Self::Met
        } else if ours - doubt > limit {
            Self::Missed
        } else {
            Self::NotJudged
        }
    }
}

fn say(verdict: Verdict, what: &str, how: &str) {
    let verdict = match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::NotJudged => "not judged",
    };
    println!("{verdict:<10} {what:<66} {how}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chance_may_have_decided_is_not_judged() {
        assert_eq!(Verdict::of(1.02, 0.05, 1.10), Verdict::Met);
        assert_eq!(Verdict::of(1.08, 0.05, 1.10), Verdict::NotJudged);
        assert_eq!(Verdict::of(1.12, 0.05, 1.10), Verdict::NotJudged);
        assert_eq!(Verdict::of(1.16, 0.05, 1.10), Verdict::Missed);
        assert_eq!(Verdict::of(0.5, f64::INFINITY, 1.10), Verdict::NotJudged);
        assert_eq!(Verdict::of(9.0, f64::INFINITY, 1.10), Verdict::NotJudged);
        assert_eq!(Verdict::of(f64::NAN, 0.0, 1.10), Verdict::NotJudged);
    }
}
