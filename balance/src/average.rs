//! A moving average of seconds in one atomic word, and the arithmetic that all averages share.

use crate::Nanos;
use crate::real::Real;
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

/// The share of one of so many samples. Looked up: a division for each average of each answer would
/// take longer.
const SHARES: [f32; ENOUGH_SAMPLES as usize + 1] = {
    let mut shares = [1.0; ENOUGH_SAMPLES as usize + 1];
    let mut k = 1;
    while k < shares.len() {
        shares[k] = 1.0 / k as f32;
        k += 1;
    }
    shares
};

/// Moves an average, 0 if there is none yet, towards the `k`-th sample, which weighs
/// `max(1/k, smallest_weight)`; the latter is not below one in [`ENOUGH_SAMPLES`].
pub(crate) fn moved(average: f32, sample: f32, k: u32, smallest_weight: f32) -> f32 {
    if average == 0.0 {
        return sample;
    }
    let weight = smallest_weight.max(SHARES[k.min(ENOUGH_SAMPLES) as usize]);
    (average + weight * (sample - average)).max(SHORTEST)
}

/// Replaces a word by what `next` makes of it. Not in one step: of two cores that do it at the same
/// moment the later one wins, and a sample is lost. An average does not mind, and everybody is
/// spared a locked instruction for each word of each answer.
#[inline]
pub(crate) fn replace(word: &AtomicU64, next: impl FnOnce(u64) -> u64) {
    word.store(next(word.load(Relaxed)), Relaxed);
}

/// `e^-z` to the second order: what decays by it falls like `2 / z^2` in the end.
#[inline]
pub(crate) fn decay<R: Real>(z: R) -> R {
    let one = R::from(1.0);
    one / (one + z + R::from(0.5) * z * z)
}

/// [`decay`] of `age / span`, with a single division.
#[inline]
pub(crate) fn decay_over<R: Real>(age: R, span: R) -> R {
    let squared = span * span;
    squared / (squared + span * age + R::from(0.5) * age * age)
}

/// Takes a sample into an average in seconds, 0 before the first one, of so many samples; how many
/// are counted ends at [`ENOUGH_SAMPLES`].
pub(crate) fn taken(average: f32, samples: u32, sample: f32, smallest_weight: f32) -> (f32, u32) {
    let k = (samples + 1).min(ENOUGH_SAMPLES);
    (moved(average, sample, k, smallest_weight), k)
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
        replace(&self.0, |word| {
            let (bits, samples) = unpack(word);
            let (average, samples) = taken(f32::from_bits(bits), samples, sample, smallest_weight);
            pack(average.to_bits(), samples)
        });
    }
}
