//! What is known about response times: an estimate per lambda and destination, a mean per lambda.

use crate::Nanos;
use crate::stamp::{Age, Stamp, pack, unpack};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Weight of a new sample in the estimate of a pair, once there are enough of them.
const PAIR_WEIGHT: f32 = 0.05;
/// Weight of a new sample in the mean of the lambda.
const LAMBDA_WEIGHT: f32 = 0.02;
/// An estimate is taken at its word up to this age.
const FRESH: Age = Age::from_millis(600);
/// Time constant, in seconds, at which an older and unfavourable one reverts to the mean.
const REVERSION: f32 = 3.0;
/// What a destination without sample is expected to take, relative to the mean: worth a try.
const OPTIMISM: f32 = 0.7;
/// A route that was neither sampled nor picked for so long is due for exploration.
pub(crate) const UNTOUCHED: Age = Age::from_millis(5_000);
/// At most one in so many picks is an exploration ...
const PICKS_PER_EXPLORATION: u32 = 128;
/// ... unless the last one is this long ago.
const EXPLORATION_PAUSE: Age = Age::from_millis(30_000);

/// Samples are at least a nanosecond, so that zero can mean "none yet".
const SHORTEST: f32 = 1e-9;
/// Beyond this many samples their exact number matters to no average.
const ENOUGH_SAMPLES: u32 = 64;

/// A latency in seconds as averages take it.
pub(crate) fn sample(latency: Nanos) -> f32 {
    (latency.as_secs_f64() as f32).max(SHORTEST)
}

/// Moves an average, 0 if there is none yet, towards the `k`-th sample.
fn moved(average: f32, sample: f32, k: u32, smallest_weight: f32) -> f32 {
    if average == 0.0 {
        return sample;
    }
    let weight = smallest_weight.max(1.0 / k.max(1) as f32);
    (average + weight * (sample - average)).max(SHORTEST)
}

/// Latency of one lambda at one destination: two words, read by every pick that considers the pair.
#[derive(Debug)]
pub(crate) struct PairLatency {
    /// Estimate in seconds (f32, 0 before the first sample) | stamp of the last sample.
    estimate: AtomicU64,
    /// Number of samples, up to [`ENOUGH_SAMPLES`] | stamp of the last pick, at first of the birth.
    uses: AtomicU64,
}

/// What a pick reads of a pair.
pub(crate) struct PairView {
    /// Seconds; none before the first sample.
    pub(crate) expected: Option<f32>,
    /// Since the last sample or pick.
    pub(crate) untouched: Age,
}

impl PairLatency {
    pub(crate) fn new(now: Nanos) -> Self {
        PairLatency {
            estimate: AtomicU64::new(0),
            uses: AtomicU64::new(pack(0, Stamp::at(now).0)),
        }
    }

    /// The estimate in seconds as the samples left it.
    pub(crate) fn estimate(&self) -> Option<f32> {
        let estimate = f32::from_bits(unpack(self.estimate.load(Relaxed)).0);
        (estimate > 0.0).then_some(estimate)
    }

    /// The latency to expect now, given the lambda's mean, and how long the pair lies idle.
    pub(crate) fn view(&self, mean: Option<f32>, now: Stamp) -> PairView {
        let (bits, sampled) = unpack(self.estimate.load(Relaxed));
        let picked = Stamp(unpack(self.uses.load(Relaxed)).1).age(now);
        let estimate = f32::from_bits(bits);
        if estimate == 0.0 {
            return PairView {
                expected: mean.map(|mean| OPTIMISM * mean),
                untouched: picked,
            };
        }
        let age = Stamp(sampled).age(now);
        PairView {
            expected: Some(reverted(estimate, age, mean.unwrap_or(estimate))),
            untouched: age.min(picked),
        }
    }

    /// Notes that a request was sent; a store at most once per tick.
    pub(crate) fn picked(&self, now: Stamp) {
        let word = self.uses.load(Relaxed);
        let (samples, picked) = unpack(word);
        if picked != now.0 {
            // If another core came first, its stamp is as good.
            let _ = self
                .uses
                .compare_exchange(word, pack(samples, now.0), Relaxed, Relaxed);
        }
    }

    /// Takes a sample. What it moves is the estimate as a pick would have read it: one that has
    /// reverted to the mean does not come back to life, so that a destination that has become good
    /// is believed after a few explorations instead of some fifty.
    fn record(&self, sample: f32, mean: Option<f32>, now: Stamp) {
        let k = self.count();
        let moved = |word| {
            let (bits, sampled) = unpack(word);
            let estimate = f32::from_bits(bits);
            let age = Stamp(sampled).age(now);
            let believed = reverted(estimate, age, mean.unwrap_or(estimate));
            Some(pack(
                moved(believed, sample, k, PAIR_WEIGHT).to_bits(),
                now.0,
            ))
        };
        let _ = self.estimate.fetch_update(Relaxed, Relaxed, moved);
    }

    /// Counts a sample and returns its number.
    fn count(&self) -> u32 {
        let (samples, _) = unpack(self.uses.load(Relaxed));
        if samples >= ENOUGH_SAMPLES {
            return samples;
        }
        unpack(self.uses.fetch_add(pack(1, 0), Relaxed)).0 + 1
    }
}

/// An estimate above the mean loses credit with age; one below keeps it, since using it refreshes it.
fn reverted(estimate: f32, age: Age, mean: f32) -> f32 {
    if estimate <= mean || age <= FRESH {
        estimate
    } else {
        mean + (estimate - mean) * (-age.as_secs() / REVERSION).exp()
    }
}

/// What the destinations of one lambda have in common.
#[derive(Debug)]
pub(crate) struct LambdaLatency {
    /// Mean over all destinations in seconds (f32, 0 before the first sample) | number of samples.
    mean: AtomicU64,
    /// Stamp of the last exploration, at first of the birth | picks that could have been one since.
    exploration: AtomicU64,
}

impl LambdaLatency {
    pub(crate) fn new(now: Nanos) -> Self {
        LambdaLatency {
            mean: AtomicU64::new(0),
            exploration: AtomicU64::new(pack(Stamp::at(now).0, 0)),
        }
    }

    /// Seconds; none before the first sample.
    pub(crate) fn mean(&self) -> Option<f32> {
        let mean = f32::from_bits(unpack(self.mean.load(Relaxed)).0);
        (mean > 0.0).then_some(mean)
    }

    /// Takes a sample of one of the lambda's pairs.
    pub(crate) fn record(&self, pair: &PairLatency, latency: Nanos, now: Nanos) {
        let sample = sample(latency);
        pair.record(sample, self.mean(), Stamp::at(now));
        let _ = self.mean.fetch_update(Relaxed, Relaxed, |word| {
            let (bits, samples) = unpack(word);
            let k = (samples + 1).min(ENOUGH_SAMPLES);
            Some(pack(
                moved(f32::from_bits(bits), sample, k, LAMBDA_WEIGHT).to_bits(),
                k,
            ))
        });
    }

    /// Whether this pick, which found a route due for exploration, may be the one to explore it.
    pub(crate) fn may_explore(&self, now: Stamp) -> bool {
        let word = self.exploration.load(Relaxed);
        let (last, passed_over) = unpack(word);
        if passed_over + 1 < PICKS_PER_EXPLORATION && Stamp(last).age(now) < EXPLORATION_PAUSE {
            self.exploration.fetch_add(pack(0, 1), Relaxed);
            return false;
        }
        // Of several cores that get here together, one explores.
        self.exploration
            .compare_exchange(word, pack(now.0, 0), Relaxed, Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Nanos {
        Nanos::from_secs_f64(seconds)
    }

    fn expected(pair: &PairLatency, lambda: &LambdaLatency, seconds: f64) -> f32 {
        pair.view(lambda.mean(), Stamp::at(at(seconds)))
            .expected
            .unwrap()
    }

    #[test]
    fn the_first_samples_are_averaged_and_later_ones_weigh_a_twentieth() {
        let (lambda, pair) = (LambdaLatency::new(at(0.0)), PairLatency::new(at(0.0)));
        assert_eq!(pair.estimate(), None);
        for latency in [0.1, 0.3, 0.2] {
            lambda.record(&pair, at(latency), at(0.0));
        }
        assert!((pair.estimate().unwrap() - 0.2).abs() < 1e-6);
        for _ in 0..1000 {
            lambda.record(&pair, at(0.2), at(0.0));
        }
        lambda.record(&pair, at(1.2), at(0.0));
        assert!((pair.estimate().unwrap() - 0.25).abs() < 1e-4);
        assert!((lambda.mean().unwrap() - 0.22).abs() < 1e-4);
    }

    #[test]
    fn a_stale_estimate_above_the_mean_reverts_to_it_on_reading() {
        let lambda = LambdaLatency::new(at(0.0));
        let (good, bad) = (PairLatency::new(at(0.0)), PairLatency::new(at(0.0)));
        lambda.record(&bad, at(1.0), at(0.0));
        for _ in 0..500 {
            lambda.record(&good, at(0.01), at(0.0));
        }
        let mean = lambda.mean().unwrap();
        assert_eq!(expected(&bad, &lambda, 0.5), 1.0, "still fresh");
        let after_3_s = mean + (1.0 - mean) * (-1.0_f32).exp();
        assert!((expected(&bad, &lambda, 3.0) - after_3_s).abs() < 0.01);
        assert!((expected(&bad, &lambda, 60.0) - mean).abs() < 1e-4);
        assert_eq!(
            expected(&good, &lambda, 60.0),
            good.estimate().unwrap(),
            "below the mean"
        );
        assert_eq!(bad.estimate(), Some(1.0), "nothing was stored");
    }

    #[test]
    fn an_unknown_destination_is_a_bit_better_than_the_mean() {
        let lambda = LambdaLatency::new(at(0.0));
        let (known, unknown) = (PairLatency::new(at(0.0)), PairLatency::new(at(0.0)));
        assert!(
            unknown
                .view(lambda.mean(), Stamp::at(at(1.0)))
                .expected
                .is_none()
        );
        lambda.record(&known, at(0.1), at(0.0));
        assert!((expected(&unknown, &lambda, 1.0) - 0.07).abs() < 1e-6);
    }

    #[test]
    fn a_latency_of_zero_is_a_sample_too() {
        let (lambda, pair) = (LambdaLatency::new(at(0.0)), PairLatency::new(at(0.0)));
        lambda.record(&pair, Nanos::ZERO, at(0.0));
        assert!(pair.estimate().is_some() && lambda.mean().is_some());
    }

    #[test]
    fn exploration_is_rationed_by_picks_and_by_time() {
        let lambda = LambdaLatency::new(at(0.0));
        let explored = |seconds: f64| lambda.may_explore(Stamp::at(at(seconds)));
        let busy: Vec<_> = (0..512).filter(|_| explored(10.0)).collect();
        assert_eq!(busy.len(), 4);
        assert!(!explored(39.0));
        assert!(explored(40.1), "30 s since the last one");
        assert!(!explored(40.2));
    }
}
