//! The reports as a table for people, scenario by scenario as they come.

use super::load::DEADLINE;
use super::report::{Figures, Report};

/// Prints the head of the table.
pub(super) fn head() {
    println!(
        "{:<17}{:<11}{:>6}{:>7}{:>7}{:>5}{:>6}{:>9}  {:^19}  {:^25} {:>8}  {:^14}",
        "", "", "", "", "", "", "", "", "p50 ms", "p99 ms", "worst ms", "p99 back ms"
    );
    println!(
        "{:<17}{:<11}{:>6}{:>7}{:>7}{:>5}{:>6}{:>9}{:>7}{:>7}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}  goals",
        "scenario",
        "kind",
        "sent",
        "right",
        "errors",
        "lost",
        "twice",
        "attempts",
        "before",
        "during",
        "after",
        "before",
        "during",
        "after",
        "during",
        "fault",
        "end"
    );
}

/// Prints the rows of one scenario.
pub(super) fn rows(report: &Report) {
    for (position, figures) in report.kinds.iter().enumerate() {
        let first = position == 0;
        println!("{}", row(report, figures, first));
    }
    for goal in report.goals.iter().filter(|goal| !goal.met) {
        println!("{:<17}MISSED: {}", "", goal.text);
    }
    let errors: Vec<String> = report
        .kinds
        .iter()
        .flat_map(|figures| {
            let each = figures.errors_by_kind.iter();
            each.map(|(name, count)| format!("{count} {name} ({})", figures.kind.name()))
        })
        .collect();
    if !errors.is_empty() {
        println!("{:<17}errors: {}", "", errors.join(", "));
    }
}

fn row(report: &Report, figures: &Figures, first: bool) -> String {
    let once = |text: String| if first { text } else { String::new() };
    let attempts = report.attempts.map(|a| format!("{a:.3}"));
    let back = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
    let goals = if report.is_good() { "met" } else { "missed" };
    let mut row = format!(
        "{:<17}{:<11}{:>6}{:>7}{:>7}{:>5}{:>6}{:>9}",
        once(report.scenario.to_owned()),
        figures.kind.name(),
        figures.sent,
        figures.right,
        figures.errors,
        figures.lost + figures.mistaken,
        figures.twice,
        once(attempts.unwrap_or_else(|| "-".to_owned())),
    );
    for value in figures.p50_ms {
        row += &format!("{:>7}", milliseconds(value));
    }
    let [_, worst, _] = figures.worst_ms;
    for value in figures.p99_ms.into_iter().chain([worst]) {
        row += &format!("{:>9}", milliseconds(value));
    }
    row += &format!(
        "{:>8}{:>8}  {}",
        once(back(report.recovery_ms)),
        once(back(report.return_ms)),
        once(goals.to_owned())
    );
    row.trim_end().to_owned()
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// Explains what is not obvious.
pub(super) fn foot(latest_ms: f64) {
    println!(
        "\nopen loop: latencies count from when a request was due; clients wait {} s; errors count \
         with the time after which they came.\n\
         twice: executed more than once. attempts: per request, refusals included, as routers \
         count them; unknown if they were restarted.\n\
         p99 back: from the fault, and from its end, to the first window of 500 ms from which on, \
         for 1 s, the p99 was within 10 % of the median in the second half of the fault, or of the \
         time afterwards, plus the noise before (2 ms at least); -: not at all, or too late to tell.\n\
         Requests left at most {latest_ms:.2} ms late in 99 % of the cases, in the worst scenario.",
        DEADLINE.as_secs()
    );
}
