//! The computer that all destinations are, and the program of the routers.

use std::path::PathBuf;

use anyhow::Context as _;
use edge_transport::Endpoint;

use super::subject::Subject;
use crate::bench::affinity::{Place, TwoCores};
use crate::bench::process::Process;
use crate::bench::router::Router;

/// What all routers of a run share.
#[derive(Debug)]
pub(super) struct Site {
    program: PathBuf,
    port: u16,
    computer: Process,
    cores: Option<TwoCores>,
}

impl Site {
    /// Starts the computer. It listens at all addresses, of which loopback has 16 million: as many
    /// destinations as are wanted.
    pub(super) fn start(program: PathBuf) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let arguments = ["echo", "--endpoint=0.0.0.0:0"].map(str::to_owned);
        let computer = Process::start(&own, &arguments, "", false)?;
        let cores = TwoCores::choose().and_then(|cores| {
            cores.put(std::process::id(), Place::Any)?;
            Ok(cores)
        });
        let cores = cores.inspect_err(|error| {
            eprintln!("{error}: what a request costs alone differs between equal routers");
        });
        let endpoint: Endpoint = computer.greeting.parse()?;
        Ok(Self {
            program,
            port: endpoint.port(),
            computer,
            cores: cores.ok(),
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

    /// Whether routers have a core of their own while they are measured.
    pub(super) fn has_two_cores(&self) -> bool {
        self.cores.is_some()
    }

    /// From now on everything but the router that is measured shares a core.
    pub(super) fn keep_apart(&self, subjects: &[Subject]) -> anyhow::Result<()> {
        self.put_all(subjects, Place::Other)
    }

    /// Everything runs wherever it likes again.
    pub(super) fn set_free(&self, subjects: &[Subject]) -> anyhow::Result<()> {
        self.put_all(subjects, Place::Any)
    }

    /// Gives the other core to the router that is measured,
    pub(super) fn give_a_core(&self, subject: &Subject) -> anyhow::Result<()> {
        self.put(subject.process(), Place::One)
    }

    /// and takes it again.
    pub(super) fn take_the_core(&self, subject: &Subject) -> anyhow::Result<()> {
        self.put(subject.process(), Place::Other)
    }

    fn put_all(&self, subjects: &[Subject], place: Place) -> anyhow::Result<()> {
        self.put(std::process::id(), place)?;
        self.put(self.computer.id(), place)?;
        let routers = subjects.iter().map(Subject::process);
        routers
            .into_iter()
            .try_for_each(|router| self.put(router, place))
    }

    fn put(&self, process: u32, place: Place) -> anyhow::Result<()> {
        match &self.cores {
            Some(cores) => Ok(cores.put(process, place)?),
            None => Ok(()),
        }
    }
}
