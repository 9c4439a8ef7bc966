//! `lab sim scale`: many routers and executors in one run, to see what growth costs.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::course::requests;
use super::engine::Engine;
use super::scenario::{Network, Scenario, Service};
use super::single::{check, contender, within};
use super::topology::Topology;

/// Options of `lab sim scale`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Routers of the largest run
    #[arg(long, default_value = "10000")]
    routers: NonZeroUsize,
    /// Executors of the largest run
    #[arg(long, default_value = "100000")]
    executors: NonZeroUsize,
    /// Each router knows so many executors, the nearest
    #[arg(long, default_value = "64")]
    nearest: NonZeroUsize,
    /// Requests in a run, per executor
    #[arg(long, default_value = "50")]
    requests_per_executor: NonZeroUsize,
    /// Offered work over capacity
    #[arg(long, default_value_t = 0.5)]
    load: f64,
    /// Who chooses
    #[arg(long, default_value = "predicted-completion")]
    policy: String,
    /// Where the randomness starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print a JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Of anything that is counted.
const MOST: usize = 10_000_000;

/// The sizes, as fractions of the largest.
const FRACTIONS: [usize; 3] = [16, 4, 1];
/// Speeds, which executors take in turn.
const SPEEDS: [f64; 4] = [1.0, 2.0, 0.5, 4.0];

/// What one size cost.
#[derive(Debug, Serialize)]
struct Measured {
    routers: usize,
    executors: usize,
    /// Pairs of a router and an executor that it knows.
    pairs: usize,
    requests: usize,
    set_up_seconds: f64,
    run_seconds: f64,
    requests_per_second: f64,
    /// Of the process until then.
    peak_memory_bytes: u64,
    mean_ms: f64,
    p99_ms: f64,
    errors: u64,
    simulated_seconds: f64,
}

/// Runs all sizes, the smallest first.
pub(crate) fn execute(flags: &Flags) -> anyhow::Result<()> {
    within("--load", flags.load, 1e-3..=100.0)?;
    let sizes = [flags.routers, flags.executors, flags.nearest];
    check(
        sizes.iter().all(|size| size.get() <= MOST),
        "--routers, --executors and --nearest take 1 to 10000000",
    )?;
    check(
        flags.requests_per_executor.get() <= MOST,
        "--requests-per-executor takes 1 to 10000000",
    )?;
    let contender = contender(&flags.policy)?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{msg:>24} {wide_bar} {human_pos}/{human_len} requests {eta:>4}",
    )?);
    let mut all = Vec::new();
    for fraction in FRACTIONS {
        let scenario = flags.scenario(fraction);
        bar.set_message(scenario.name.clone());
        bar.set_length(scenario.requests as u64);
        bar.reset();
        bar.enable_steady_tick(Duration::from_millis(200));
        let started = Instant::now();
        let topology = Topology::new(&scenario, flags.seed);
        let engine = Engine::new(&scenario, &topology, &contender, flags.seed);
        let pairs = topology.len();
        let set_up_seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let requests = requests(&scenario, &topology, flags.seed);
        let outcome = engine.run(requests, |done| bar.set_position(done as u64));
        let run_seconds = started.elapsed().as_secs_f64();
        all.push(Measured {
            routers: scenario.routers,
            executors: scenario.speeds.len(),
            pairs,
            requests: scenario.requests,
            set_up_seconds,
            run_seconds,
            requests_per_second: scenario.requests as f64 / run_seconds,
            peak_memory_bytes: peak_memory()?,
            mean_ms: outcome.mean * 1e3,
            p99_ms: outcome.p99 * 1e3,
            errors: outcome.errors,
            simulated_seconds: outcome.simulated_seconds,
        });
    }
    bar.finish_and_clear();
    if flags.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&all);
    }
    Ok(())
}

fn print(all: &[Measured]) {
    println!(
        "{:>8} {:>9} {:>8} {:>9} {:>8} {:>7} {:>11} {:>9} {:>8} {:>8} {:>6}",
        "routers",
        "executors",
        "pairs",
        "requests",
        "set-up s",
        "run s",
        "requests/s",
        "memory MB",
        "mean ms",
        "p99 ms",
        "errors"
    );
    for size in all {
        println!(
            "{:>8} {:>9} {:>8} {:>9} {:>8.2} {:>7.2} {:>11.0} {:>9} {:>8.2} {:>8.2} {:>6}",
            size.routers,
            size.executors,
            size.pairs,
            size.requests,
            size.set_up_seconds,
            size.run_seconds,
            size.requests_per_second,
            size.peak_memory_bytes / 1_000_000,
            size.mean_ms,
            size.p99_ms,
            size.errors
        );
    }
}

impl Flags {
    fn scenario(&self, fraction: usize) -> Scenario {
        let routers = (self.routers.get() / fraction).max(1);
        let executors = (self.executors.get() / fraction).max(1);
        Scenario {
            name: format!("{routers} x {executors}"),
            routers,
            speeds: SPEEDS.into_iter().cycle().take(executors).collect(),
            load: self.load,
            service: Service::Exponential { mean: 0.02 },
            network: Network::Plane {
                base: 0.0005,
                per_unit: 0.05,
            },
            requests: executors * self.requests_per_executor.get(),
            nearest: Some(self.nearest.get()),
            ..Scenario::default()
        }
    }
}

/// The most memory that the process ever had, in bytes, as Linux counts it.
fn peak_memory() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("the peak memory is known on Linux only")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .context("/proc/self/status does not tell the peak memory")?;
    Ok(kilobytes * 1024)
}
