//! One cell: processes, load, and a look at the router now and then.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use edge_daemon::lifecycle::Shutdown;
use edge_transport::Cores;
use indicatif::ProgressBar;
use tokio::time::MissedTickBehavior;

use super::arrivals;
use super::clients::Clients;
use super::figures::{Evidence, Figures};
use super::load::Load;
use super::memory::Memory;
use super::platform::Capacity;
use super::site::{Books, Site};
use super::timeline::Timeline;
use crate::bench::machine::Ticks;

/// The lambda that goes before the other one, where there are two.
pub(super) const URGENT: &str = "urgent";

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Load of the burst, as a multiple of the capacity.
    pub(super) factor: f64,
    pub(super) capacity: Capacity,
    pub(super) clients: Clients,
    pub(super) timeline: Timeline,
    /// How long clients wait.
    pub(super) deadline: Duration,
    /// Configuration of the router.
    pub(super) router: serde_json::Value,
    pub(super) mixed: bool,
    pub(super) seed: u64,
}

impl Plan {
    /// What is asked for.
    pub(super) fn lambdas(&self) -> &'static [&'static str] {
        if self.mixed {
            &[URGENT, "batch"]
        } else {
            &["work"]
        }
    }
}

/// Runs one cell.
pub(super) async fn cell(
    plan: &Plan,
    shutdown: &Shutdown,
    bar: &ProgressBar,
) -> anyhow::Result<Figures> {
    /// Until the load generator is ready.
    const SOON: Duration = Duration::from_millis(50);
    let site = Site::start(&plan.capacity, plan.lambdas(), &plan.router).await?;
    let rate = plan.capacity.rate();
    let phases = plan.timeline.loads(plan.factor);
    let arrivals = arrivals::draw(
        &phases.map(|(length, load)| (length, load * rate)),
        &plan.clients.weights(),
        plan.lambdas().len(),
        plan.seed,
    )?;
    let cores = Cores::start("load", NonZeroUsize::MIN)?;
    let started = Instant::now() + SOON;
    let load = Load {
        router: site.endpoint.clone(),
        clients: plan.clients,
        lambdas: plan.lambdas(),
        arrivals,
        started,
        deadline: plan.deadline,
    };
    let core = cores.all()[0].clone();
    let offered = core.spawn(load.offer(core.clone(), shutdown.clone()));
    let seen = watch(&site, plan, started, bar).await?;
    let offered = offered.await??;
    cores.join().await;
    let evidence = Evidence {
        offered,
        seen,
        taken: site.books().await?.requests,
    };
    Ok(Figures::of(plan, &evidence))
}

/// What was seen of the machine and of the router.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) memory: Memory,
    /// When the overload began and when it ended.
    pub(super) books: [Books; 2],
    /// Share of the machine that was idle during the overload.
    pub(super) idle: f64,
}

async fn watch(
    site: &Site,
    plan: &Plan,
    started: Instant,
    bar: &ProgressBar,
) -> anyhow::Result<Seen> {
    const PAUSE: Duration = Duration::from_millis(50);
    let timeline = &plan.timeline;
    let before = bar.position();
    wait_until(started + timeline.burst_begins(), started, before, bar).await;
    let mut memory = Memory::starting_at(site.rss_kb()?);
    let (first, ticks) = (site.books().await?, Ticks::now()?);
    let mut last = None;
    let mut looks = tokio::time::interval(PAUSE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while started.elapsed() < timeline.length() {
        looks.tick().await;
        show(started, before, bar);
        memory.note(site.rss_kb()?);
        if last.is_none() && started.elapsed() >= timeline.burst_ends() {
            let idle = Ticks::now()?.idle_since(ticks);
            last = Some((site.books().await?, idle));
        }
    }
    let (last, idle) = match last {
        Some(last) => last,
        None => (site.books().await?, Ticks::now()?.idle_since(ticks)),
    };
    Ok(Seen {
        memory,
        books: [first, last],
        idle,
    })
}

async fn wait_until(until: Instant, started: Instant, before: u64, bar: &ProgressBar) {
    const STEP: Duration = Duration::from_millis(200);
    while Instant::now() < until {
        let next = until.min(Instant::now() + STEP);
        tokio::time::sleep_until(next.into()).await;
        show(started, before, bar);
    }
}

fn show(started: Instant, before: u64, bar: &ProgressBar) {
    let passed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    bar.set_position(before.saturating_add(passed));
}
