//! One computer: a process at a fixed port, which can be killed, frozen, told to fail, restarted.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edge_transport::Endpoint;
use rustix::process::Signal;

use super::{Shape, end, launch, option, path};
use crate::bench::ports;
use crate::bench::process::Process;
use crate::chaos::computer::Mood;
use crate::chaos::journal::{Account, Event};
use crate::chaos::proxy::Proxy;

/// A computer, and the proxy before it if there is one.
#[derive(Debug)]
pub(in crate::chaos) struct Computer {
    process: Process,
    arguments: Vec<String>,
    endpoint: Endpoint,
    journal: PathBuf,
    proxy: Option<Proxy>,
}

impl Computer {
    pub(super) async fn start(
        shape: &Shape,
        journal: &Path,
        proxied: bool,
        controller: Option<&Endpoint>,
    ) -> anyhow::Result<Self> {
        let endpoint = ports::reserve()?;
        let mut arguments = vec![
            "chaos-computer".to_owned(),
            format!("--endpoint={endpoint}"),
            path("journal", journal),
            format!("--workers={}", shape.workers),
            format!("--service-us={}", shape.service.as_micros()),
        ];
        arguments.extend(option("controller", controller));
        let proxy = if proxied {
            Some(Proxy::start(&endpoint).await?)
        } else {
            None
        };
        Ok(Self {
            process: launch(arguments.clone()).await.context("computer")?,
            arguments,
            endpoint,
            journal: journal.to_owned(),
            proxy,
        })
    }

    /// How routers reach it.
    pub(in crate::chaos) fn route(&self) -> &Endpoint {
        self.proxy.as_ref().map_or(&self.endpoint, Proxy::endpoint)
    }

    pub(in crate::chaos) fn journal(&self) -> &Path {
        &self.journal
    }

    pub(in crate::chaos) fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// The proxy before it.
    pub(in crate::chaos) fn proxy(&mut self) -> anyhow::Result<&mut Proxy> {
        self.proxy.as_mut().context("there is no proxy")
    }

    /// Requests that have arrived so far.
    pub(in crate::chaos) fn arrivals(&self) -> anyhow::Result<u64> {
        let mut account = Account::default();
        account.add(&self.journal)?;
        Ok(account.count(Event::Arrived))
    }

    pub(in crate::chaos) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    pub(in crate::chaos) fn freeze(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::STOP)
    }

    pub(in crate::chaos) fn thaw(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::CONT)
    }

    pub(in crate::chaos) fn behave(&mut self, mood: Mood) -> anyhow::Result<()> {
        self.process.tell(&mood.command())
    }

    /// Lets it finish what it is doing and end.
    pub(in crate::chaos) async fn end(&mut self) -> anyhow::Result<()> {
        end(&mut self.process).await.context("computer")
    }

    /// Starts it again, at the same port.
    pub(in crate::chaos) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = launch(self.arguments.clone()).await.context("computer")?;
        Ok(())
    }
}
