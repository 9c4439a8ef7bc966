//! What is told of a cell.

use std::time::Duration;

use serde::Serialize;

use super::cell::{Cell, Layout};
use super::mode::Mode;
use super::scene::Outcome;
use super::speed::Speed;
use crate::bench::percentile::{percentile_ms, sorted};
use crate::fabric::doctor::Backend;

/// One cell, and one line of JSON. Without a number: it cannot be measured here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(super) experiment: &'static str,
    pub(super) link: Option<Speed>,
    pub(super) layout: Option<Layout>,
    /// Per cent, on each link and in each direction.
    pub(super) loss: f64,
    pub(super) mode: Mode,
    /// How many different losses and places went into it.
    pub(super) seeds: usize,
    pub(super) backend: Backend,
    pub(super) mean_ms: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p90_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// Of the first requests of all clients, connection included: the median.
    pub(super) first_ms: Option<f64>,
    /// Network traffic in kB/s, summed over the switches.
    pub(super) throughput: Option<f64>,
    pub(super) requests: usize,
    pub(super) requests_per_s: Option<f64>,
    /// Bytes at all switches for each answer.
    pub(super) bytes_per_request: Option<f64>,
    pub(super) errors: u64,
    pub(super) error: Option<String>,
    pub(super) packets_lost: u64,
    pub(super) packets_dropped: u64,
    pub(super) published: Published,
    #[serde(skip)]
    pub(super) latencies: Vec<Duration>,
}

/// What the reference has published for the same cell, and how many times as much ours is.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Published {
    pub(super) p90_ms: Option<f64>,
    pub(super) p90_ratio: Option<f64>,
    pub(super) throughput: Option<f64>,
    pub(super) throughput_ratio: Option<f64>,
}

impl Figures {
    /// Of all runs of a cell; there may be none.
    pub(super) fn of(cell: &Cell, backend: Backend, outcomes: &[Outcome]) -> Self {
        let mut figures = Self::empty(cell, backend);
        if outcomes.is_empty() {
            return figures;
        }
        figures.seeds = outcomes.len();
        let seen = || outcomes.iter().flat_map(|outcome| &outcome.seen);
        let latencies = sorted(seen().flat_map(|seen| seen.latencies.iter().copied()));
        let firsts = sorted(seen().filter_map(|seen| seen.first));
        let known = |ms: f64| ms.is_finite().then_some(ms);
        let percentile = |fraction| known(percentile_ms(&latencies, fraction));
        let window: Duration = outcomes.iter().map(|outcome| outcome.window).sum();
        let seconds = window.as_secs_f64();
        let carried = || outcomes.iter().map(|outcome| outcome.carried);
        let bytes: u64 = carried().map(|carried| carried.bytes_at_switches).sum();
        let bytes = bytes as f64;
        let count = latencies.len();
        let sum: Duration = latencies.iter().sum();
        figures.mean_ms = known(sum.as_secs_f64() * 1e3 / count as f64);
        figures.p50_ms = percentile(0.5);
        figures.p90_ms = percentile(0.9);
        figures.p95_ms = percentile(0.95);
        figures.p99_ms = percentile(0.99);
        figures.first_ms = known(percentile_ms(&firsts, 0.5));
        figures.throughput = known(bytes / 1e3 / seconds);
        figures.requests = count;
        figures.requests_per_s = known(count as f64 / seconds);
        figures.bytes_per_request = known(bytes / count as f64);
        figures.errors = seen().map(|seen| seen.errors).sum();
        figures.error = seen().find_map(|seen| seen.why.clone());
        figures.packets_lost = carried().map(|carried| carried.lost).sum();
        figures.packets_dropped = carried().map(|carried| carried.dropped).sum();
        let ratio = |ours: Option<f64>, theirs: Option<f64>| Some(ours? / theirs?);
        let published = &mut figures.published;
        published.p90_ratio = ratio(figures.p90_ms, published.p90_ms);
        published.throughput_ratio = ratio(figures.throughput, published.throughput);
        figures.latencies = latencies;
        figures
    }

    fn empty(cell: &Cell, backend: Backend) -> Self {
        let (p90_ms, throughput) = cell.published();
        Self {
            experiment: cell.experiment,
            link: cell.link,
            layout: cell.layout,
            loss: cell.loss,
            mode: cell.scene.mode,
            seeds: 0,
            backend,
            mean_ms: None,
            p50_ms: None,
            p90_ms: None,
            p95_ms: None,
            p99_ms: None,
            first_ms: None,
            throughput: None,
            requests: 0,
            requests_per_s: None,
            bytes_per_request: None,
            errors: 0,
            error: None,
            packets_lost: 0,
            packets_dropped: 0,
            published: Published {
                p90_ms,
                throughput,
                ..Published::default()
            },
            latencies: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Seen;
    use super::super::ground::Carried;
    use super::*;

    fn cell() -> Cell {
        let load = super::super::cell::tests::load();
        super::super::cell::loss_cell(Speed::Fast, 3, Mode::Quic, load, 1)
    }

    #[test]
    fn a_cell_that_could_not_be_run_has_no_numbers_but_those_published() {
        let figures = Figures::of(&cell(), Backend::Proxy, &[]);
        let line = serde_json::to_value(&figures).unwrap();
        for key in ["p50_ms", "p90_ms", "p99_ms", "throughput"] {
            assert!(line[key].is_null(), "{key}");
        }
        assert_eq!(line["published"]["p90_ms"], 46.0);
        assert_eq!(line["link"], "fast");
        assert_eq!(line["mode"], "quic");
        assert_eq!(line["loss"], 3.0);
    }

    #[test]
    fn figures_are_those_of_all_clients_together() {
        let seen = |from: u64| Seen {
            latencies: (from..from + 50).map(Duration::from_millis).collect(),
            first: Some(Duration::from_millis(900)),
            errors: 1,
            why: None,
        };
        let outcome = Outcome {
            seen: vec![seen(1), seen(51)],
            carried: Carried {
                bytes_at_switches: 200_000,
                lost: 3,
                dropped: 0,
            },
            window: Duration::from_secs(10),
        };
        let figures = Figures::of(&cell(), Backend::Fabric, &[outcome]);
        assert_eq!(figures.p90_ms, Some(90.0));
        assert_eq!(figures.published.p90_ratio, Some(90.0 / 46.0));
        assert_eq!(figures.throughput, Some(20.0));
        assert_eq!(figures.requests_per_s, Some(10.0));
        assert_eq!(figures.bytes_per_request, Some(2000.0));
        assert_eq!((figures.errors, figures.packets_lost), (2, 3));
    }
}
