//! When to send a second copy of a request: after a percentile of the lambda's latencies.
//!
//! A request that takes longer than nearly all of its kind is likely to have met a slow destination,
//! and a copy elsewhere is likely to be answered first (Dean and Barroso, "The Tail at Scale", 2013).
//! The percentile is learnt by stochastic approximation (Robbins and Monro, 1951) in one word: each
//! latency above the estimate raises it by a share `s p`, each below lowers it by `s (1 - p)`, so
//! that it settles where the share `p` lies below.

use crate::Nanos;
use crate::average::{replace, sample};
use crate::stamp::{pack, unpack};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The percentile: about one request in twenty is hedged.
const PERCENTILE: f32 = 0.95;
/// The share by which one latency moves the estimate, before it is multiplied by `p` or `1 - p`.
const STEP: f32 = 0.1;
/// Until so many latencies are known the largest of them stands for the percentile, and nothing is
/// hedged.
const ENOUGH: u32 = 32;
/// A copy is not sent sooner than this: timers tick once per millisecond.
const SHORTEST: Nanos = Nanos::from_millis(1);

/// When to hedge requests of one lambda.
#[derive(Debug, Default)]
pub struct HedgeDelay {
    /// Seconds (f32) | number of latencies, up to [`ENOUGH`].
    word: AtomicU64,
}

impl HedgeDelay {
    /// How long to wait for an answer before a copy is sent; none until enough is known.
    #[must_use]
    pub fn after(&self) -> Option<Nanos> {
        let (bits, known) = unpack(self.word.load(Relaxed));
        let seconds = f64::from(f32::from_bits(bits));
        (known >= ENOUGH).then(|| Nanos::from_secs_f64(seconds).max(SHORTEST))
    }

    /// A request was answered after that time, and no copy of it was sent.
    pub fn answered(&self, latency: Nanos) {
        let latency = sample(latency);
        self.moved(|estimate| latency > estimate, latency);
    }

    /// A copy of a request was sent: whatever is answered, the first one took longer than the
    /// percentile.
    pub fn hedged(&self) {
        self.moved(|_| true, 0.0);
    }

    fn moved(&self, is_above: impl FnOnce(f32) -> bool, latency: f32) {
        replace(&self.word, |word| {
            let (bits, known) = unpack(word);
            let estimate = f32::from_bits(bits);
            let next = if known < ENOUGH {
                estimate.max(latency)
            } else if is_above(estimate) {
                estimate * (1.0 + STEP * PERCENTILE)
            } else {
                estimate * (1.0 - STEP * (1.0 - PERCENTILE))
            };
            pack(next.clamp(1e-6, 1e6).to_bits(), (known + 1).min(ENOUGH))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg32;

    /// The share of requests that would be hedged, after learning.
    fn hedged_share(latency: impl Fn(f64) -> f64) -> f64 {
        let delay = HedgeDelay::default();
        let mut rng = Pcg32::seed_from_u64(1);
        let mut hedged = 0;
        let (learning, measured) = (5_000, 50_000);
        for request in 0..learning + measured {
            let latency = Nanos::from_secs_f64(latency(rng.random()));
            match delay.after().filter(|after| latency > *after) {
                Some(_) => {
                    delay.hedged();
                    hedged += i32::from(request >= learning);
                }
                None => delay.answered(latency),
            }
        }
        f64::from(hedged) / f64::from(measured)
    }

    #[test]
    fn about_one_request_in_twenty_is_hedged_whatever_the_distribution() {
        let exponential = hedged_share(|u| -0.02 * (1.0 - u).ln());
        let heavy_tailed = hedged_share(|u| 0.01 * (1.0 - u).powf(-0.7));
        let uniform = hedged_share(|u| 0.01 + 0.01 * u);
        for share in [exponential, heavy_tailed, uniform] {
            assert!((0.04..0.06).contains(&share), "{share}");
        }
    }

    #[test]
    fn nothing_is_hedged_before_enough_is_known() {
        let delay = HedgeDelay::default();
        for known in 0..ENOUGH {
            assert_eq!(delay.after(), None, "{known}");
            delay.answered(Nanos::from_millis(u64::from(known + 1)));
        }
        let largest = Nanos::from_millis(32).as_secs_f64();
        let after = delay.after().unwrap().as_secs_f64();
        assert!((after - largest).abs() < 1e-6, "{after}");
    }

    #[test]
    fn a_lambda_that_becomes_slower_is_not_hedged_for_long() {
        let delay = HedgeDelay::default();
        for _ in 0..100 {
            delay.answered(Nanos::from_millis(10));
        }
        let mut hedged = 0;
        while delay.after().unwrap() < Nanos::from_millis(80) {
            delay.hedged();
            hedged += 1;
        }
        assert!(hedged < 30, "{hedged}");
    }

    #[test]
    fn absurd_latencies_leave_a_delay_that_can_be_waited_for() {
        let delay = HedgeDelay::default();
        for latency in [Nanos::ZERO, Nanos::MAX].into_iter().cycle().take(10_000) {
            delay.answered(latency);
        }
        assert!(delay.after().unwrap() >= SHORTEST);
        assert!(delay.after().unwrap() <= Nanos::from_secs(1_000_000));
    }
}
