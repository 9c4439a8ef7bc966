//! One router: a process at fixed ports, its table, and what it has counted.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};
use std::time::Instant;

use anyhow::Context as _;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, TableId};
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};

use super::{PATIENCE, PAUSE, end, launch, option};
use crate::bench::process::Process;
use crate::bench::{page, ports};
use crate::chaos::request::LAMBDA;

/// Cores of a router.
const THREADS: usize = 2;

/// A router.
#[derive(Debug)]
pub(in crate::chaos) struct Router {
    process: Process,
    arguments: Vec<String>,
    endpoint: Endpoint,
    tables: Endpoint,
    admin: Endpoint,
    /// What it routes to.
    known: Vec<Endpoint>,
    controlled: bool,
}

impl Router {
    pub(super) async fn start(
        known: &[Endpoint],
        controller: Option<&Endpoint>,
    ) -> anyhow::Result<Self> {
        let (endpoint, tables, admin) = (ports::reserve()?, ports::reserve()?, ports::reserve()?);
        let mut arguments = vec![
            "chaos-router".to_owned(),
            format!("--endpoint={endpoint}"),
            format!("--tables={tables}"),
            format!("--admin={admin}"),
            format!("--num-threads={THREADS}"),
        ];
        arguments.extend(option("controller", controller));
        let router = Self {
            process: launch(arguments.clone()).await.context("router")?,
            arguments,
            endpoint,
            tables,
            admin,
            known: known.to_vec(),
            controlled: controller.is_some(),
        };
        router.fill().await.context("router")?;
        Ok(router)
    }

    /// Where it takes requests.
    pub(in crate::chaos) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where it shows metrics.
    pub(in crate::chaos) fn admin(&self) -> &Endpoint {
        &self.admin
    }

    /// Lets it finish what it is doing and end.
    pub(in crate::chaos) async fn end(&mut self) -> anyhow::Result<()> {
        end(&mut self.process).await.context("router")
    }

    /// Starts it again, at the same ports, and waits until it knows all computers.
    pub(in crate::chaos) async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = launch(self.arguments.clone()).await.context("router")?;
        self.fill().await.context("router")
    }

    /// Fills its table, unless the controller does, and waits until it is full.
    async fn fill(&self) -> anyhow::Result<()> {
        let channel = control::channel(&self.tables, None, PATIENCE);
        let mut tables = EdgeRouterClient::new(channel);
        if !self.controlled {
            for computer in &self.known {
                add(&mut tables, computer).await?;
            }
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let table = tables.get_table(TableId::default()).await?.into_inner();
            let known = table.entries.iter().filter(|entry| entry.lambda == LAMBDA);
            if known.count() == self.known.len() {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "the table is not filled");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What it has counted since it was started.
    pub(in crate::chaos) async fn totals(&self) -> anyhow::Result<Totals> {
        Ok(Totals::parse(&page::read(&self.admin, "/metrics").await?))
    }
}

async fn add(tables: &mut EdgeRouterClient<Channel>, computer: &Endpoint) -> anyhow::Result<()> {
    let change = EdgeRouterConf {
        action: Action::Change as i32,
        lambda: LAMBDA.to_owned(),
        destination: computer.to_string(),
        weight: 1.0,
        r#final: true,
        ..EdgeRouterConf::default()
    };
    let done = tables.configure(change).await?.into_inner();
    anyhow::ensure!(done.msg == "OK", "the route was refused: {}", done.msg);
    Ok(())
}

/// What a page of metrics says: all values, by name and labels as they stand there.
#[derive(Debug, Clone, Default)]
pub(in crate::chaos) struct Totals(BTreeMap<String, f64>);

impl Totals {
    pub(in crate::chaos) fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// Requests that ended with that outcome.
    pub(in crate::chaos) fn outcome(&self, outcome: &str) -> anyhow::Result<u64> {
        self.count(&format!(
            "edge_router_requests_total{{outcome=\"{outcome}\"}}"
        ))
    }

    /// Requests that ended, whatever the outcome.
    pub(in crate::chaos) fn requests(&self) -> u64 {
        let all = self.0.range("edge_router_requests_total{".to_owned()..);
        let all = all.take_while(|(name, _)| name.starts_with("edge_router_requests_total{"));
        all.map(|(_, value)| *value as u64).sum()
    }

    /// Attempts beyond the first: retries, those after refusals, hedges.
    pub(in crate::chaos) fn further_attempts(&self) -> anyhow::Result<u64> {
        let kinds = ["retries", "refusals", "hedges"];
        let counts = kinds.map(|kind| self.table(&format!("edge_router_{kind}_total")));
        counts.into_iter().sum()
    }

    /// Copies of late requests that were sent.
    pub(in crate::chaos) fn hedges(&self) -> anyhow::Result<u64> {
        self.table("edge_router_hedges_total")
    }

    /// Requests that are being answered.
    pub(in crate::chaos) fn in_flight(&self) -> anyhow::Result<u64> {
        self.table("edge_router_in_flight")
    }

    /// Requests that are at a destination.
    pub(in crate::chaos) fn in_flight_at(&self, destination: &Endpoint) -> anyhow::Result<u64> {
        self.count(&format!(
            "edge_destination_in_flight{{destination=\"{destination}\"}}"
        ))
    }

    pub(in crate::chaos) fn table(&self, name: &str) -> anyhow::Result<u64> {
        self.count(&format!("{name}{{table=\"all\"}}"))
    }

    fn count(&self, name: &str) -> anyhow::Result<u64> {
        let value = self.0.get(name);
        Ok(*value.with_context(|| format!("the router does not count {name}"))? as u64)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        for (name, value) in other.0 {
            *self.0.entry(name).or_default() += value;
        }
    }
}

impl Sub<&Totals> for Totals {
    type Output = Self;

    fn sub(mut self, earlier: &Totals) -> Self {
        for (name, value) in &mut self.0 {
            *value -= earlier.0.get(name).copied().unwrap_or_default();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE edge_router_requests counter\n\
        edge_router_requests_total{outcome=\"ok\"} 7\n\
        edge_router_requests_total{outcome=\"refused\"} 2\n\
        edge_router_retries_total{table=\"all\"} 3\n\
        edge_router_refusals_total{table=\"all\"} 4\n\
        edge_router_hedges_total{table=\"all\"} 5\n# EOF\n";

    #[test]
    fn outcomes_and_attempts_are_read_from_the_page() {
        let totals = Totals::parse(PAGE);
        assert_eq!(totals.outcome("ok").unwrap(), 7);
        assert_eq!(totals.requests(), 9);
        assert_eq!(totals.further_attempts().unwrap(), 12);
        assert!(totals.in_flight().is_err());
        let since = totals.clone() - &totals;
        assert_eq!(since.requests(), 0);
    }
}
