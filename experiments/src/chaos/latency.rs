//! Percentiles of latencies, and how long it took until they were back to normal.

use std::time::Duration;

use super::load::{End, Sample};
use crate::bench::percentile;

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
    let latencies = percentile::sorted(samples.into_iter().map(|sample| sample.latency));
    (!latencies.is_empty()).then(|| percentile::percentile_ms(&latencies, fraction))
}

/// The lower of the medians. `None` of nothing.
fn median(windows: impl Iterator<Item = Window>) -> Option<f64> {
    let mut values: Vec<_> = windows.map(|window| window.p99_ms).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(values[middle])
}

/// How the p99 returned to a steady state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recovery {
    /// From the fault to the first window from which on all were normal for a second; `None` if
    /// there is no such window.
    pub(super) after: Option<Duration>,
    /// Windows later than that which were not normal.
    pub(super) relapses: usize,
    /// The p99 up to which a window is normal, in milliseconds; `None` if the time was too short to
    /// tell.
    pub(super) normal_ms: Option<f64>,
}

/// Finds when the p99 was back. The new steady state is the median p99 of the windows in the
/// second half of the time from `fault` to `until`; normal is what exceeds it by at most a tenth
/// plus noise, which is the largest distance of a window in the second half of the time before from
/// their median, at least 2 ms. A window in which more than one of a hundred requests failed is never normal.
pub(super) fn recovery(samples: &[Sample], fault: Duration, until: Duration) -> Recovery {
    let calm = windows(samples, fault / 2, fault);
    let usual = median(calm.iter().copied()).unwrap_or_default();
    let worst = calm.iter().map(|w| w.p99_ms).fold(0.0, f64::max);
    let noise = (worst - usual).max(LEAST_NOISE_MS);

    let troubled = windows(samples, fault, until);
    let half = fault + (until.saturating_sub(fault)) / 2;
    let late = troubled.iter().copied().filter(|w| w.begin >= half);
    let Some(steady) = median(late) else {
        return Recovery {
            after: None,
            relapses: 0,
            normal_ms: None,
        };
    };
    let normal_ms = steady * (1.0 + TOLERANCE) + noise;
    let is_normal = |window: &Window| window.p99_ms <= normal_ms && !window.fails;

    let position = (0..troubled.len()).find(|&from| {
        let until = troubled[from].begin + STEADY_FOR;
        let mut soon = troubled[from..].iter().take_while(|w| w.begin < until);
        soon.all(is_normal)
    });
    let rest = position.map_or(&[][..], |position| &troubled[position..]);
    Recovery {
        after: rest.first().map(|window| window.begin - fault),
        relapses: rest.iter().filter(|window| !is_normal(window)).count(),
        normal_ms: Some(normal_ms),
    }
}

/// The requests that were due within a short time.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: Duration,
    p99_ms: f64,
    /// More than one of a hundred failed.
    fails: bool,
}

/// The windows between two moments, without those in which nothing was due.
fn windows(samples: &[Sample], from: Duration, until: Duration) -> Vec<Window> {
    let begins = std::iter::successors(Some(from), |begin| Some(*begin + STEP));
    let begins = begins.take_while(|begin| *begin + WINDOW <= until);
    let found = begins.filter_map(|begin| {
        let due = begin..begin + WINDOW;
        let inside: Vec<_> = samples.iter().filter(|s| due.contains(&s.due)).collect();
        let failed = inside.iter().filter(|s| s.end != End::Right).count();
        Some(Window {
            begin,
            p99_ms: percentile_ms(inside.iter().copied(), 0.99)?,
            fails: failed * 100 > inside.len(),
        })
    });
    found.collect()
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
        assert!((recovery.normal_ms.unwrap() - 13.0).abs() < 1e-9);
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

    #[test]
    fn a_time_without_a_window_tells_nothing() {
        let calm = samples(|_| (10, End::Right));
        let soon = recovery(&calm, FAULT, FAULT + WINDOW);
        assert_eq!((soon.after, soon.normal_ms), (None, None));
    }
}
