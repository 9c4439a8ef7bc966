//! The demo's end: how traffic moved, in words.

use std::time::Duration;

use super::ledger::{Ledger, Share};
use super::screen::milliseconds;
use super::world::{FAST, MEDIUM, World};
use super::{Plan, SLOW_DOWN};

/// How long the router gets to take notice, before shares are told.
const SETTLING: Duration = Duration::from_millis(500);

pub(crate) fn tell(ledger: &Ledger, plan: &Plan, world: &World, interrupted: bool) {
    println!();
    if interrupted {
        println!("ended early");
        failures(ledger);
        return;
    }
    let (fast, medium) = (world.label(FAST), world.label(MEDIUM));
    let before = phase(ledger, Duration::ZERO, plan.slow_down);
    println!("All healthy: {before}.");

    let was = share(ledger, FAST, Duration::ZERO, plan.slow_down);
    let settled = plan.slow_down + SETTLING;
    let is = share(ledger, FAST, settled, plan.crash);
    println!(
        "{fast} {SLOW_DOWN} times slower: {}. Its share moved from {} to {}.",
        phase(ledger, settled, plan.crash),
        per_cent(was),
        per_cent(is),
    );

    let retries = world.router().retries();
    println!(
        "{medium} dead: {}. The router tried {retries} request{} again elsewhere; {} failed at the client.",
        phase(ledger, plan.crash, plan.back),
        if retries == 1 { "" } else { "s" },
        if ledger.failed() == 0 {
            "none".to_owned()
        } else {
            ledger.failed().to_string()
        },
    );
    println!(
        "{medium} back: {}. Its share went from {} while it was dead to {}.",
        phase(ledger, plan.back, plan.end),
        per_cent(share(ledger, MEDIUM, plan.crash + SETTLING, plan.back)),
        per_cent(share(ledger, MEDIUM, plan.back, plan.end)),
    );
    failures(ledger);
}

fn failures(ledger: &Ledger) {
    for (problem, count) in ledger.failures() {
        println!("failed {count} times: {problem}");
    }
}

fn phase(ledger: &Ledger, from: Duration, to: Duration) -> String {
    let shares = ledger.between(from, to);
    let shares: Vec<_> = shares
        .iter()
        .map(|s: &Share| format!("{} {}", s.label, per_cent(s.share)))
        .collect();
    format!(
        "{} of the requests, p50 {} ms, p99 {} ms",
        shares.join(", "),
        milliseconds(ledger.quantile(from, to, 0.5)),
        milliseconds(ledger.quantile(from, to, 0.99)),
    )
}

fn share(ledger: &Ledger, computer: usize, from: Duration, to: Duration) -> f64 {
    ledger.between(from, to)[computer].share
}

fn per_cent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
