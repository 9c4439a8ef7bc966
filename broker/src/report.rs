//! What an answer says of the load of its destination, as the balancer takes it.

use edge_balance::{Nanos, Report};
use edge_proto::view::ResponseView;

/// The load that an answer carries. A peer of another make tells its processing
/// time in milliseconds, queueing included, and its load in per cent.
pub(crate) fn report(view: &ResponseView<'_>) -> Report {
    let micros = |span: u64| (span > 0).then(|| Nanos::from_micros(span));
    let reports = view.workers > 0;
    let ptime = (view.ptime_ms > 0).then(|| Nanos::from_millis(view.ptime_ms.into()));
    Report {
        in_flight: reports.then_some(view.in_flight),
        workers: reports.then_some(view.workers),
        service: micros(view.service_us),
        residence: micros(view.residence_us).or(ptime),
        cold_start: micros(view.cold_start_us),
        utilization: Some(view.load1 as f32 / 100.0),
    }
}
