//! What the controller counts.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The controller's metrics. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) computers: Gauge<i64, AtomicI64>,
    pub(crate) routers: Gauge<i64, AtomicI64>,
    pub(crate) lambdas: Gauge<i64, AtomicI64>,
    announcements: Family<Announcement, Counter<u64, AtomicU64>>,
    pushes: Family<Push, Counter<u64, AtomicU64>>,
    failures: Counter<u64, AtomicU64>,
    differences: Family<Difference, Counter<u64, AtomicU64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Announcement {
    method: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Push {
    action: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Difference {
    kind: &'static str,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("edge_controller");
        registry.register(
            "computers",
            "Computers known, also those withdrawn for not answering probes",
            self.computers.clone(),
        );
        registry.register("routers", "Routers known", self.routers.clone());
        registry.register(
            "lambdas",
            "Lambdas that at least one computer serves",
            self.lambdas.clone(),
        );
        registry.register(
            "announcements",
            "Messages from computers and routers, by method and result",
            self.announcements.clone(),
        );
        registry.register(
            "pushes",
            "Entries changed or removed in routers' tables, by result",
            self.pushes.clone(),
        );
        registry.register(
            "router_failures",
            "Attempts to reach a router that failed",
            self.failures.clone(),
        );
        registry.register(
            "reconcile_differences",
            "Entries that differed when a table was compared with what it ought to be",
            self.differences.clone(),
        );
    }

    pub(crate) fn announced(&self, method: &'static str, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        let labels = Announcement { method, result };
        self.announcements.get_or_create(&labels).inc();
    }

    pub(crate) fn pushed(&self, action: &'static str, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        self.pushes.get_or_create(&Push { action, result }).inc();
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }

    pub(crate) fn differed(&self, kind: &'static str, count: u64) {
        let labels = Difference { kind };
        self.differences.get_or_create(&labels).inc_by(count);
    }
}
