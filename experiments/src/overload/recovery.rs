//! How long it takes after an overload until latencies are again what they were before it.

use std::time::Duration;

use super::fate::Fate;
use super::load::Sample;
use crate::bench::percentile::{percentile_ms, sorted};

/// The 99th percentile is taken over so long at a time.
pub(super) const WINDOW: Duration = Duration::from_millis(500);
/// So many normal windows in a row are no accident.
const IN_A_ROW: usize = 3;
/// What a percentile of few requests differs by even where nothing is wrong, at the least.
const LEAST_FLOOR_MS: f64 = 5.0;

/// Up to which 99th percentile of one window latencies count as normal, in milliseconds.
///
/// That is 10 % more than the 99th percentile of all of the normal phase, and a floor of noise: as
/// much as its worst window differed from all of it, at least 5 ms. Only answers count: requests
/// that fail under normal load must not make failures normal.
pub(super) fn limit_ms(normal: &[Sample], begin: Duration, end: Duration) -> f64 {
    let answered = |sample: &&Sample| sample.fate == Fate::Answered;
    let normal: Vec<Sample> = normal.iter().filter(answered).copied().collect();
    let all = percentile_ms(&sorted(normal.iter().map(waited)), 0.99);
    let worst = windows(&normal, begin, end).into_iter().fold(all, f64::max);
    1.1 * all + (worst - all).max(LEAST_FLOOR_MS)
}

/// The time from `begin` until the first of three windows in a row that are normal, those that
/// the end of the measurement cuts off not counting; `None` if there are none.
pub(super) fn back_to_normal(
    samples: &[Sample],
    begin: Duration,
    end: Duration,
    limit_ms: f64,
) -> Option<Duration> {
    let normal: Vec<bool> = windows(samples, begin, end)
        .into_iter()
        .map(|p99| p99 <= limit_ms)
        .collect();
    let in_a_row = IN_A_ROW.min(normal.len()).max(1);
    let first = normal
        .windows(in_a_row)
        .position(|row| row.iter().all(|normal| *normal))?;
    Some(WINDOW * u32::try_from(first).ok()?)
}

/// The 99th percentile of the requests that were due in each whole window. Whoever got no answer
/// waits for ever; a window without requests is normal.
fn windows(samples: &[Sample], begin: Duration, end: Duration) -> Vec<f64> {
    let count = end.saturating_sub(begin).as_nanos() / WINDOW.as_nanos();
    (0..u32::try_from(count).unwrap_or(u32::MAX))
        .map(|number| {
            let from = begin + WINDOW * number;
            let due = |sample: &&Sample| (from..from + WINDOW).contains(&sample.due);
            let p99 = percentile_ms(&sorted(samples.iter().filter(due).map(waited)), 0.99);
            if p99.is_nan() { 0.0 } else { p99 }
        })
        .collect()
}

fn waited(sample: &Sample) -> Duration {
    match sample.fate {
        Fate::Answered => sample.latency,
        Fate::Refused | Fate::Expired | Fate::Failed(_) => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One request every 10 ms, with the latency that `latency_ms` gives for its due time in ms.
    fn samples(length_ms: u32, latency_ms: impl Fn(u32) -> u32) -> Vec<Sample> {
        (0..length_ms / 10)
            .map(|number| Sample {
                due: MS * (number * 10),
                client: 0,
                lambda: 0,
                late: Duration::ZERO,
                latency: MS * latency_ms(number * 10),
                fate: Fate::Answered,
            })
            .collect()
    }

    fn back(samples: &[Sample], limit_ms: f64) -> Option<Duration> {
        back_to_normal(samples, Duration::ZERO, MS * 4000, limit_ms)
    }

    #[test]
    fn the_first_of_three_normal_windows_counts() {
        let calm = samples(4000, |_| 10);
        assert_eq!(back(&calm, 20.0), Some(Duration::ZERO));
        let twice = samples(4000, |due| {
            let bad = (0..400).contains(&due) || (1000..1400).contains(&due);
            if bad { 100 } else { 10 }
        });
        assert_eq!(back(&twice, 20.0), Some(MS * 1500));
        let never = samples(4000, |_| 100);
        assert_eq!(back(&never, 20.0), None);
    }

    #[test]
    fn requests_without_an_answer_are_not_normal() {
        let mut refused = samples(4000, |_| 1);
        for sample in refused.iter_mut().filter(|sample| sample.due < MS * 700) {
            sample.fate = Fate::Refused;
        }
        assert_eq!(back(&refused, 20.0), Some(MS * 1000));
    }

    #[test]
    fn the_limit_allows_for_the_noise_that_there_was_before() {
        let end = MS * 2000;
        let calm = samples(2000, |_| 10);
        assert_eq!(limit_ms(&calm, Duration::ZERO, end), 16.0);
        // One request of 200 is above the percentile of all, but not above that of its window.
        let noisy = samples(2000, |due| if due == 700 { 40 } else { 10 });
        assert_eq!(limit_ms(&noisy, Duration::ZERO, end), 41.0);
    }
}
