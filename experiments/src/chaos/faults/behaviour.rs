//! Computers that answer, but not as they should.

use super::{Schedule, Trouble};
use crate::chaos::computer::Mood;
use crate::chaos::world::World;

/// The first computer answers at once that it is overloaded, or not available.
pub(super) async fn refuse(
    world: &mut World,
    schedule: &Schedule,
    overloaded: bool,
) -> anyhow::Result<Trouble> {
    let mood = if overloaded {
        Mood::Overloaded
    } else {
        Mood::Unavailable
    };
    let from = schedule.fault().await;
    let computer = &mut world.computers[0];
    let before = computer.arrivals()?;
    computer.behave(mood)?;
    schedule.end().await;
    let trouble = Trouble {
        reached: Some(computer.arrivals()? - before),
        ..schedule.trouble(from)
    };
    computer.behave(Mood::Well)?;
    Ok(trouble)
}

/// Nothing but what the requests themselves do.
pub(super) async fn none(schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    schedule.end().await;
    Ok(schedule.trouble(from))
}
