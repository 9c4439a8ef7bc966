//! Trouble at random times and places, one after the other.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_distr::Exp1;
use rand_pcg::Pcg64;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Plan;
use crate::chaos::proxy::Treatment;
use crate::chaos::world::World;

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Misfortunes {
    pub(super) kills: u64,
    pub(super) freezes: u64,
    pub(super) resets: u64,
}

impl Misfortunes {
    /// Lets the seed strike until `done`; whatever is broken then has been repaired.
    pub(super) async fn befall(
        &mut self,
        world: &mut World,
        plan: &Plan,
        done: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut random = Pcg64::seed_from_u64(plan.seed);
        while !done.is_cancelled() {
            let gap: f64 = random.sample(Exp1);
            wait(plan.every.mul_f64(gap), done).await;
            if done.is_cancelled() {
                break;
            }
            let victim = random.random_range(0..world.computers.len());
            let length = plan.every.mul_f64(random.random());
            let computer = &mut world.computers[victim];
            let freezes = random.random_bool(0.5);
            if freezes {
                computer.freeze()?;
                self.freezes += 1;
                // A frozen peer is found within 2 s: sometimes in time, sometimes not.
                wait(length * 2, done).await;
                computer.thaw()?;
            } else if computer.has_proxy() {
                let proxy = computer.proxy()?;
                proxy.treat(Treatment::Reset).await?;
                self.resets += 1;
                wait(length / 2, done).await;
                proxy.treat(Treatment::Pass).await?;
            } else {
                computer.kill()?;
                self.kills += 1;
                wait(length, done).await;
                computer.restart().await?;
            }
        }
        Ok(())
    }
}

/// For a while, or until all is over.
async fn wait(length: Duration, done: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = done.cancelled() => {}
    }
}
