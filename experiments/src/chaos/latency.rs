//! Percentiles of latencies, and how long it took until they were back to normal.

use std::time::Duration;

use super::load::{End, Sample};

/// Length of a window.
const WINDOW: Duration = Duration::from_millis(500);
/// From the start of one window to that of the next.
const STEP: Duration = Duration::from_millis(250);
/// A steady state is reached when all windows that begin within this time are normal.
const STEADY_FOR: Duration = Duration::from_secs(1);
/// How far above the steady state a window may be, relatively.
const TOLERANCE: f64 = 0.1;
/// And absolutely: what the clock of the machine allows, in milliseconds.
const LEAST_NOISE_MS: f64 = 2.0;

/// The nearest-rank percentile, in milliseconds; requests that failed count with the time after
/// which they did. `None` of nothing.
pub(super) fn percentile_ms<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    fraction: f64,
) -> Option<f64> {
    let latencies = samples.into_iter().map(|s| s.latency.as_secs_f64() * 1e3);
    nearest_rank(latencies.collect(), fraction)
}

fn nearest_rank(mut values: Vec<f64>, fraction: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (fraction * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

/// How the p99 returned to a steady state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recovery {
    /// From the fault to the first window from which on all were normal for a second; `None` if
    /// there is no such window.
    pub(super) after: Option<Duration>,
    /// Windows later than that which were not normal.
    pub(super) relapses: usize,
    /// The p99 up to which a window is normal, in milliseconds.
    pub(super) normal_ms: f64,
}

/// Finds when the p99 was back. The new steady state is the median p99 of the windows in the
/// second half of the time from `fault` to `until`; normal is what exceeds it by at most a tenth
/// plus noise, which is the largest distance of a window in the second half of the time before from
/// their median, at least 2 ms. A window in which more than one of a hundred requests failed is never normal.
pub(super) fn recovery(samples: &[Sample], fault: Duration, until: Duration) -> Recovery {
    let calm = windows(samples, fault / 2, fault);
    let usual = nearest_rank(calm.iter().map(|w| w.1).collect(), 0.5).unwrap_or_default();
    let worst = calm.iter().map(|w| w.1).fold(0.0, f64::max);
    let noise = (worst - usual).max(LEAST_NOISE_MS);

    let troubled = windows(samples, fault, until);
    let half = fault + (until.saturating_sub(fault)) / 2;
    let late = troubled.iter().filter(|w| w.0 >= half);
    let steady = nearest_rank(late.map(|w| w.1).collect(), 0.5).unwrap_or(f64::INFINITY);
    let normal_ms = steady * (1.0 + TOLERANCE) + noise;
    let is_normal = |p99: f64| p99 <= normal_ms && p99.is_finite();

    let position = (0..troubled.len()).find(|&from| {
        let begin = troubled[from].0;
        let soon = troubled[from..]
            .iter()
            .take_while(|w| w.0 < begin + STEADY_FOR);
        soon.clone().all(|w| is_normal(w.1))
    });
    let after = position.map(|position| troubled[position].0 - fault);
    let rest = position.map_or(&[][..], |position| &troubled[position..]);
    Recovery {
        after,
        relapses: rest.iter().filter(|w| !is_normal(w.1)).count(),
        normal_ms,
    }
}

/// Begin and p99 of each window between two moments.
fn windows(samples: &[Sample], from: Duration, until: Duration) -> Vec<(Duration, f64)> {
    let mut found = Vec::new();
    let mut begin = from;
    while begin + WINDOW <= until {
        let due = begin..begin + WINDOW;
        let inside: Vec<_> = samples.iter().filter(|s| due.contains(&s.due)).collect();
        let latencies = inside.iter().map(|sample| match sample.end {
            End::Right => sample.latency.as_secs_f64() * 1e3,
            End::Error(_) | End::Mistaken | End::Lost => f64::INFINITY,
        });
        if let Some(p99) = nearest_rank(latencies.collect(), 0.99) {
            found.push((begin, p99));
        }
        begin += STEP;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::load::Kind;
    use super::*;

    /// One request per millisecond for 8 s, with latencies and ends by the time in ms.
    fn samples(of: impl Fn(u64) -> (u64, End)) -> Vec<Sample> {
        let each = (0..8000).map(|ms| {
            let (latency_ms, end) = of(ms);
            Sample {
                number: ms,
                kind: Kind::Once,
                due: Duration::from_millis(ms),
                late: Duration::ZERO,
                latency: Duration::from_millis(latency_ms),
                end,
            }
        });
        each.collect()
    }

    const FAULT: Duration = Duration::from_secs(3);
    const UNTIL: Duration = Duration::from_secs(8);

    #[test]
    fn a_fault_without_effect_is_over_at_once() {
        let calm = samples(|_| (10, End::Right));
        let recovery = recovery(&calm, FAULT, UNTIL);
        assert_eq!(recovery.after, Some(Duration::ZERO));
        assert_eq!(recovery.relapses, 0);
        assert!((recovery.normal_ms - 13.0).abs() < 1e-9);
    }

    #[test]
    fn a_higher_steady_state_is_a_steady_state() {
        let slow = samples(|ms| match ms {
            0..3000 => (10, End::Right),
            3000..3600 => (500, End::Right),
            _ => (20, End::Right),
        });
        let after = recovery(&slow, FAULT, UNTIL).after;
        assert_eq!(after, Some(Duration::from_millis(750)));
    }

    #[test]
    fn a_window_with_errors_is_not_normal() {
        let failing = samples(|ms| {
            let fails = (3000..4000).contains(&ms) && ms % 10 == 0;
            (
                10,
                if fails {
                    End::Error("lost")
                } else {
                    End::Right
                },
            )
        });
        let recovery = recovery(&failing, FAULT, UNTIL);
        assert_eq!(recovery.after, Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_goes_wrong_later_is_a_relapse() {
        let again = samples(|ms| {
            let slow = (5000..5300).contains(&ms);
            (if slow { 400 } else { 10 }, End::Right)
        });
        let recovery = recovery(&again, FAULT, UNTIL);
        assert_eq!(recovery.after, Some(Duration::ZERO));
        assert!(recovery.relapses > 0);
    }

    #[test]
    fn without_recovery_there_is_no_time() {
        let failing = samples(|ms| (10, if ms < 3000 { End::Right } else { End::Lost }));
        assert_eq!(recovery(&failing, FAULT, UNTIL).after, None);
    }
}
