//! Percentiles of durations, and medians.

use std::time::Duration;

/// `durations` in ascending order.
pub(crate) fn sorted(durations: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut durations: Vec<_> = durations.collect();
    durations.sort_unstable();
    durations
}

/// The nearest-rank percentile of `sorted`, in milliseconds; `fraction` is from 0 to 1. NaN of
/// nothing.
pub(crate) fn percentile_ms(sorted: &[Duration], fraction: f64) -> f64 {
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}

/// The lower of the two in the middle if their number is even. NaN of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies: Vec<_> = (1..=1000).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&latencies, 0.5), 500.0);
        assert_eq!(percentile_ms(&latencies, 0.99), 990.0);
        assert_eq!(percentile_ms(&latencies, 0.999), 999.0);
        assert_eq!(percentile_ms(&latencies[..1], 0.999), 1.0);
        assert!(percentile_ms(&[], 0.5).is_nan());
    }

    #[test]
    fn the_median_of_an_even_number_is_one_of_them() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([2.0].into_iter()), 2.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
