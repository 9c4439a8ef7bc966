//! What a computer counts, and what it shows of its platform.

use std::fmt;
use std::sync::Arc;

use edge_proto::rpc::{LambdaResponse, Outcome};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use super::service::Service;
use crate::executor::Executor;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallbackLabel {
    outcome: &'static str,
    delivered: &'static str,
}

/// Counters of requests and callbacks.
///
/// The books balance: at rest, arrivals are the sum of the requests over all outcomes and of those
/// in flight. Arrivals are requests that could be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    arrivals: Counter,
    requests: Family<OutcomeLabel, Counter>,
    in_flight: Gauge,
    callbacks: Family<CallbackLabel, Counter>,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "edge_computer_arrivals",
            "Requests that came in",
            self.arrivals.clone(),
        );
        registry.register(
            "edge_computer_requests",
            "Requests by what became of them; ok: executed, estimated: answers to dry requests, \
             acknowledged: to be answered by a callback, cancelled: the caller went away",
            self.requests.clone(),
        );
        registry.register(
            "edge_computer_in_flight",
            "Requests whose caller waits for the answer",
            self.in_flight.clone(),
        );
        registry.register(
            "edge_computer_callbacks",
            "Answers of asynchronous requests by outcome and whether they arrived",
            self.callbacks.clone(),
        );
    }

    /// A request has come in.
    pub(super) fn arrival(&self) -> RequestInFlight<'_> {
        self.arrivals.inc();
        self.in_flight.inc();
        RequestInFlight {
            metrics: self,
            became: "cancelled",
        }
    }

    /// An asynchronous request has been answered.
    pub(super) fn called_back(&self, outcome: Outcome, delivered: bool) {
        let label = CallbackLabel {
            outcome: name(outcome),
            delivered: if delivered { "yes" } else { "no" },
        };
        self.callbacks.get_or_create(&label).inc();
    }
}

/// A request whose caller waits; dropped before it is answered, it counts as cancelled.
#[derive(Debug)]
pub(super) struct RequestInFlight<'a> {
    metrics: &'a Metrics,
    became: &'static str,
}

impl RequestInFlight<'_> {
    pub(super) fn answered(mut self, response: &LambdaResponse, dry: bool) {
        self.became = match response.outcome() {
            _ if response.asynchronous => "acknowledged",
            Outcome::Ok if dry => "estimated",
            outcome => name(outcome),
        };
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        // The caller of a handler that panics gets an answer.
        if std::thread::panicking() {
            self.became = name(Outcome::ApplicationError);
        }
        self.metrics.in_flight.dec();
        let label = OutcomeLabel {
            outcome: self.became,
        };
        self.metrics.requests.get_or_create(&label).inc();
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Unspecified | Outcome::ApplicationError => "application_error",
        Outcome::Refused => "refused",
        Outcome::Overloaded => "overloaded",
        Outcome::Unavailable => "unavailable",
        Outcome::Deadline => "deadline",
        Outcome::NotFound => "not_found",
    }
}

/// Shows the present state of a computer and its executor, asked for when it is looked at.
#[derive(Debug)]
pub(super) struct PlatformCollector<E>(pub(super) Arc<Service<E>>);

impl<E: Executor> Collector for PlatformCollector<E> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(asynchronous) = &self.0.asynchronous {
            gauge(
                &mut encoder,
                "edge_computer_accepted",
                "Asynchronous requests that are neither answered nor passed on yet",
                asynchronous.queue.taken() as u64,
            )?;
        }
        let snapshot = self.0.executor.snapshot();
        let processors = snapshot.processors.iter();
        let utilization = processors.map(|p| ([("processor", &*p.name)], f64::from(p.utilization)));
        gauges(
            &mut encoder,
            "edge_computer_utilization",
            "Share of the cores that was busy during the last second",
            utilization,
        )?;
        let containers = || snapshot.containers.iter();
        gauges(
            &mut encoder,
            "edge_computer_running",
            "Requests that run",
            containers().map(|c| ([("lambda", &*c.lambda)], f64::from(c.active))),
        )?;
        gauges(
            &mut encoder,
            "edge_computer_queued",
            "Requests that wait for a worker",
            containers().map(|c| ([("lambda", &*c.lambda)], c.pending as f64)),
        )?;
        if snapshot.backends.is_empty() {
            return Ok(());
        }
        let backends = snapshot.backends.iter();
        gauges(
            &mut encoder,
            "edge_computer_backend_up",
            "1 while the platform behind the computer is in service, else 0",
            backends.map(|b| ([("backend", &*b.name)], f64::from(u8::from(b.healthy)))),
        )
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(family)
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = ([(&'static str, &'a str); 1], f64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
