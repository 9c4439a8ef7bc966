//! What a router does when clients ask for more than its computers can do.
//!
//! Real processes on loopback: computers that take their time without using the CPU, and one
//! router. Clients with a connection each, one of them greedy, offer a multiple of what the
//! computers can do in an open loop: a request leaves when it is due, whatever became of those
//! before it, and its latency counts from then. Each cell begins and ends with half the capacity,
//! so that it has its own measure of what is normal and shows how long it takes to get back there.

mod arrivals;
mod clients;
mod fairness;
mod fate;
mod figures;
mod goals;
mod load;
mod memory;
mod platform;
mod recovery;
pub(crate) mod router;
mod run;
mod site;
mod table;
mod timeline;

use std::time::Duration;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};
use indicatif::{ProgressBar, ProgressStyle};

use self::clients::Clients;
use self::figures::Figures;
use self::goals::Goals;
use self::platform::Capacity;
use self::run::Plan;
use self::timeline::Timeline;
use crate::numbers::any;

/// Options of the experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Offered load as multiples of the capacity of all computers, one cell each [default:
    /// 0.5,0.8,1,1.5,2,3,5; with --quick 0.5,1,3]
    #[arg(long, value_delimiter = ',', value_parser = any(0.01..=50.0))]
    factors: Vec<f64>,
    /// Computers behind the router
    #[arg(long, default_value_t = 4)]
    computers: usize,
    /// Requests that a computer executes at the same time
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// How long it takes for one, in milliseconds
    #[arg(long, default_value_t = 10.0)]
    service_ms: f64,
    /// Clients, each with a connection of its own
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// How many of them are greedy
    #[arg(long, default_value_t = 1)]
    greedy: usize,
    /// How many times as much as another client a greedy one asks for
    #[arg(long, default_value_t = 10.0)]
    greed: f64,
    /// Each client has an address of its own, from 127.0.1.1 on, so that it is another host to
    /// the router
    #[arg(long)]
    hosts: bool,
    /// How long clients wait for an answer, in seconds
    #[arg(long, default_value_t = 2.0)]
    deadline: f64,
    /// Length of the overload, in seconds [default: 15; with --quick 6]
    #[arg(long)]
    seconds: Option<f64>,
    /// Cores of the router
    #[arg(long, default_value_t = 2)]
    router_threads: usize,
    /// Configuration of the router as a JSON object, merged over the one that gives it free ports
    #[arg(long, value_name = "JSON", value_parser = json)]
    router_conf: Option<serde_json::Value>,
    /// Two lambdas, half of the requests for each, one of which goes before the other
    #[arg(long)]
    mixed: bool,
    /// Decides when requests are due and whose they are
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// All of it within a minute: fewer and shorter cells
    #[arg(long)]
    quick: bool,
    /// Fail if a goal is missed
    #[arg(long)]
    check: bool,
    /// Wait for a turn in the router that the goal for latencies allows, in milliseconds
    #[arg(long, default_value_t = 500.0)]
    queue_bound_ms: f64,
    /// Print one JSON object per cell
    #[arg(long)]
    json: bool,
}

impl Flags {
    fn check_ranges(&self) -> Result<(), UsageError> {
        let check = |holds: bool, problem: &str| {
            holds
                .then_some(())
                .ok_or_else(|| UsageError(problem.to_owned()))
        };
        let computers = (1..=64).contains(&self.computers);
        check(computers, "--computers takes 1 to 64")?;
        check((1..=64).contains(&self.workers), "--workers takes 1 to 64")?;
        let service = (0.1..=10_000.0).contains(&self.service_ms);
        check(service, "--service-ms takes 0.1 to 10000")?;
        check(
            (1..=200).contains(&self.clients),
            "--clients takes 1 to 200",
        )?;
        let greedy = self.greedy <= self.clients;
        check(greedy, "--greedy takes no more than --clients")?;
        check(
            (1.0..=1000.0).contains(&self.greed),
            "--greed takes 1 to 1000",
        )?;
        let deadline = (0.1..=60.0).contains(&self.deadline);
        check(deadline, "--deadline takes 0.1 to 60")?;
        let seconds = self.seconds.is_none_or(|s| (0.5..=600.0).contains(&s));
        check(seconds, "--seconds takes 0.5 to 600")?;
        let threads = (1..=64).contains(&self.router_threads);
        check(threads, "--router-threads takes 1 to 64")?;
        let bound = (0.0..=60_000.0).contains(&self.queue_bound_ms);
        check(bound, "--queue-bound-ms takes 0 to 60000")
    }

    fn factors(&self) -> &[f64] {
        match (self.factors.as_slice(), self.quick) {
            ([], true) => &[0.5, 1.0, 3.0],
            ([], false) => &[0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0],
            (given, _) => given,
        }
    }

    fn router(&self) -> Result<serde_json::Value, UsageError> {
        let urgent = self.mixed.then_some(run::URGENT);
        router::configuration(self.router_threads, urgent, self.router_conf.as_ref())
            .map_err(|error| UsageError(format!("--router-conf: {error}")))
    }

    fn plan(&self, factor: f64, router: &serde_json::Value) -> Plan {
        let timeline = if self.quick {
            Timeline::quick()
        } else {
            Timeline::full()
        };
        let burst = self.seconds.map(Duration::from_secs_f64);
        Plan {
            factor,
            capacity: Capacity {
                computers: self.computers,
                workers: self.workers,
                service: Duration::from_secs_f64(self.service_ms / 1e3),
            },
            clients: Clients {
                count: self.clients,
                greedy: self.greedy,
                greed: self.greed,
                hosts: self.hosts,
            },
            timeline: Timeline {
                burst: burst.unwrap_or(timeline.burst),
                ..timeline
            },
            deadline: Duration::from_secs_f64(self.deadline),
            router: router.clone(),
            mixed: self.mixed,
            seed: self.seed,
        }
    }
}

/// Measures all cells and prints each as soon as it is known.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check_ranges()?;
    let router = flags.router()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let factors = flags.factors().iter();
    let plans: Vec<Plan> = factors.map(|&k| flags.plan(k, &router)).collect();
    let goals = Goals {
        queue_bound_ms: flags.queue_bound_ms,
    };
    if !flags.json {
        table::head(&plans[0]);
    }
    let length: Duration = plans.iter().map(|plan| plan.timeline.length()).sum();
    let bar = progress(length);
    let mut missed = Vec::new();
    for plan in &plans {
        bar.set_message(format!("{} x capacity", plan.factor));
        let figures = tokio::select! {
            figures = run::cell(plan, &shutdown, &bar) => figures?,
            // Processes end with the future that holds them.
            reason = shutdown.requested() => return Err(Interrupted(reason).into()),
        };
        let of_cell = goals.missed(&figures);
        bar.suspend(|| show(flags.json, &figures, &of_cell))?;
        missed.extend(of_cell);
    }
    bar.finish_and_clear();
    if !flags.json {
        table::foot(flags.deadline, &missed);
    }
    anyhow::ensure!(
        missed.is_empty() || !flags.check,
        "goals missed: {}",
        missed.join("; ")
    );
    Ok(())
}

fn json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn show(json: bool, figures: &Figures, missed: &[String]) -> anyhow::Result<()> {
    if json {
        let mut line = serde_json::to_value(figures)?;
        line["missed"] = missed.into();
        println!("{line}");
    } else {
        table::row(figures);
    }
    Ok(())
}

/// Shows, where standard error is a terminal, how much of the time has passed.
fn progress(length: Duration) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}, {eta} left")
        .expect("the template is valid");
    bar.with_style(style)
}
