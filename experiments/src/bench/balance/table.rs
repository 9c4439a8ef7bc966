//! The figures as a table for people, row by row as they come.

use super::figures::Figures;

/// Prints the head of the table.
pub(super) fn head() {
    println!(
        "{:<8} {:>7} {:<8} {:>8} {:>9} {:>9} {:>10} {:>10} {:>8} {:>7} {:>8} {:>8} {:>6}  better peer / ours, p99 (in trouble)",
        "cell",
        "brokers",
        "peer",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "in trouble",
        "p99.9 ms",
        "answers/s",
        "errors",
        "attempts",
        "CPU us",
        "idle"
    );
}

/// Prints the rows of one cell.
pub(super) fn rows(figures: &[Figures]) {
    for row in figures {
        let attempts = row
            .attempts_per_request
            .map_or_else(|| "-".to_owned(), |attempts| format!("{attempts:.3}"));
        let mut ratio = row
            .better_peer_over_ours_p99
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let mut in_trouble = ["-".to_owned(), "-".to_owned()];
        if let Some(trouble) = &row.trouble {
            in_trouble = [trouble.p99_ms, trouble.p999_ms].map(|ms| format!("{ms:.1}"));
            if let Some(better) = trouble.better_peer_over_ours_p99 {
                ratio += &format!(" ({better:.2})");
            }
        }
        let [trouble_p99, trouble_p999] = in_trouble;
        // Percentiles that contain errors say less than they seem to.
        let flag = if row.errors > 0 { "*" } else { " " };
        println!(
            "{:<8} {:>7} {:<8} {:>8.1} {:>8.1}{flag} {:>8.1}{flag} {trouble_p99:>10} {trouble_p999:>10} {:>8.1} {:>7} {attempts:>8} {:>8.0} {:>5.0}%  {ratio}",
            row.cell,
            row.brokers,
            row.peer,
            row.p50_ms,
            row.p99_ms,
            row.p999_ms,
            row.goodput_rps,
            row.errors,
            row.broker_cpu_us,
            row.idle * 100.0,
        );
    }
}

/// Explains what is not obvious.
pub(super) fn foot(deadline_s: f64, latest_ms: f64) {
    println!(
        "\n* contains errors, which count with the time after which they came; clients wait {deadline_s} s.\n\
         in trouble: p99 and p99.9 of what was due while it could be felt.\n\
         CPU: of the brokers, per request, health checks included. idle: share of the machine.\n\
         Requests left at most {latest_ms:.2} ms late in 99 % of the cases, in the worst cell."
    );
}
