//! A router that is set up for one value of a sweep, and what is measured of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use edge_client::pacer::Pacer;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;

use super::site::Site;
use super::sweep::Kind;
use crate::bench::load::{Caller, message};
use crate::bench::router::{Router, Tables};

/// Bytes of input and output.
const BYTES: usize = 100;
/// Operations on a table, or first requests to destinations, that are under way at the same time
/// while a router is set up.
const AT_ONCE: usize = 32;

/// A router, ready to be measured.
#[derive(Debug)]
pub(super) struct Subject {
    router: Router,
    caller: Caller,
    messages: Arc<[Bytes]>,
    changes_per_s: usize,
    /// What changes of the table are about.
    destination: String,
    /// Kept as long as the router reads it.
    _conf: Option<TempDir>,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) rps: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us: f64,
    pub(super) rss_kb: u64,
}

impl Subject {
    /// Sets up a router with `value` of what grows. With `made_up` it answers by itself.
    pub(super) async fn set_up(
        site: &Site,
        kind: Kind,
        policy: &str,
        value: usize,
        made_up: bool,
    ) -> anyhow::Result<Self> {
        let more = match policy {
            "proportional-fairness" => ",alpha=1,beta=1",
            _ => "",
        };
        let mut options = vec![format!("--table-conf=type={policy}{more}")];
        if made_up {
            options.push("--router-conf=fake=true".to_owned());
        }
        let router = site.router(&options)?;
        let (lambdas, destinations, connections) = match kind {
            Kind::Lambdas => (value, 1, 1),
            Kind::Destinations => (1, value, 1),
            Kind::Connections => (1, 1, value),
            Kind::Changes | Kind::Memory | Kind::Policies => (1, 1, 1),
        };
        let names = (0..lambdas).map(|number| format!("lambda{number}"));
        let messages: Arc<[Bytes]> = names.map(|name| message(&name, BYTES)).collect();
        let caller = Caller::new(router.lambda.clone(), connections, None);
        let routes = (0..lambdas).flat_map(|lambda| {
            (0..destinations)
                .map(move |number| (format!("lambda{lambda}"), site.destination(number)))
        });
        fill(&router.tables, routes).await?;
        let subject = Self {
            router,
            caller,
            messages,
            changes_per_s: if kind == Kind::Changes { value } else { 0 },
            destination: site.destination(0),
            _conf: None,
        };
        if destinations > 1 && !made_up {
            subject.connect(site, destinations).await?;
        }
        subject.caller.open_all(&subject.messages[0]).await?;
        Ok(subject)
    }

    /// Sets up a router with so many destinations, each of all lambdas, of which there is one for each of
    /// these policies.
    pub(super) async fn with_policies(
        site: &Site,
        policies: &[&str],
        destinations: usize,
    ) -> anyhow::Result<Self> {
        let conf = tempfile::tempdir().context("cannot make a temporary folder")?;
        let path = conf.path().join("policies.toml");
        let section = |policy: &&str| {
            let more = match *policy {
                "proportional-fairness" => ", alpha = 1.0, beta = 1.0",
                _ => "",
            };
            format!("[lambda.{policy}]\npolicy = {{ type = \"{policy}\"{more} }}\n")
        };
        let sections: Vec<_> = policies.iter().map(section).collect();
        std::fs::write(&path, sections.concat())?;
        let router = site.router(&[format!("--conf={}", path.display())])?;
        let subject = Self {
            caller: Caller::new(router.lambda.clone(), 1, None),
            router,
            messages: policies.iter().map(|name| message(name, BYTES)).collect(),
            changes_per_s: 0,
            destination: site.destination(0),
            _conf: Some(conf),
        };
        subject.connect(site, destinations).await?;
        let routes = policies.iter().flat_map(|policy| {
            (0..destinations).map(move |number| ((*policy).to_owned(), site.destination(number)))
        });
        fill(&subject.router.tables, routes).await?;
        Ok(subject)
    }

    /// Lets the router open its connections to all destinations: each is for a moment the only one
    /// of a lambda. Left to the policy, that would take as long as it takes until all were picked,
    /// and be counted.
    async fn connect(&self, site: &Site, destinations: usize) -> anyhow::Result<()> {
        let names =
            (0..destinations).map(|number| (format!("only{number}"), site.destination(number)));
        fill(&self.router.tables, names).await?;
        stream::iter(0..destinations)
            .map(|number| async move {
                let request = message(&format!("only{number}"), 0);
                self.caller.open_all(&request).await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        for number in 0..destinations {
            let only = format!("only{number}");
            let mut tables = self.router.tables.clone();
            tables.remove(&only, &site.destination(number)).await?;
        }
        Ok(())
    }

    /// Keeps so many requests in flight for a while, for one of the lambdas or for all in turn, while the
    /// table changes.
    pub(super) async fn sample(
        &self,
        lambda: Option<usize>,
        in_flight: usize,
        length: Duration,
    ) -> anyhow::Result<Sample> {
        let messages = match lambda {
            None => self.messages.clone(),
            Some(nth) => Arc::new([self.messages[nth].clone()]),
        };
        let before = self.router.process.cpu()?;
        let load = self.caller.closed_loop(&messages, in_flight, length);
        let measured = tokio::select! {
            measured = load => measured?,
            stopped = self.change() => return Err(stopped),
        };
        anyhow::ensure!(measured.errors == 0, "{} requests failed", measured.errors);
        let spent = self.router.process.cpu()?.saturating_sub(before);
        Ok(Sample {
            rps: measured.rate(),
            p50_us: measured.percentile_us(50.0),
            p99_us: measured.percentile_us(99.0),
            cpu_us: spent.as_secs_f64() * 1e6 / measured.requests.max(1) as f64,
            rss_kb: self.router.process.rss_kb()?,
        })
    }

    /// The number of its process.
    pub(super) fn process(&self) -> u32 {
        self.router.process.id()
    }

    /// Changes the table as often as is wanted, every other time the lambda that is asked for, and
    /// returns only what goes wrong.
    async fn change(&self) -> anyhow::Error {
        if self.changes_per_s == 0 {
            return std::future::pending().await;
        }
        let changing = async {
            let pacer = Pacer::new()?;
            let mut tables = self.router.tables.clone();
            let pause = Duration::from_secs(1) / u32::try_from(self.changes_per_s)?;
            let mut due = Instant::now();
            for number in 0_usize.. {
                due += pause;
                pacer.until(due).await?;
                let lambda = match number % 2 {
                    0 => "lambda0".to_owned(),
                    _ => format!("other{}", number % 100),
                };
                let weight = 1.0 + (number % 7) as f32;
                tables.route(&lambda, &self.destination, weight).await?;
            }
            anyhow::Ok(())
        };
        match changing.await {
            Ok(()) => anyhow::anyhow!("the changes came to an end"),
            Err(error) => error,
        }
    }
}

/// Adds all `routes`, some at a time.
async fn fill(
    tables: &Tables,
    routes: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<()> {
    stream::iter(routes)
        .map(|(lambda, destination)| {
            let mut tables = tables.clone();
            async move { tables.route(&lambda, &destination, 1.0).await }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}
