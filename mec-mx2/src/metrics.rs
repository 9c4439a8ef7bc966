//! What an Mx2 server counts.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Size = Gauge<i64, AtomicI64>;

/// The metrics of a server. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    contexts: Size,
    apps: Size,
    routes: Size,
    bytes: Size,
    waiting: Size,
    requests: Family<Request, Counter<u64, AtomicU64>>,
    notifications: Family<Notified, Counter<u64, AtomicU64>>,
    attempts: Family<Attempt, Counter<u64, AtomicU64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    interface: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notified {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    result: &'static str,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("edge_mx2");
        for (name, help, gauge) in [
            ("contexts", "Contexts", &self.contexts),
            ("applications", "Applications in the list", &self.apps),
            (
                "routes",
                "Routes, of single clients and by default",
                &self.routes,
            ),
            (
                "context_bytes",
                "Bytes that all contexts count for",
                &self.bytes,
            ),
            (
                "notifications_waiting",
                "Notifications not delivered yet",
                &self.waiting,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "requests",
            "Requests answered, by interface and status",
            self.requests.clone(),
        );
        registry.register(
            "notifications",
            "Notifications, by kind and what became of them",
            self.notifications.clone(),
        );
        registry.register(
            "notification_attempts",
            "Attempts to deliver notifications, by result",
            self.attempts.clone(),
        );
    }

    pub(crate) fn sizes(
        &self,
        contexts: usize,
        apps: usize,
        routes: usize,
        bytes: usize,
        waiting: usize,
    ) {
        let set = |gauge: &Size, size: usize| {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        };
        set(&self.contexts, contexts);
        set(&self.apps, apps);
        set(&self.routes, routes);
        set(&self.bytes, bytes);
        set(&self.waiting, waiting);
    }

    pub(crate) fn answered(&self, interface: &'static str, status: u16) {
        self.requests
            .get_or_create(&Request { interface, status })
            .inc();
    }

    pub(crate) fn notified(&self, kind: &'static str, result: &'static str) {
        self.notifications
            .get_or_create(&Notified { kind, result })
            .inc();
    }

    pub(crate) fn attempted(&self, result: &'static str) {
        self.attempts.get_or_create(&Attempt { result }).inc();
    }
}
