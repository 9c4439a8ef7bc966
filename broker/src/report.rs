//! What an answer says of the load of its destination, as the balancer takes it.

use edge_balance::{Nanos, Report};
use edge_proto::view::ResponseView;

/// The load that an answer carries which came after `latency`. A peer of another make tells its
/// processing time in milliseconds, queueing included, and its load in per cent.
///
/// Preparations are subtracted from latencies, so that some which take longer than the whole would
/// make any destination look instantaneous: they are not believed at all.
pub(crate) fn report(view: &ResponseView<'_>, latency: Nanos) -> Report {
    let micros = |span: u64| (span > 0).then(|| Nanos::from_micros(span));
    let reports = view.workers > 0;
    let ptime = (view.ptime_ms > 0).then(|| Nanos::from_millis(view.ptime_ms.into()));
    Report {
        in_flight: reports.then_some(view.in_flight),
        workers: reports.then_some(view.workers),
        service: micros(view.service_us),
        residence: micros(view.residence_us).or(ptime),
        cold_start: micros(view.cold_start_us).filter(|span| *span <= latency),
        utilization: Some(view.load1 as f32 / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations_that_take_longer_than_the_request_are_not_believed() {
        let latency = Nanos::from_micros(700);
        let cold_start = |cold_start_us| {
            let view = ResponseView {
                cold_start_us,
                ..ResponseView::default()
            };
            report(&view, latency).cold_start
        };
        assert_eq!(cold_start(0), None);
        assert_eq!(cold_start(700), Some(latency));
        assert_eq!([701, u64::MAX].map(cold_start), [None; 2]);
    }
}
