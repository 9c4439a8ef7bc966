//! What a destination says about itself on its answers.

use crate::Nanos;

/// Requests that a destination can credibly hold; a larger number is cut to it.
const MOST_IN_FLIGHT: u32 = 1 << 20;
/// Requests that a destination can credibly execute at the same time.
const MOST_WORKERS: u32 = 1 << 16;
/// A residence that is told in whole milliseconds may be longer than the latency by this much.
const ROUNDING: Nanos = Nanos::from_millis(1);
/// By one part in so many, 0.1 %, may clocks differ.
const DRIFT: u64 = 1 << 10;

/// The load that an answer carries, as far as it carries any: peers of another make say nothing or
/// little, and everything works without, less well.
///
/// It comes from outside and is believed within limits only, see [`Report::credible`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Requests in its system, running or waiting, right after this one left it.
    pub in_flight: Option<u32>,
    /// Requests that it executes at the same time, at least 1; 0 counts as not said.
    pub workers: Option<u32>,
    /// How long this request executed, without waiting for its turn.
    pub service: Option<Nanos>,
    /// From the arrival of this request to its answer, by the clock of the destination.
    pub residence: Option<Nanos>,
    /// Share of the residence that was spent on preparing to execute (starting a container, say),
    /// which the next request will not have to wait for.
    pub cold_start: Option<Nanos>,
    /// Share of its processors that was busy during the last second, from 0 to 1.
    pub utilization: Option<f32>,
}

impl Report {
    /// What can be true of it, given that the request was away for `latency`: no part of a request
    /// takes longer than the whole, and counts have bounds. Residence and cold start are subtracted
    /// from the latency, so that one which takes longer would make any destination look near or
    /// instantaneous: it is not believed at all, but for as much of a residence as rounding and clocks
    /// explain.
    #[must_use]
    pub fn credible(self, latency: Nanos) -> Report {
        let excess = Nanos(ROUNDING.0 + latency.0 / DRIFT);
        let residence = self
            .residence
            .filter(|span| span.since(latency) <= excess)
            .map(|span| span.min(latency));
        let whole = residence.unwrap_or(latency);
        let cold_start = self.cold_start.filter(|span| *span <= whole);
        let warm = whole.since(cold_start.unwrap_or_default());
        Report {
            in_flight: self.in_flight.map(|count| count.min(MOST_IN_FLIGHT)),
            workers: self
                .workers
                .filter(|count| *count > 0)
                .map(|count| count.min(MOST_WORKERS)),
            service: self.service.map(|span| span.min(warm)),
            residence,
            cold_start,
            utilization: self
                .utilization
                .filter(|share| share.is_finite())
                .map(|share| share.clamp(0.0, 1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_takes_longer_than_the_whole() {
        let report = Report {
            service: Some(Nanos::from_secs(9)),
            residence: Some(Nanos::from_millis(3003)),
            cold_start: Some(Nanos::from_secs(1)),
            ..Report::default()
        };
        let credible = report.credible(Nanos::from_secs(3));
        assert_eq!(
            credible.residence,
            Some(Nanos::from_secs(3)),
            "by the clock there"
        );
        assert_eq!(credible.cold_start, Some(Nanos::from_secs(1)));
        assert_eq!(credible.service, Some(Nanos::from_secs(2)));
    }

    #[test]
    fn a_residence_that_takes_longer_than_the_request_is_not_believed() {
        let credible = |residence, latency| {
            let report = Report {
                residence: Some(residence),
                service: Some(Nanos::from_secs(9)),
                ..Report::default()
            };
            report.credible(latency)
        };
        let micros = Nanos::from_micros;
        // 0.6 ms, told as a whole millisecond.
        let rounded = credible(micros(1000), micros(700));
        assert_eq!(rounded.residence, Some(micros(700)));
        for residence in [micros(1702), Nanos::from_secs(60), Nanos::MAX] {
            let credible = credible(residence, micros(700));
            assert_eq!(credible.residence, None, "{residence:?}");
            assert_eq!(
                credible.service,
                Some(micros(700)),
                "no longer than the whole"
            );
        }
    }

    #[test]
    fn a_cold_start_that_takes_longer_than_the_request_is_not_believed() {
        let latency = Nanos::from_millis(700);
        let credible = |cold_start| {
            let report = Report {
                cold_start: Some(cold_start),
                ..Report::default()
            };
            report.credible(latency).cold_start
        };
        assert_eq!(credible(latency), Some(latency));
        assert_eq!(credible(Nanos::from_millis(701)), None);
        assert_eq!(credible(Nanos::MAX), None);
    }

    #[test]
    fn counts_and_shares_are_bounded_and_no_workers_means_not_said() {
        let report = Report {
            in_flight: Some(u32::MAX),
            workers: Some(0),
            utilization: Some(f32::NAN),
            ..Report::default()
        };
        let credible = report.credible(Nanos::ZERO);
        assert_eq!(credible.in_flight, Some(MOST_IN_FLIGHT));
        assert_eq!((credible.workers, credible.utilization), (None, None));
        let workers = Some(u32::MAX);
        let many = Report { workers, ..report }.credible(Nanos::ZERO);
        assert_eq!(many.workers, Some(MOST_WORKERS));
    }
}
