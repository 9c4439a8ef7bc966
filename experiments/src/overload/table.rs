//! The figures as a table for people, row by row as they come.

use super::figures::Figures;
use super::run::Plan;

/// Says what is measured, and prints the head of the table.
pub(super) fn head(plan: &Plan) {
    let capacity = &plan.capacity;
    let clients = &plan.clients;
    println!(
        "{} computers of {} workers, {} ms per request: capacity {:.0}/s; open loop, {} clients{}, \
         {} of them ask for {} times as much as the others\n",
        capacity.computers,
        capacity.workers,
        capacity.service.as_secs_f64() * 1e3,
        capacity.rate(),
        clients.count,
        if clients.hosts {
            " with an address each"
        } else {
            ""
        },
        clients.greedy,
        clients.greed,
    );
    let names = COLUMNS.map(|(name, width)| format!("{name:>width$}"));
    println!("{}", names.join(" "));
}

/// Names and widths of the columns.
const COLUMNS: [(&str, usize); 19] = [
    ("load", 4),
    ("offered", 7),
    ("goodput", 7),
    ("share", 5),
    ("p50 ms", 7),
    ("p99 ms", 7),
    ("refused", 7),
    ("p50 ms", 7),
    ("p99 ms", 7),
    ("max ms", 7),
    ("<1ms", 5),
    ("expired", 7),
    ("failed", 6),
    ("Jain", 5),
    ("worst", 5),
    ("att.", 5),
    ("memory MB", 12),
    ("back s", 6),
    ("idle", 5),
];

/// Prints a row, and one for each lambda where there are several.
pub(super) fn row(figures: &Figures) {
    let offered = figures.offered as f64;
    let memory = &figures.router_memory;
    let [start, peak, end] =
        [memory.start_kb, memory.peak_kb, memory.end_kb].map(|kb| kb.div_ceil(1024));
    let back = figures.back_to_normal_ms;
    let worst = figures.client_ratios.iter().copied().reduce(f64::min);
    let cells = [
        figures.factor.to_string(),
        number(figures.offered_rps, 0),
        number(figures.goodput_rps, 0),
        percent(figures.goodput_of_capacity),
        number(figures.p50_ms, 1),
        number(figures.p99_ms, 1),
        percent(figures.refused as f64 / offered),
        number(figures.refusal_p50_ms, 2),
        number(figures.refusal_p99_ms, 2),
        number(figures.refusal_max_ms, 1),
        percent(figures.refused_at_once),
        percent(figures.expired as f64 / offered),
        figures.failed.to_string(),
        number(figures.jain, 2),
        number(worst.unwrap_or(f64::NAN), 2),
        number(figures.attempts_per_request, 2),
        format!("{start} {peak} {end}"),
        back.map_or_else(|| "never".to_owned(), |ms| number(ms as f64 / 1e3, 1)),
        percent(figures.idle),
    ];
    let cells: Vec<_> = cells
        .into_iter()
        .zip(COLUMNS)
        .map(|(cell, (_, width))| format!("{cell:>width$}"))
        .collect();
    println!("{}", cells.join(" "));
    if figures.lambdas.len() > 1 {
        for (name, lambda) in &figures.lambdas {
            println!(
                "     {name:<8} {:>5.0}/s of {:>5.0}/s, {:>3} of the answers, p50 {} ms, p99 {} ms",
                lambda.goodput_rps,
                lambda.offered_rps,
                percent(lambda.share),
                number(lambda.p50_ms, 1),
                number(lambda.p99_ms, 1),
            );
        }
    }
    for (kind, count) in &figures.failed_by_kind {
        let example = figures.failure_examples.get(kind);
        let example = example.map_or("", String::as_str);
        println!("     failed: {count} {kind}, the first: {example}");
    }
}

/// A dash stands for what could not be measured.
fn number(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        "-".to_owned()
    } else {
        format!("{value:.decimals$}")
    }
}

fn percent(share: f64) -> String {
    if share.is_nan() {
        "-".to_owned()
    } else {
        format!("{:.0}%", share * 100.0)
    }
}

/// Explains what is not obvious, and says which goals were missed.
pub(super) fn foot(deadline_s: f64, missed: &[String]) {
    println!(
        "\nThe first times are those of answers, from when they were due; those after \"refused\" are\n\
         times until a refusal, from when it left. expired: no answer within {deadline_s} s. Jain: index of\n\
         what clients got over their max-min fair shares; worst: the least of these. att.: attempts\n\
         per request. memory: of the router, before, peak, after. back: until latencies were normal\n\
         again, in windows of 0.5 s. idle: share of the machine."
    );
    if missed.is_empty() {
        println!("All goals were met.");
    }
    for goal in missed {
        println!("missed: {goal}");
    }
}
