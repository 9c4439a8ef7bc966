//! The computers of one peer, and what is done to the first of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edge_transport::Endpoint;
use rustix::process::Signal;
use tokio::time::{Instant, sleep_until};

use super::cell::{Cell, Trouble};
use super::computer::write_platform;
use crate::bench::ports;
use crate::bench::process::Process;

/// Computers, each a process.
#[derive(Debug)]
pub(super) struct Site {
    computers: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    process: Process,
    recipe: Recipe,
}

/// How to start a computer, and to start it again.
#[derive(Debug, Clone)]
struct Recipe {
    own: PathBuf,
    endpoint: Endpoint,
    platform: PathBuf,
}

impl Recipe {
    async fn start(self) -> anyhow::Result<Member> {
        let started = tokio::task::spawn_blocking(move || {
            let arguments = [
                "bench-computer".to_owned(),
                format!("--endpoint={}", self.endpoint),
                format!("--platform={}", self.platform.display()),
            ];
            let process = Process::start(&self.own, &arguments, "", false)?;
            Ok::<_, anyhow::Error>(Member {
                process,
                recipe: self,
            })
        });
        started.await?.context("computer")
    }
}

impl Site {
    /// Starts the computers of `cell` as processes of the program `own`, with
    /// their platforms in `folder`.
    pub(super) async fn start(own: &Path, folder: &Path, cell: Cell) -> anyhow::Result<Self> {
        let mut starting = Vec::new();
        for (number, speed) in cell.speeds().into_iter().enumerate() {
            let platform = folder.join(format!("platform{number}.json"));
            write_platform(&platform, &number.to_string(), speed)?;
            let recipe = Recipe {
                own: own.to_owned(),
                endpoint: ports::reserve()?,
                platform,
            };
            starting.push(tokio::spawn(recipe.start()));
        }
        let mut computers = Vec::new();
        for computer in starting {
            computers.push(computer.await??);
        }
        Ok(Self { computers })
    }

    /// Where the computers are.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.computers
            .iter()
            .map(|computer| computer.recipe.endpoint.clone())
            .collect()
    }

    /// Lets `trouble` befall the first computer from one instant to the other.
    pub(super) async fn suffer(
        &mut self,
        trouble: Trouble,
        from: Instant,
        until: Instant,
    ) -> anyhow::Result<()> {
        let victim = &mut self.computers[0];
        sleep_until(from).await;
        match trouble {
            Trouble::Slow(times) => victim.process.tell(&(1.0 / times).to_string())?,
            Trouble::Pause => victim.process.signal(Signal::STOP)?,
            Trouble::Kill => victim.process.kill()?,
        }
        sleep_until(until).await;
        match trouble {
            Trouble::Slow(_) => victim.process.tell("1")?,
            Trouble::Pause => victim.process.signal(Signal::CONT)?,
            Trouble::Kill => *victim = victim.recipe.clone().start().await?,
        }
        Ok(())
    }
}
