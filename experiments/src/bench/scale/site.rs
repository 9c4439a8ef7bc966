//! The computer that all destinations are, and the program of the routers.

use std::path::PathBuf;

use anyhow::Context as _;
use edge_transport::Endpoint;

use crate::bench::process::Process;
use crate::bench::router::Router;

/// What all routers of a run share.
#[derive(Debug)]
pub(super) struct Site {
    program: PathBuf,
    port: u16,
    _computer: Process,
}

impl Site {
    /// Starts the computer. It listens at all addresses, of which loopback has 16 million: as many
    /// destinations as are wanted.
    pub(super) fn start(program: PathBuf) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let arguments = ["echo", "--endpoint=0.0.0.0:0"].map(str::to_owned);
        let computer = Process::start(&own, &arguments, "", false)?;
        let endpoint: Endpoint = computer.greeting.parse()?;
        Ok(Self {
            program,
            port: endpoint.port(),
            _computer: computer,
        })
    }

    /// The name of one of its destinations.
    pub(super) fn destination(&self, number: usize) -> String {
        let [_, a, b, c] = u32::try_from(number + 1).unwrap_or(u32::MAX).to_be_bytes();
        format!("127.{a}.{b}.{c}:{}", self.port)
    }

    /// A router with default options but one core, and what `more` says.
    pub(super) fn router(&self, more: &[String]) -> anyhow::Result<Router> {
        Router::start(&self.program, more, None)
    }
}
