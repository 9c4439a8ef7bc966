//! Processes that die, freeze, and are restarted.

use super::{Schedule, Trouble};
use crate::chaos::world::World;

/// Kills the first computer and restarts it in the end.
pub(super) async fn kill(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    world.computers[0].kill()?;
    schedule.end().await;
    let trouble = schedule.trouble(from);
    world.computers[0].restart().await?;
    Ok(trouble)
}

/// Freezes the first computer.
pub(super) async fn stop(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    world.computers[0].freeze()?;
    schedule.end().await;
    let trouble = schedule.trouble(from);
    world.computers[0].thaw()?;
    Ok(trouble)
}

/// Kills the first computer and restarts it, again and again: half of each period it is away.
pub(super) async fn flap(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    for blow in 0..schedule.blows() {
        let count = u32::try_from(blow)?;
        let at = schedule.started + schedule.before + schedule.period * count;
        tokio::time::sleep_until(at.into()).await;
        world.computers[0].kill()?;
        tokio::time::sleep_until((at + schedule.period / 2).into()).await;
        world.computers[0].restart().await?;
    }
    schedule.end().await;
    Ok(schedule.trouble(from))
}

/// Restarts every computer and then every router, each when the one before is back.
pub(super) async fn restart_all(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    for computer in &mut world.computers {
        computer.end().await?;
        computer.restart().await?;
    }
    for router in &mut world.routers {
        router.end().await?;
        router.restart().await?;
    }
    Ok(schedule.trouble(from))
}
