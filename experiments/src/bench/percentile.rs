//! Percentiles of durations.

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
}
