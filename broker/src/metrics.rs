//! What a router counts: per core on the request path, summed up when asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use edge_proto::rpc::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::admission::Admission;
use crate::status;
use crate::tables::Tables;

/// Counters of the forwarding path.
#[derive(Debug)]
pub(crate) struct Counters {
    cores: Box<[PerCore]>,
    retries: AtomicU64,
    refusals: AtomicU64,
    probes: AtomicU64,
    cold_starts: AtomicU64,
    budget_exhausted: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    shed: AtomicU64,
}

/// On a cache line of its own, so that cores do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct PerCore {
    in_flight: AtomicI64,
    outcomes: [AtomicU64; OUTCOMES.len()],
}

/// By their number on the wire; the first counts what was cancelled.
pub(crate) const OUTCOMES: [&str; 8] = [
    "cancelled",
    "ok",
    "application_error",
    "refused",
    "overloaded",
    "unavailable",
    "deadline",
    "not_found",
];

impl Counters {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| PerCore::default()).collect(),
            retries: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
            budget_exhausted: AtomicU64::new(0),
            hedges: AtomicU64::new(0),
            hedges_won: AtomicU64::new(0),
            shed: AtomicU64::new(0),
        }
    }

    /// Counts a request as in flight until the guard is dropped; there are so many others on the
    /// same core.
    pub(crate) fn request(&self, core: usize) -> (InFlight<'_>, u32) {
        let core = &self.cores[core];
        let others = core.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight {
            core,
            outcome: Outcome::Unspecified,
        };
        (in_flight, u32::try_from(others).unwrap_or_default())
    }

    /// Requests that are being answered on that core.
    pub(crate) fn in_flight_on(&self, core: usize) -> u32 {
        let in_flight = self.cores[core].in_flight.load(Ordering::Relaxed);
        u32::try_from(in_flight).unwrap_or_default()
    }

    /// A request was refused because there was no place for it, nor would there be one soon.
    pub(crate) fn shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn probed(&self) {
        self.probes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cold_start(&self) {
        self.cold_starts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(crate) fn hedged(&self) {
        self.hedges.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hedge_won(&self) {
        self.hedges_won.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hedges(&self) -> u64 {
        self.hedges.load(Ordering::Relaxed)
    }

    pub(crate) fn budget_exhausted(&self) {
        self.budget_exhausted.fetch_add(1, Ordering::Relaxed);
    }

    fn answers(&self, outcome: usize) -> u64 {
        self.cores
            .iter()
            .map(|core| core.outcomes[outcome].load(Ordering::Relaxed))
            .sum()
    }

    fn in_flight(&self) -> i64 {
        self.cores
            .iter()
            .map(|core| core.in_flight.load(Ordering::Relaxed))
            .sum()
    }
}

/// A request that is being answered. Dropped without an answer, it counts as
/// cancelled.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    core: &'a PerCore,
    outcome: Outcome,
}

impl InFlight<'_> {
    /// Counts the answer by its outcome.
    pub(crate) fn answered(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.core.in_flight.fetch_sub(1, Ordering::Relaxed);
        let outcome = self.outcome as usize;
        self.core.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
    }
}

/// Shows counters and destinations to Prometheus.
#[derive(Debug)]
pub(crate) struct RouterCollector {
    pub(crate) counters: Arc<Counters>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) admission: Arc<Admission>,
}

impl Collector for RouterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut family = |name: &str, help: &str, values: &[(Labels<'_>, Value)]| {
            let kind = values.first().map_or(Value::Gauge(0), |(_, value)| *value);
            let mut metric = encoder.encode_descriptor(name, help, None, kind.metric_type())?;
            for (labels, value) in values {
                value.encode(metric.encode_family(labels)?)?;
            }
            Ok::<(), std::fmt::Error>(())
        };
        let outcomes: Vec<_> = OUTCOMES
            .iter()
            .enumerate()
            .map(|(i, name)| {
                (
                    [("outcome", *name)],
                    Value::Counter(self.counters.answers(i)),
                )
            })
            .collect();
        family("edge_router_requests", "Requests by outcome", &outcomes)?;
        let single = |value| [([("table", "all")], value)];
        let in_flight = Value::Gauge(self.counters.in_flight());
        family(
            "edge_router_in_flight",
            "Requests being answered",
            &single(in_flight),
        )?;
        let retries = Value::Counter(self.counters.retries());
        family(
            "edge_router_retries",
            "Attempts that followed a failed one",
            &single(retries),
        )?;
        let refusals = Value::Counter(self.counters.refusals());
        family(
            "edge_router_refusals",
            "Attempts that a destination turned down because of its queue",
            &single(refusals),
        )?;
        let probes = Value::Counter(self.counters.probes.load(Ordering::Relaxed));
        family(
            "edge_router_probes",
            "Destinations asked how busy they are, beside requests",
            &single(probes),
        )?;
        let cold_starts = Value::Counter(self.counters.cold_starts.load(Ordering::Relaxed));
        family(
            "edge_router_cold_starts",
            "Answers that include the time to prepare for execution",
            &single(cold_starts),
        )?;
        let exhausted = Value::Counter(self.counters.budget_exhausted.load(Ordering::Relaxed));
        family(
            "edge_router_retry_budget_exhausted",
            "Retries not made for lack of budget",
            &single(exhausted),
        )?;
        let hedges = Value::Counter(self.counters.hedges());
        family(
            "edge_router_hedges",
            "Copies of requests that were sent elsewhere because no answer came",
            &single(hedges),
        )?;
        let won = Value::Counter(self.counters.hedges_won.load(Ordering::Relaxed));
        family(
            "edge_router_hedges_won",
            "Copies that were answered first",
            &single(won),
        )?;
        let shed = Value::Counter(self.counters.shed.load(Ordering::Relaxed));
        family(
            "edge_router_shed",
            "Requests refused because all destinations were busy",
            &single(shed),
        )?;
        let waiting = Value::Gauge(i64::try_from(self.admission.waiting()).unwrap_or(i64::MAX));
        family(
            "edge_router_waiting",
            "Requests that wait for a place at a destination",
            &single(waiting),
        )?;
        let destinations = self.tables.destinations();
        let of_each = |value: fn(&edge_balance::Destination) -> i64| -> Vec<_> {
            destinations
                .iter()
                .take(status::MAX_LISTED)
                .map(|d| ([("destination", d.name())], Value::Gauge(value(d))))
                .collect()
        };
        let in_flight = of_each(|d| i64::from(d.in_flight()));
        family(
            "edge_destination_in_flight",
            "Requests at a destination",
            &in_flight,
        )?;
        let limit = of_each(|d| d.limit().map_or(-1, i64::from));
        family(
            "edge_destination_limit",
            "Requests that may be at a destination, -1 for any number",
            &limit,
        )?;
        let healthy = of_each(|d| i64::from(d.health().standing().is_well()));
        family("edge_destination_healthy", "1 unless set aside", &healthy)
    }
}

type Labels<'a> = [(&'a str, &'a str); 1];

#[derive(Debug, Clone, Copy)]
enum Value {
    Counter(u64),
    Gauge(i64),
}

impl Value {
    fn metric_type(self) -> prometheus_client::metrics::MetricType {
        match self {
            Self::Counter(_) => prometheus_client::metrics::MetricType::Counter,
            Self::Gauge(_) => prometheus_client::metrics::MetricType::Gauge,
        }
    }

    fn encode(
        self,
        encoder: prometheus_client::encoding::MetricEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        match self {
            Self::Counter(value) => ConstCounter::new(value).encode(encoder),
            Self::Gauge(value) => ConstGauge::new(value).encode(encoder),
        }
    }
}
