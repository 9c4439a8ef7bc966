//! What it costs that several cores pick for the same lambda: what one of them writes, the others must
//! fetch again.
//!
//! `cargo bench -p edge-balance --bench cores` gives each core a table of its own, then all of them one
//! table, in turn, and prints what a request (pick and answer) costs each core, and the ratio of the two.
//! Cores that have work of their own slow each other down as well (clocks, caches, memory), which is in
//! both and so not in the ratio.
#![allow(
    clippy::print_stdout,
    reason = "printing is what a program that measures does"
)]

#[path = "../table/cpu_time.rs"]
mod cpu_time;
#[path = "../pick/workload.rs"]
mod workload;

use cpu_time::{nanos, sorted};
use edge_balance::PolicyConfig;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::Barrier;
use workload::Workload;

/// Rounds, each of which measures both.
const ROUNDS: usize = 15;
/// Requests of each core in a round, tens of milliseconds.
const REQUESTS: u32 = 50_000;

fn main() {
    let cores = cores();
    if cores.len() < 2 {
        println!("there is one core, so that nothing can be shared");
        return;
    }
    println!(
        "a request (pick and answer) on each of {} cores: CPU ns with a table for each, with one for all, ratio",
        cores.len()
    );
    println!("medians of {ROUNDS} rounds; in brackets what four of five ratios are between");
    for destinations in [8, 64] {
        println!("{destinations} destinations");
        for policy in PolicyConfig::NAMES {
            let rounds: Vec<_> = {
                let mut apart: Vec<_> = cores
                    .iter()
                    .map(|_| Workload::new(policy, destinations))
                    .collect();
                let first = Workload::new(policy, destinations);
                let mut together: Vec<_> = (2..)
                    .map(|seed| first.beside(seed))
                    .take(cores.len())
                    .collect();
                (0..ROUNDS)
                    .map(|_| (round(&cores, &mut apart), round(&cores, &mut together)))
                    .collect()
            };
            let apart = sorted(rounds.iter().map(|(apart, _)| *apart));
            let together = sorted(rounds.iter().map(|(_, together)| *together));
            let ratios = sorted(rounds.iter().map(|(apart, together)| together / apart));
            println!(
                "{policy:<22} {:>7.0} {:>7.0} {:>6.2} ({:.2} to {:.2})",
                apart[ROUNDS / 2],
                together[ROUNDS / 2],
                ratios[ROUNDS / 2],
                ratios[ROUNDS / 10],
                ratios[ROUNDS - 1 - ROUNDS / 10],
            );
        }
    }
}

/// Those that this process may use.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("a thread may ask for its own cores");
    (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect()
}

/// Nanoseconds of the processor that a request takes on a core, with one workload on each.
fn round(cores: &[usize], workloads: &mut [Workload]) -> f64 {
    let start = &Barrier::new(cores.len());
    let total: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = cores
            .iter()
            .zip(workloads)
            .map(|(core, workload)| {
                scope.spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(*core);
                    sched_setaffinity(None, &only).expect("the core may be used");
                    start.wait();
                    let before = nanos();
                    (0..REQUESTS).for_each(|_| workload.request());
                    nanos() - before
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a workload does not panic"))
            .sum()
    });
    total / (cores.len() as f64 * f64::from(REQUESTS))
}
