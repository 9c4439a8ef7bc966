//! What users can say of an experiment.

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::UsageError;

use super::cell::{self, Cell, Layout};
use super::mode::Mode;
use super::scene::Load;
use super::speed::Speed;
use crate::fabric::doctor::Backend;
use crate::numbers::{any, whole};

/// What all experiments have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// All of it in less than 40 s
    #[arg(long)]
    pub(super) quick: bool,
    /// How long a cell is measured, in seconds [default: as published]
    #[arg(long)]
    seconds: Option<f64>,
    /// What comes before, in seconds [default: as published]
    #[arg(long)]
    warm_up: Option<f64>,
    /// Runs of each cell, with other losses and places [default: 1; quic-304 3, quic-goal 8; with
    /// --quick 1, quic-goal 4]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    first_seed: u64,
    /// Protocols [default: grpc,quic,quic0rtt; quic-goal: grpc-tls,quic]
    #[arg(long, value_enum, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Cells at the same time [default: 18; quic-304 1, with --quick 3; quic-goal 8]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// What links are made of [default: the packet fabric, if it works here]
    #[arg(long, value_enum)]
    pub(super) backend: Option<Backend>,
    /// Folder with edgecomputer, edgerouter and edgeclient [default: those built with this program,
    /// built now if need be]
    #[arg(long, value_name = "FOLDER")]
    pub(super) programs: Option<PathBuf>,
    /// Where the page goes
    #[arg(long, value_name = "FOLDER", default_value = "lab-run")]
    pub(super) out: PathBuf,
    /// Print one JSON object per cell
    #[arg(long)]
    pub(super) json: bool,
}

/// What is to be run.
#[derive(Debug)]
pub(super) struct Plan {
    /// By cell: one run per seed.
    pub(super) cells: Vec<Vec<Cell>>,
    pub(super) jobs: usize,
}

/// Experiment 302.
#[derive(Debug, clap::Args)]
pub(crate) struct Loss {
    #[command(flatten)]
    pub(super) common: Common,
    /// Links
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "slow,medium,fast"
    )]
    links: Vec<Speed>,
    /// Losses on each link in each direction, in per cent
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,3,4,5", value_parser = whole(0..=50_u32))]
    losses: Vec<u32>,
}

/// Experiment 303.
#[derive(Debug, clap::Args)]
pub(crate) struct Router {
    #[command(flatten)]
    pub(super) common: Common,
    /// Links
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "slow,medium,fast"
    )]
    links: Vec<Speed>,
}

/// Experiment 304.
#[derive(Debug, clap::Args)]
pub(crate) struct Chicago {
    #[command(flatten)]
    pub(super) common: Common,
    /// Where routers are
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "centralized,distributed"
    )]
    layouts: Vec<Layout>,
}

/// The goal for lossy links.
#[derive(Debug, clap::Args)]
pub(crate) struct Goal {
    #[command(flatten)]
    pub(super) common: Common,
    /// Losses in each direction, in per cent
    #[arg(long, value_delimiter = ',', default_value = "0,1", value_parser = any(0.0..=50.0))]
    losses: Vec<f64>,
    /// Requests in flight
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    /// Fail if the goal is missed
    #[arg(long)]
    pub(super) check: bool,
}

impl Loss {
    pub(super) fn cells(&self) -> Result<Plan, UsageError> {
        let usual = Usual::paced(10.0, 110.0, [2.0, 7.0]);
        self.common.plan(&usual, |mode, load, seed| {
            let mut cells = Vec::new();
            for speed in &self.links {
                for loss in &self.losses {
                    cells.push(cell::loss_cell(*speed, *loss, mode, load, seed));
                }
            }
            cells
        })
    }
}

impl Router {
    pub(super) fn cells(&self) -> Result<Plan, UsageError> {
        let usual = Usual::paced(10.0, 50.0, [2.0, 20.0]);
        self.common.plan(&usual, |mode, load, seed| {
            let links = self.links.iter();
            links
                .map(|speed| cell::router_cell(*speed, mode, load, seed))
                .collect()
        })
    }
}

impl Chicago {
    pub(super) fn cells(&self) -> Result<Plan, UsageError> {
        let usual = Usual {
            every: Duration::from_secs(1),
            seeds: if self.common.quick { 1 } else { 3 },
            // Each cell starts 40 clients, whose first use of TLS takes a small machine seconds.
            jobs: if self.common.quick { 3 } else { 1 },
            ..Usual::paced(10.0, 50.0, [4.0, 6.0])
        };
        self.common.plan(&usual, |mode, load, seed| {
            let layouts = self.layouts.iter();
            layouts
                .map(|layout| cell::chicago_cell(*layout, mode, load, seed))
                .collect()
        })
    }
}

impl Goal {
    pub(super) fn cells(&self) -> Result<Plan, UsageError> {
        let in_flight = (1..=1000).contains(&self.in_flight);
        check(in_flight, "--in-flight takes 1 to 1000")?;
        let usual = Usual {
            every: Duration::ZERO,
            in_flight: self.in_flight,
            // The tail of TCP differs by half from one run to the next.
            seeds: if self.common.quick { 4 } else { 8 },
            jobs: 8,
            modes: &[Mode::GrpcTls, Mode::Quic],
            ..Usual::paced(2.0, 30.0, [2.0, 12.0])
        };
        self.common.plan(&usual, |mode, load, seed| {
            let losses = self.losses.iter();
            losses
                .map(|loss| cell::goal_cell(*loss, mode, load, seed))
                .collect()
        })
    }
}

/// What an experiment does unless told otherwise.
#[derive(Debug)]
struct Usual {
    warm_up: f64,
    seconds: f64,
    /// Both with `--quick`.
    quick: [f64; 2],
    every: Duration,
    in_flight: usize,
    seeds: u64,
    jobs: usize,
    modes: &'static [Mode],
}

impl Usual {
    /// As most of the published ones: ten requests per second.
    fn paced(warm_up: f64, seconds: f64, quick: [f64; 2]) -> Self {
        Self {
            warm_up,
            seconds,
            quick,
            every: Duration::from_millis(100),
            in_flight: 1,
            seeds: 1,
            jobs: 18,
            modes: &Mode::PUBLISHED,
        }
    }
}

impl Common {
    fn plan(
        &self,
        usual: &Usual,
        cells: impl Fn(Mode, Load, u64) -> Vec<Cell>,
    ) -> Result<Plan, UsageError> {
        let [quick_warm_up, quick_seconds] = usual.quick;
        let (warm_up, seconds) = if self.quick {
            (quick_warm_up, quick_seconds)
        } else {
            (usual.warm_up, usual.seconds)
        };
        let warm_up = self.warm_up.unwrap_or(warm_up);
        let seconds = self.seconds.unwrap_or(seconds);
        let seeds = self.seeds.unwrap_or(usual.seeds);
        let jobs = self.jobs.unwrap_or(usual.jobs);
        check(
            (0.0..=3600.0).contains(&warm_up),
            "--warm-up takes 0 to 3600",
        )?;
        check(
            (0.1..=3600.0).contains(&seconds),
            "--seconds takes 0.1 to 3600",
        )?;
        check((1..=1000).contains(&seeds), "--seeds takes 1 to 1000")?;
        check((1..=100).contains(&jobs), "--jobs takes 1 to 100")?;
        let load = Load {
            in_flight: usual.in_flight,
            every: usual.every,
            bytes: 1000,
            warm_up: Duration::from_secs_f64(warm_up),
            length: Duration::from_secs_f64(seconds),
        };
        let modes = match self.modes.as_slice() {
            [] => usual.modes,
            given => given,
        };
        let mut plan: Vec<Vec<Cell>> = Vec::new();
        for mode in modes {
            let first = plan.len();
            for seed in (0..seeds).map(|n| self.first_seed.wrapping_add(n)) {
                for (place, cell) in cells(*mode, load, seed).into_iter().enumerate() {
                    match plan.get_mut(first + place) {
                        Some(runs) => runs.push(cell),
                        None => plan.push(vec![cell]),
                    }
                }
            }
        }
        // By link or layout, then loss, then mode.
        plan.sort_by(|a, b| order(a).partial_cmp(&order(b)).expect("no loss is NaN"));
        Ok(Plan { cells: plan, jobs })
    }
}

fn order(runs: &[Cell]) -> (Option<Speed>, Option<Layout>, f64, Mode) {
    let cell = &runs[0];
    (cell.link, cell.layout, cell.loss, cell.scene.mode)
}

fn check(holds: bool, problem: &str) -> Result<(), UsageError> {
    holds
        .then_some(())
        .ok_or_else(|| UsageError(problem.to_owned()))
}
