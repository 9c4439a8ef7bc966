//! When a request is late: after a percentile of the lambda's latencies.
//!
//! A request that takes longer than nearly all of its kind is likely to have met a slow destination,
//! and a copy elsewhere is likely to be answered first (Dean and Barroso, "The Tail at Scale", 2013).
//! The percentile is learnt by stochastic approximation (Robbins and Monro, 1951): each
//! latency above the estimate raises it by a share `s p`, each below lowers it by `s (1 - p)`, so
//! that it settles where the share `p` lies below.

use crate::Nanos;
use crate::average::sample;

/// The percentile: about one request in twenty is late.
const PERCENTILE: f32 = 0.95;
/// The share by which one latency moves the estimate, before it is multiplied by `p` or `1 - p`.
const STEP: f32 = 0.1;
/// Until so many latencies are known the largest of them stands for the percentile, and nothing is
/// late.
const ENOUGH: u16 = 32;
/// Nobody is late sooner than this: timers tick once per millisecond.
const SHORTEST: Nanos = Nanos::from_millis(1);

/// What is known of the percentile of one lambda.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delay {
    pub(super) seconds: f32,
    /// Latencies, up to [`ENOUGH`].
    pub(super) known: u16,
}

impl Delay {
    /// Nothing is known.
    pub(super) const UNKNOWN: Delay = Delay {
        seconds: 0.0,
        known: 0,
    };

    /// After which time a request is late; none until enough is known.
    pub(super) fn after(self) -> Option<Nanos> {
        let seconds = f64::from(self.seconds);
        (self.known >= ENOUGH).then(|| Nanos::from_secs_f64(seconds).max(SHORTEST))
    }

    /// A request was answered after that time, before it was late.
    pub(super) fn answered(self, latency: Nanos) -> Delay {
        let latency = sample(latency);
        self.moved(latency > self.seconds, latency)
    }

    /// A request took longer than the percentile, whatever became of it.
    pub(super) fn late(self) -> Delay {
        self.moved(true, 0.0)
    }

    fn moved(self, is_above: bool, latency: f32) -> Delay {
        let next = if self.known < ENOUGH {
            self.seconds.max(latency)
        } else if is_above {
            self.seconds * (1.0 + STEP * PERCENTILE)
        } else {
            self.seconds * (1.0 - STEP * (1.0 - PERCENTILE))
        };
        Delay {
            seconds: next.clamp(1e-6, 1e6),
            known: (self.known + 1).min(ENOUGH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg32;

    /// The share of requests that are late, after learning.
    fn late_share(latency: impl Fn(f64) -> f64) -> f64 {
        let mut delay = Delay::UNKNOWN;
        let mut rng = Pcg32::seed_from_u64(1);
        let mut late = 0;
        let (learning, measured) = (5_000, 50_000);
        for request in 0..learning + measured {
            let latency = Nanos::from_secs_f64(latency(rng.random()));
            match delay.after().filter(|after| latency > *after) {
                Some(_) => {
                    delay = delay.late();
                    late += i32::from(request >= learning);
                }
                None => delay = delay.answered(latency),
            }
        }
        f64::from(late) / f64::from(measured)
    }

    #[test]
    fn about_one_request_in_twenty_is_late_whatever_the_distribution() {
        let exponential = late_share(|u| -0.02 * (1.0 - u).ln());
        let heavy_tailed = late_share(|u| 0.01 * (1.0 - u).powf(-0.7));
        let uniform = late_share(|u| 0.01 + 0.01 * u);
        for share in [exponential, heavy_tailed, uniform] {
            assert!((0.04..0.06).contains(&share), "{share}");
        }
    }

    #[test]
    fn nobody_is_late_before_enough_is_known() {
        let mut delay = Delay::UNKNOWN;
        for known in 0..ENOUGH {
            assert_eq!(delay.after(), None, "{known}");
            delay = delay.answered(Nanos::from_millis(u64::from(known + 1)));
        }
        let largest = Nanos::from_millis(32).as_secs_f64();
        let after = delay.after().unwrap().as_secs_f64();
        assert!((after - largest).abs() < 1e-6, "{after}");
    }

    #[test]
    fn a_lambda_that_becomes_slower_is_not_late_for_long() {
        let mut delay = Delay::UNKNOWN;
        for _ in 0..100 {
            delay = delay.answered(Nanos::from_millis(10));
        }
        let mut late = 0;
        while delay.after().unwrap() < Nanos::from_millis(80) {
            delay = delay.late();
            late += 1;
        }
        assert!(late < 30, "{late}");
    }

    #[test]
    fn absurd_latencies_leave_a_delay_that_can_be_waited_for() {
        let mut delay = Delay::UNKNOWN;
        for latency in [Nanos::ZERO, Nanos::MAX].into_iter().cycle().take(10_000) {
            delay = delay.answered(latency);
        }
        assert!(delay.after().unwrap() >= SHORTEST);
        assert!(delay.after().unwrap() <= Nanos::from_secs(1_000_000));
    }
}
