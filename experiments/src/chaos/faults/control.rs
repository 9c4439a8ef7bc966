//! A control plane that goes away while something happens.

use super::{Schedule, Trouble};
use crate::chaos::world::World;

/// Kills the controller, then the first computer; restarts the computer, then the controller, all
/// within a while.
pub(super) async fn lose(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    let begin = schedule.started + schedule.before;
    let at = |quarters| tokio::time::sleep_until((begin + schedule.during * quarters / 4).into());
    if let Some(controller) = &mut world.controller {
        controller.kill()?;
    }
    at(1).await;
    world.computers[0].kill()?;
    at(2).await;
    world.computers[0].restart().await?;
    at(3).await;
    if let Some(controller) = &mut world.controller {
        controller.restart().await?;
    }
    schedule.end().await;
    Ok(schedule.trouble(from))
}
