//! A moving average of seconds in one atomic word, and the arithmetic that all averages share.

use crate::Nanos;
use crate::stamp::{pack, unpack};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Samples are at least a nanosecond, so that zero can mean "none yet".
pub(crate) const SHORTEST: f32 = 1e-9;
/// Beyond this many samples their exact number matters to no average.
pub(crate) const ENOUGH_SAMPLES: u32 = 128;

/// A span in seconds as averages take it.
pub(crate) fn sample(span: Nanos) -> f32 {
    (span.as_secs_f64() as f32).max(SHORTEST)
}

/// Moves an average, 0 if there is none yet, towards the `k`-th sample, which weighs
/// `max(1/k, smallest_weight)`.
pub(crate) fn moved(average: f32, sample: f32, k: u32, smallest_weight: f32) -> f32 {
    if average == 0.0 {
        return sample;
    }
    let weight = smallest_weight.max(1.0 / k.max(1) as f32);
    (average + weight * (sample - average)).max(SHORTEST)
}

/// `e^-z` to the second order: what decays by it falls like `2 / z^2` in the end.
#[inline]
pub(crate) fn decay(z: f32) -> f32 {
    1.0 / (1.0 + z + 0.5 * z * z)
}

/// [`decay`] of `age / span`, with a single division.
#[inline]
pub(crate) fn decay_over(age: f32, span: f32) -> f32 {
    let squared = span * span;
    squared / (squared + span * age + 0.5 * age * age)
}

/// Seconds (f32, 0 before the first sample) | number of samples, up to [`ENOUGH_SAMPLES`].
#[derive(Debug, Default)]
pub(crate) struct Average(AtomicU64);

impl Average {
    /// Seconds, 0 before the first sample.
    #[inline]
    pub(crate) fn seconds(&self) -> f32 {
        f32::from_bits(unpack(self.0.load(Relaxed)).0)
    }

    /// Takes a sample, in seconds.
    pub(crate) fn record(&self, sample: f32, smallest_weight: f32) {
        self.record_over(sample, smallest_weight, |average| average);
    }

    /// Takes a sample that moves what `believed` makes of the average.
    pub(crate) fn record_over(
        &self,
        sample: f32,
        smallest_weight: f32,
        believed: impl Fn(f32) -> f32,
    ) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (bits, samples) = unpack(word);
            let k = (samples + 1).min(ENOUGH_SAMPLES);
            let average = believed(f32::from_bits(bits));
            Some(pack(
                moved(average, sample, k, smallest_weight).to_bits(),
                k,
            ))
        });
    }
}
