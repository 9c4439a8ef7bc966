//! One scenario: the processes, the load, the fault, and what all of them have to say afterwards.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_transport::{Cores, Endpoint};
use tokio_util::task::AbortOnDropHandle;

use super::faults::{Fault, Schedule, Trouble};
use super::journal::Account;
use super::load::{Load, Sample};
use super::world::{Shape, Totals, World};
use crate::bench::page;

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) shape: Shape,
    pub(super) rate: f64,
    pub(super) seed: u64,
    /// Before, during and after the fault.
    pub(super) times: [Duration; 3],
    /// From one blow to the next, where there are several.
    pub(super) period: Duration,
}

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) schedule: Schedule,
    pub(super) trouble: Trouble,
    pub(super) samples: Vec<Sample>,
    pub(super) account: Account,
    /// What the routers have counted, if they lived through it.
    pub(super) totals: Option<Totals>,
    /// Most requests that were at the first computer at the same time, from the fault on.
    pub(super) most_in_flight: u64,
}

/// Runs one scenario. The processes end with the future.
pub(super) async fn run(plan: &Plan) -> anyhow::Result<Evidence> {
    /// Until all have been told when to begin.
    const SOON: Duration = Duration::from_millis(50);
    let mut world = World::start(&plan.fault.shape(plan.shape)).await?;
    let cores = Cores::start("load", NonZeroUsize::MIN)?;
    let [before, during, after] = plan.times;
    let schedule = Schedule {
        started: Instant::now() + SOON,
        before,
        during,
        after,
        period: plan.period,
    };
    let load = Load {
        routers: world.routers.iter().map(|r| r.endpoint().clone()).collect(),
        rate: plan.rate,
        seed: plan.seed,
        poisoned: plan.fault.poisoned(),
        started: schedule.started,
    };
    let load = load.start(cores.all()[0].clone());
    let most_in_flight = Arc::new(AtomicU64::new(0));
    let watch = Watch {
        admins: world.routers.iter().map(|r| r.admin().clone()).collect(),
        victim: world.computers[0].route().clone(),
        most: most_in_flight.clone(),
    };
    let watching = AbortOnDropHandle::new(tokio::spawn(watch.run(schedule)));
    let trouble = plan.fault.inject(&mut world, &schedule).await?;
    tokio::time::sleep(schedule.after).await;
    drop(watching);
    let samples = load.finish().await?;
    let totals = if plan.fault.ends_routers() {
        None
    } else {
        Some(world.totals().await.context("the routers do not answer")?)
    };
    cores.join().await;
    Ok(Evidence {
        schedule,
        trouble,
        samples,
        account: world.account()?,
        totals,
        most_in_flight: most_in_flight.load(Ordering::Relaxed),
    })
}

/// Looks at the routers' metrics all the time, for the requests that are at one destination.
struct Watch {
    admins: Vec<Endpoint>,
    victim: Endpoint,
    most: Arc<AtomicU64>,
}

impl Watch {
    const EVERY: Duration = Duration::from_millis(10);

    async fn run(self, schedule: Schedule) {
        let begin = schedule.started + schedule.before - Self::EVERY;
        tokio::time::sleep_until(begin.into()).await;
        let mut ticks = tokio::time::interval(Self::EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut sum = 0;
            for admin in &self.admins {
                // A router that is being restarted has nothing to say.
                let page = page::read(admin, "/metrics").await;
                let there = page.and_then(|page| Totals::parse(&page).in_flight_at(&self.victim));
                sum += there.unwrap_or_default();
            }
            self.most.fetch_max(sum, Ordering::Relaxed);
        }
    }
}
