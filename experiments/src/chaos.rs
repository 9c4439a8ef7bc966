//! Faults injected into real processes under an open-loop load: what do routers make of them?
//!
//! Computers, routers and, where it matters, a controller are processes of their own. Requests
//! leave when they are due, half of them idempotent. Computers write down what they do with which
//! request in a way that survives their being killed, so that it is known of each request how
//! often it was executed, whatever happened.

pub(crate) mod computer;
pub(crate) mod daemons;

mod faults;
mod journal;
mod latency;
mod ledger;
mod load;
mod proxy;
mod report;
mod request;
mod run;
mod table;
mod world;

use std::time::Duration;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};
use indicatif::{ProgressBar, ProgressStyle};

use self::faults::Fault;
use self::report::Report;
use self::run::Plan;
use self::world::Shape;

/// Options of the experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// What happens [default: everything, one after the other]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Fault>,
    /// Requests per second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Computers, the first of which is the one in trouble
    #[arg(long, default_value_t = 4)]
    computers: usize,
    /// Routers, all of which each client knows
    #[arg(long, default_value_t = 1)]
    routers: usize,
    /// How long a fault lasts, in seconds [default: 6]
    #[arg(long)]
    seconds: Option<f64>,
    /// Decides when requests are due
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// All of it within a minute: faults last 1.6 s
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Send so many requests amid random trouble instead, and compare everybody's books
    #[arg(long, value_name = "REQUESTS", num_args = 0..=1, default_missing_value = "1000000",
          conflicts_with_all = ["only", "rate", "computers", "routers", "seconds", "quick"])]
    ledger: Option<u64>,
    /// Fail if any goal is missed, not only one that holds whatever happens
    #[arg(long, conflicts_with = "ledger")]
    check: bool,
    /// Print one JSON object per scenario
    #[arg(long)]
    json: bool,
}

impl Flags {
    fn check(&self) -> Result<(), UsageError> {
        let check = |holds: bool, problem: &str| {
            let error = UsageError(problem.to_owned());
            holds.then_some(()).ok_or(error)
        };
        let rate = (1.0..=20_000.0).contains(&self.rate);
        check(rate, "--rate takes 1 to 20000")?;
        let computers = (2..=64).contains(&self.computers);
        check(computers, "--computers takes 2 to 64")?;
        let routers = (1..=16).contains(&self.routers);
        check(routers, "--routers takes 1 to 16")?;
        let seconds = self.seconds.is_none_or(|s| (0.1..=600.0).contains(&s));
        check(seconds, "--seconds takes 0.1 to 600")?;
        let ledger = self.ledger.is_none_or(|n| (1..=100_000_000).contains(&n));
        check(ledger, "--ledger takes 1 to 100000000")
    }

    fn plans(&self) -> impl Iterator<Item = Plan> {
        let faults = match self.only.as_slice() {
            [] => &Fault::ALL[..],
            only => only,
        };
        faults.iter().map(|&fault| self.plan(fault))
    }

    fn plan(&self, fault: Fault) -> Plan {
        let (times, period) = if self.quick {
            ([0.5, 1.6, 0.7], 0.4)
        } else {
            ([3.0, self.seconds.unwrap_or(6.0), 3.0], 2.0)
        };
        Plan {
            fault,
            shape: Shape {
                computers: self.computers,
                routers: self.routers,
                proxied: 0,
                controlled: false,
                workers: 4,
                service: Duration::from_millis(10),
            },
            rate: self.rate,
            seed: self.seed,
            times: times.map(Duration::from_secs_f64),
            period: Duration::from_secs_f64(period),
        }
    }
}

/// Runs all scenarios and prints each as soon as it is over. Fails if a request was lost, mistaken
/// for another, or executed against its will.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    if let Some(requests) = flags.ledger {
        return keep_ledger(flags, requests, &shutdown).await;
    }
    if !flags.json {
        table::head();
    }
    let plans: Vec<_> = flags.plans().collect();
    // Hidden unless standard error is a terminal.
    let progress = ProgressBar::new(plans.len() as u64);
    progress.set_style(ProgressStyle::with_template("[{pos}/{len}] {msg}")?);
    let mut latest_ms = 0.0_f64;
    let mut missed = Vec::new();
    for plan in &plans {
        progress.set_message(plan.fault.name());
        let evidence = tokio::select! {
            evidence = run::run(plan) => evidence?,
            // Processes end with the future that holds them.
            reason = shutdown.requested() => return Err(Interrupted(reason).into()),
        };
        let report = Report::of(plan, &evidence)?;
        latest_ms = latest_ms.max(report.late_p99_ms);
        missed.extend(report.missed(flags.check));
        progress.suspend(|| {
            if flags.json {
                println!("{}", serde_json::to_string(&report)?);
            } else {
                table::rows(&report);
            }
            Ok::<_, serde_json::Error>(())
        })?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    if !flags.json {
        table::foot(latest_ms);
    }
    anyhow::ensure!(missed.is_empty(), "goals missed: {}", missed.join("; "));
    Ok(())
}

async fn keep_ledger(flags: &Flags, requests: u64, shutdown: &Shutdown) -> anyhow::Result<()> {
    /// As often as that, so that a short run has its share of trouble.
    const EVERY_PER_REQUEST: Duration = Duration::from_micros(5);
    let every = EVERY_PER_REQUEST.mul_f64(requests as f64);
    let plan = ledger::Plan {
        requests,
        seed: flags.seed,
        every: every.clamp(Duration::from_millis(100), Duration::from_secs(1)),
    };
    // Hidden unless standard error is a terminal.
    let progress = ProgressBar::new(requests);
    tokio::select! {
        kept = ledger::run(&plan, flags.json, &progress) => kept,
        // Processes end with the future that holds them.
        reason = shutdown.requested() => Err(Interrupted(reason).into()),
    }
}
