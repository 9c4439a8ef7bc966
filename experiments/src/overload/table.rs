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
    println!(
        "{:>4} {:>7} {:>7} {:>5} {:>7} {:>7} {:>6} {:>7} {:>7} {:>7} {:>5} {:>7} {:>6} {:>5} {:>5} {:>4} {:>6} {:>14} {:>6} {:>4}",
        "load",
        "offered",
        "goodput",
        "share",
        "p50 ms",
        "p99 ms",
        "refused",
        "p50 ms",
        "p99 ms",
        "max ms",
        "<1ms",
        "expired",
        "failed",
        "Jain",
        "worst",
        "att.",
        "CPU us",
        "memory MB",
        "back s",
        "idle"
    );
}

/// Prints a row, and one for each lambda where there are several.
pub(super) fn row(figures: &Figures) {
    let memory = &figures.router_memory;
    let megabytes = |kb: u64| kb.div_ceil(1024);
    let offered = figures.offered as f64;
    let percent = |count: usize| 100.0 * count as f64 / offered;
    let back = figures.back_to_normal_ms.map_or_else(
        || "never".to_owned(),
        |ms| format!("{:.1}", ms as f64 / 1e3),
    );
    let worst = figures
        .client_ratios
        .iter()
        .copied()
        .fold(f64::NAN, f64::min);
    println!(
        "{:>4} {:>7.0} {:>7.0} {:>4.0}% {:>7.1} {:>7.1} {:>6.1}% {:>7.1} {:>7.1} {:>7.1} {:>4.0}% {:>6.1}% {:>6} {:>5.2} {:>5.2} {:>4.2} {:>6.0} {:>14} {:>6} {:>3.0}%",
        figures.factor,
        figures.offered_rps,
        figures.goodput_rps,
        figures.goodput_of_capacity * 100.0,
        figures.p50_ms,
        figures.p99_ms,
        percent(figures.refused),
        figures.refusal_p50_ms,
        figures.refusal_p99_ms,
        figures.refusal_max_ms,
        figures.refused_at_once * 100.0,
        percent(figures.expired),
        figures.failed,
        figures.jain,
        worst,
        figures.attempts_per_request,
        figures.router_cpu_us,
        format!(
            "{} {} {}",
            megabytes(memory.start_kb),
            megabytes(memory.peak_kb),
            megabytes(memory.end_kb)
        ),
        back,
        figures.idle * 100.0,
    );
    if figures.lambdas.len() > 1 {
        for (name, lambda) in &figures.lambdas {
            println!(
                "     {name:<8} {:>5.0}/s of {:>5.0}/s: {:>3.0} % of the answers, p50 {:.1} ms, p99 {:.1} ms",
                lambda.goodput_rps,
                lambda.offered_rps,
                lambda.share * 100.0,
                lambda.p50_ms,
                lambda.p99_ms,
            );
        }
    }
    if !figures.failed_by_kind.is_empty() {
        println!("     failed: {:?}", figures.failed_by_kind);
    }
}

/// Explains what is not obvious, and says which goals were missed.
pub(super) fn foot(deadline_s: f64, missed: &[String]) {
    println!(
        "\nThe first times are those of answers, from when they were due; those after \"refused\" are\n\
         times until a refusal, from when it left. expired: no answer within {deadline_s} s. Jain: index of\n\
         what clients got over their max-min fair shares; worst: the least of these. att.: attempts\n\
         per request. CPU: of the router, per request. memory: of the router, before, peak, after.\n\
         back: until latencies were normal again, in windows of 0.5 s. idle: share of the machine."
    );
    if missed.is_empty() {
        println!("All goals were met.");
    }
    for goal in missed {
        println!("missed: {goal}");
    }
}
