//! What happens between router and computer, and what strangers send to routers.

use std::time::Duration;

use edge_transport::Endpoint;
use tokio::io::AsyncWriteExt as _;

use super::{Schedule, Trouble};
use crate::chaos::proxy::{Treatment, connect, garbage};
use crate::chaos::world::World;

/// From one connection of the stranger to the next.
const STRANGE_EVERY: Duration = Duration::from_millis(20);

/// Longest time until a router has accepted a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Treats all connections to the first computer so for a while.
pub(super) async fn treat(
    world: &mut World,
    schedule: &Schedule,
    treatment: Treatment,
) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    let proxy = world.computers[0].proxy()?;
    let before = proxy.accepted();
    proxy.treat(treatment).await?;
    schedule.end().await;
    let trouble = Trouble {
        connections: Some(proxy.accepted() - before),
        ..schedule.trouble(from)
    };
    proxy.treat(Treatment::Pass).await?;
    Ok(trouble)
}

/// Forgets the connections to the first computer.
pub(super) async fn forget(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let from = schedule.fault().await;
    world.computers[0].proxy()?.forget();
    schedule.end().await;
    Ok(schedule.trouble(from))
}

/// Answers routers with garbage, and sends it to them from time to time.
pub(super) async fn garble(world: &mut World, schedule: &Schedule) -> anyhow::Result<Trouble> {
    let routers: Vec<_> = world.routers.iter().map(|r| r.endpoint().clone()).collect();
    let stranger = async {
        schedule.fault().await;
        tokio::select! {
            never = annoy(&routers) => never,
            () = schedule.end() => Ok(()),
        }
    };
    let treated = treat(world, schedule, Treatment::Garbage);
    let (trouble, annoyed) = tokio::join!(treated, stranger);
    annoyed?;
    trouble
}

async fn annoy(routers: &[Endpoint]) -> anyhow::Result<()> {
    for seed in 0.. {
        for router in routers {
            let mut stream = connect(router.to_string().parse()?, PATIENCE).await?;
            // The router may hang up in the middle of it.
            let _written = stream.write_all(&garbage(seed)).await;
        }
        tokio::time::sleep(STRANGE_EVERY).await;
    }
    Ok(())
}
