//! What one value of a sweep costs, as a JSON line.

use serde::Serialize;

use super::paired::Paired;
use super::subject::Sample;
use crate::bench::percentile::median;

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Load {
    /// One after the other.
    Alone,
    /// 64 in flight, so that those of one connection are read and written together.
    Busy,
    /// 64 in flight, and the router makes the answers up: what is left is to take them and to pick.
    MadeUp,
}

impl Load {
    pub(super) fn in_flight(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Busy | Self::MadeUp => 64,
        }
    }
}

/// The median of the rounds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) sweep: &'static str,
    pub(super) policy: &'static str,
    pub(super) value: usize,
    /// Whether it is another router with the first value: what its ratio differs from 1 by is no
    /// matter of values.
    pub(super) again: bool,
    pub(super) load: Load,
    in_flight: usize,
    pub(super) rps: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) cpu_us: f64,
    /// CPU time beside that of the first value in the same round.
    pub(super) ratio: f64,
    /// Width of the range of half of these ratios, between the quartiles.
    pub(super) spread: f64,
    /// How far the ratio may be off by chance; null after too few rounds to tell.
    pub(super) doubt: f64,
    pub(super) rss_kb: u64,
}

/// One place in a sweep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) sweep: &'static str,
    pub(super) policy: &'static str,
    pub(super) load: Load,
}

impl Row {
    /// All of one place, from the samples of their rounds: one of each of these values and, if there
    /// are several, one of the first again.
    pub(super) fn all(place: Place, values: &[usize], samples: &[Vec<Sample>]) -> Vec<Self> {
        let again = values.first().filter(|_| values.len() > 1);
        let values = values.iter().map(|value| (*value, false));
        values
            .chain(again.map(|value| (*value, true)))
            .zip(samples)
            .map(|(value, of)| Self::of(place, value, of, &samples[0]))
            .collect()
    }

    fn of(
        place: Place,
        (value, again): (usize, bool),
        samples: &[Sample],
        first: &[Sample],
    ) -> Self {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        let cpu = |samples: &[Sample]| -> Vec<f64> {
            samples.iter().map(|sample| sample.cpu_us).collect()
        };
        let paired = Paired::of(&cpu(samples), &cpu(first));
        let rss_kb = samples.iter().map(|sample| sample.rss_kb).max();
        Self {
            sweep: place.sweep,
            policy: place.policy,
            value,
            again,
            load: place.load,
            in_flight: place.load.in_flight(),
            rps: of(|sample| sample.rps),
            p50_us: of(|sample| sample.p50_us),
            p99_us: of(|sample| sample.p99_us),
            cpu_us: of(|sample| sample.cpu_us),
            ratio: paired.ratio,
            spread: paired.spread,
            doubt: paired.doubt,
            rss_kb: rss_kb.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(cpu_us: [f64; 5]) -> Vec<Sample> {
        let sample = |cpu_us| Sample {
            rps: 1.0,
            p50_us: 1.0,
            p99_us: 1.0,
            cpu_us,
            rss_kb: 1,
        };
        cpu_us.map(sample).into()
    }

    #[test]
    fn a_row_is_compared_with_the_first_value_of_its_rounds_and_so_is_that_value_itself() {
        let place = Place {
            sweep: "lambdas",
            policy: "p2c",
            load: Load::Alone,
        };
        let first = samples([10.0, 40.0, 10.0, 20.0, 10.0]);
        let second = samples([20.0, 80.0, 20.0, 40.0, 20.0]);
        let again = samples([11.0, 44.0, 11.0, 22.0, 11.0]);
        let rows = Row::all(place, &[1, 7], &[first.clone(), second, again]);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.value, row.again, row.ratio))
            .collect();
        assert_eq!(shown, [(1, false, 1.0), (7, false, 2.0), (1, true, 1.1)]);
        assert!(rows.iter().all(|row| row.spread < 1e-9), "{rows:?}");
        let alone = Row::all(place, &[1], &[first]);
        assert_eq!(alone.len(), 1, "with one value there is nothing to compare");
    }
}
