//! Which lambdas there are: the routers' tables, read again and again, in pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use edge_proto::rpc::TableId;
use edge_transport::control::Channel;
use edge_transport::{Endpoint, Seldom, control};
use rustls::ClientConfig;
use tokio::sync::{Notify, watch};

use crate::activation::now_ms;
use crate::config::TableConfig;

/// Entries of one page.
const PAGE: u32 = 10_000;
/// Most entries that are read of one table: as many as a router has.
const MAX_ENTRIES: u64 = 1_000_000;
/// Largest page of a router that knows no pages and sends everything, in bytes.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Shortest time between two readings, however many ask for one.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest name of a lambda that a router takes, in bytes.
const MAX_NAME: usize = 1024;

/// A lambda that somebody serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    /// By how many.
    pub(crate) destinations: u32,
    /// Since when it was seen, in milliseconds since 1970.
    pub(crate) since_ms: u64,
}

/// What the tables said when they were last read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) lambdas: BTreeMap<Arc<str>, Served>,
    /// `None` until the first one.
    read_at: Option<Instant>,
}

/// The lambdas, kept up to date.
#[derive(Debug)]
pub(crate) struct LiveTable {
    config: TableConfig,
    reading: ArcSwap<Reading>,
    /// Somebody wants to know now.
    asked: Notify,
    /// Readings that were begun.
    begun: AtomicU64,
    /// The last one that ended.
    ended: watch::Sender<u64>,
    unread: Seldom,
}

impl Reading {
    pub(crate) fn serves(&self, lambda: &str) -> bool {
        self.lambdas.contains_key(lambda)
    }
}

impl LiveTable {
    pub(crate) fn new(config: TableConfig) -> Self {
        Self {
            config,
            reading: ArcSwap::default(),
            asked: Notify::new(),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
            unread: Seldom::default(),
        }
    }

    pub(crate) fn now(&self) -> arc_swap::Guard<Arc<Reading>> {
        self.reading.load()
    }

    /// Whether `condition` holds of a reading that is begun from now on; `None` if there is none
    /// within `patience`.
    pub(crate) async fn ask(
        &self,
        patience: Duration,
        condition: impl Fn(&Reading) -> bool,
    ) -> Option<bool> {
        let wanted = self.begun.load(Ordering::Acquire) + 1;
        let mut ended = self.ended.subscribe();
        self.asked.notify_one();
        let asked_at = Instant::now();
        let read = ended.wait_for(|round| *round >= wanted);
        tokio::time::timeout(patience, read).await.ok()?.ok()?;
        let reading = self.now();
        let is_new = reading.read_at.is_some_and(|at| at >= asked_at);
        is_new.then(|| condition(&reading))
    }

    /// Reads for as long as it is polled.
    pub(crate) async fn keep_reading(&self, tls: Option<Arc<ClientConfig>>) {
        let connect = |endpoint: &Endpoint| control::channel(endpoint, tls.clone(), CALL_TIMEOUT);
        let endpoints = self.config.endpoints.as_slice();
        let routers: Vec<_> = endpoints.iter().map(connect).collect();
        loop {
            let round = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            self.read_all(&routers).await;
            self.ended.send_replace(round);
            tokio::time::sleep(PAUSE).await;
            let asked = self.asked.notified();
            // Read when somebody asks, or after a while.
            let _either = tokio::time::timeout(self.config.interval, asked).await;
        }
    }

    /// What can be read; all of the old if nothing can.
    async fn read_all(&self, routers: &[Channel]) {
        let mut counts = BTreeMap::new();
        let mut read = 0;
        for (router, endpoint) in routers.iter().zip(self.config.endpoints.as_slice()) {
            match self.read_one(router, &mut counts).await {
                Ok(()) => read += 1,
                Err(status) => {
                    if let Some(others) = self.unread.due(Instant::now()) {
                        let error = control::explain(&status);
                        tracing::warn!(%endpoint, %error, others, "cannot read the table");
                    }
                }
            }
        }
        if read > 0 {
            let before = self.now();
            let now = now_ms();
            let lambdas = counts.into_iter().map(|(name, destinations)| {
                let known = before.lambdas.get(&name);
                let since_ms = known.map_or(now, |served| served.since_ms);
                let served = Served {
                    destinations,
                    since_ms,
                };
                (name, served)
            });
            self.reading.store(Arc::new(Reading {
                lambdas: lambdas.collect(),
                read_at: Some(Instant::now()),
            }));
        }
    }

    async fn read_one(
        &self,
        router: &Channel,
        counts: &mut BTreeMap<Arc<str>, u32>,
    ) -> Result<(), tonic::Status> {
        let mut offset = 0;
        loop {
            let page = TableId {
                value: 0,
                offset,
                limit: PAGE,
            };
            let table = edge_proto::table::page(router.clone(), page, MAX_PAGE_BYTES).await?;
            let entries = table.entries.len() as u64;
            for entry in table.entries {
                let name = entry.lambda.as_str();
                if let Some(count) = counts.get_mut(name) {
                    *count += 1;
                } else if counts.len() < self.config.max_lambdas && name.len() <= MAX_NAME {
                    counts.insert(name.into(), 1);
                }
            }
            offset += entries;
            // A total of 0 is a router without pages, which has sent all there is.
            if entries == 0 || offset >= table.total.min(MAX_ENTRIES) {
                return Ok(());
            }
        }
    }
}
