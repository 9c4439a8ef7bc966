//! One run of a cell: the same load at the same time for all peers, or for one after the other.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_daemon::lifecycle::Shutdown;
use edge_transport::{Core, Cores};
use tempfile::TempDir;

use super::arrivals::{self, Arrival};
use super::brokers::Brokers;
use super::cell::{Cell, TROUBLE_FROM, TROUBLE_UNTIL};
use super::figures::{Asked, Evidence};
use super::load::Load;
use super::peer::{Options, Peer};
use super::site::Site;
use crate::bench::machine::Ticks;

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) cell: Cell,
    pub(super) asked: Asked,
    pub(super) options: Options,
    /// How long clients wait.
    pub(super) deadline: Duration,
    pub(super) seed: u64,
}

/// A peer with its brokers and computers, ready.
#[derive(Debug)]
struct Stage {
    site: Site,
    brokers: Brokers,
    /// Holds the files of all processes as long as they run.
    _folder: TempDir,
}

impl Stage {
    async fn set(plan: &Plan, peer: &Peer) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let own = std::env::current_exe().context("cannot find this program")?;
        let site = Site::start(&own, folder.path(), plan.cell).await?;
        let brokers = Brokers::start(
            peer,
            plan.asked.brokers,
            &site.endpoints(),
            folder.path(),
            &plan.options,
        )
        .await?;
        Ok(Self {
            site,
            brokers,
            _folder: folder,
        })
    }

    async fn play(
        &mut self,
        plan: &Plan,
        arrivals: Arc<[Arrival]>,
        started: Instant,
        core: &Core,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Evidence> {
        let load = Load {
            brokers: self.brokers.endpoints(),
            arrivals,
            started,
            deadline: plan.deadline,
            idempotent: plan.options.idempotent,
        };
        let before = self.brokers.cpu()?;
        let samples = core.spawn(load.offer(core.clone(), shutdown.clone()));
        if let Some(trouble) = plan.cell.trouble() {
            let begin = started + plan.asked.warm_up;
            let [from, until] = [TROUBLE_FROM, TROUBLE_UNTIL]
                .map(|share| (begin + plan.asked.measured.mul_f64(share)).into());
            self.site.suffer(trouble, from, until).await?;
        }
        let samples = samples.await??;
        Ok(Evidence {
            samples,
            cpu: self.brokers.cpu()?.saturating_sub(before),
            retries: self.brokers.retries().await?,
        })
    }
}

/// Lets `peers` face the same load at the same time, each with computers of its own. Returns what
/// each has left behind, and which share of the machine was idle.
pub(super) async fn side_by_side(
    plan: &Plan,
    peers: &[Peer],
    shutdown: &Shutdown,
) -> anyhow::Result<(Vec<Evidence>, f64)> {
    /// Until all have been told when to begin.
    const SOON: Duration = Duration::from_millis(50);
    let length = plan.asked.warm_up + plan.asked.measured;
    let arrivals: Arc<[Arrival]> = arrivals::draw(plan.asked.rate_rps, length, plan.seed).into();
    let mut stages = Vec::new();
    for peer in peers {
        stages.push(Stage::set(plan, peer).await?);
    }
    let count = NonZeroUsize::new(peers.len()).context("nobody to measure")?;
    let cores = Cores::start("load", count)?;
    let ticks = Ticks::now()?;
    let started = Instant::now() + SOON;
    let plays = stages
        .iter_mut()
        .zip(cores.all())
        .map(|(stage, core)| stage.play(plan, arrivals.clone(), started, core, shutdown));
    let evidence = futures_util::future::try_join_all(plays).await?;
    let idle = Ticks::now()?.idle_since(ticks);
    cores.join().await;
    Ok((evidence, idle))
}
