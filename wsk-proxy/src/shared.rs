//! What all cores of a proxy share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use edge_transport::Seldom;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::archive::Archive;
use crate::auth::{Allowance, Doorkeeper};
use crate::background::Places;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::names::Naming;
use crate::quota::Quotas;
use crate::registry::{Most, Registry};
use crate::repeats::Repeats;
use crate::routers::Routers;
use crate::table::LiveTable;

/// One proxy.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) naming: Naming,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) quotas: Quotas,
    pub(crate) table: LiveTable,
    pub(crate) registry: Registry,
    pub(crate) archive: Archive,
    pub(crate) routers: Routers,
    pub(crate) repeats: Repeats,
    pub(crate) places: Places,
    pub(crate) metrics: Metrics,
    /// Bytes of bodies that may be held.
    pub(crate) room: Arc<Semaphore>,
    /// Bytes of answers that may wait to be sent.
    pub(crate) unsent: Arc<Semaphore>,
    /// Places for what is left of bodies after an early answer.
    pub(crate) unwanted: Arc<Semaphore>,
    /// Requests that are being answered.
    pub(crate) in_flight: AtomicUsize,
    /// Seconds that have passed, or rather fewer: for what need not be known better.
    pub(crate) clock: Arc<AtomicU32>,
    /// Connections that are open.
    pub(crate) connections: AtomicUsize,
    /// The process has been asked to end: nothing new is begun that the next one can do.
    pub(crate) stopping: CancellationToken,
    /// What is still running is cut off now.
    pub(crate) ending: AtomicBool,
    /// Invocations that no client waits for.
    pub(crate) background: TaskTracker,
    /// Tells of failed TLS handshakes and connections beyond the limit.
    pub(crate) turned_away: Seldom,
}

/// Counts something as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// One more; `None` if there are `most` already.
    pub(crate) fn below(counter: &'a AtomicUsize, most: usize) -> Option<Self> {
        let counted = Self(counter);
        (counter.fetch_add(1, Ordering::Relaxed) < most).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Config {
    /// How much one namespace may register.
    pub(crate) fn most_registered(&self) -> Most {
        Most {
            count: self.invoke.max_registered,
            bytes: self.invoke.max_registered_bytes,
        }
    }

    /// The bounds of a namespace whose credentials do not say otherwise.
    pub(crate) fn usual_allowance(&self) -> Allowance {
        Allowance {
            invocations_per_minute: self.limits.invocations_per_minute,
            concurrent_invocations: self.limits.concurrent_invocations,
        }
    }
}
