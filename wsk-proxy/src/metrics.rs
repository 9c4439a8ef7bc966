//! What the proxy counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The proxy's metrics. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<Answered, Counter<u64, AtomicU64>>,
    /// That of `requests` which is counted most, so that it need not be looked up; made by the first
    /// of those, as all others are.
    invoked_well: OnceLock<Counter<u64, AtomicU64>>,
    invocations: Histogram,
    interrupted: Counter<u64, AtomicU64>,
    repeated: Counter<u64, AtomicU64>,
    /// Requests that are being answered.
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    /// Connections of clients.
    pub(crate) connections: Gauge<i64, AtomicI64>,
    /// Invocations that are accepted and have not ended.
    pub(crate) queued: Gauge<i64, AtomicI64>,
    pub(crate) activations: Gauge<i64, AtomicI64>,
    pub(crate) activation_bytes: Gauge<i64, AtomicI64>,
    pub(crate) lambdas: Gauge<i64, AtomicI64>,
    pub(crate) lost_lines: Gauge<i64, AtomicI64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    code: u16,
}

const INVOKED_WELL: Answered = Answered {
    operation: "invoke",
    code: 200,
};

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            invoked_well: OnceLock::new(),
            // From half a millisecond to a quarter of an hour.
            invocations: Histogram::new(exponential_buckets(0.0005, 2.0, 21)),
            interrupted: Counter::default(),
            repeated: Counter::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            queued: Gauge::default(),
            activations: Gauge::default(),
            activation_bytes: Gauge::default(),
            lambdas: Gauge::default(),
            lost_lines: Gauge::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("edge_wskproxy");
        registry.register(
            "requests",
            "Requests answered, by operation and status code",
            self.requests.clone(),
        );
        registry.register(
            "invocation_seconds",
            "How long blocking invocations took, waiting for the platform included",
            self.invocations.clone(),
        );
        registry.register(
            "interrupted",
            "Invocations that were cancelled because their client left",
            self.interrupted.clone(),
        );
        registry.register(
            "repeated",
            "Repeated requests that were answered with the first one's result",
            self.repeated.clone(),
        );
        for (name, help, gauge) in [
            (
                "in_flight",
                "Requests that are being answered",
                &self.in_flight,
            ),
            ("connections", "Connections of clients", &self.connections),
            (
                "queued",
                "Non-blocking invocations that have not ended",
                &self.queued,
            ),
            (
                "activations",
                "Activations that are kept",
                &self.activations,
            ),
            (
                "activation_bytes",
                "Memory that activations take, in bytes",
                &self.activation_bytes,
            ),
            ("lambdas", "Lambdas in the routers' tables", &self.lambdas),
            (
                "journal_lines_lost",
                "Lines that could not be written to the journal",
                &self.lost_lines,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    pub(crate) fn answered(&self, operation: &'static str, code: u16) {
        let labels = Answered { operation, code };
        if labels == INVOKED_WELL {
            let counter = || self.requests.get_or_create_owned(&labels);
            self.invoked_well.get_or_init(counter).inc();
        } else {
            self.requests.get_or_create(&labels).inc();
        }
    }

    pub(crate) fn invoked(&self, took: Duration) {
        self.invocations.observe(took.as_secs_f64());
    }

    pub(crate) fn interrupted(&self) {
        self.interrupted.inc();
    }

    pub(crate) fn repeated(&self) {
        self.repeated.inc();
    }
}
