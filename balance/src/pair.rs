//! What is known of one lambda at one destination: its latency and its service time there.

use crate::Nanos;
use crate::average::{ENOUGH_SAMPLES, decay, moved, replace};
use crate::real::{Lanes, Real};
use crate::stamp::{Age, Stamp, pack, unpack};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An estimate is taken at its word up to this age.
const FRESH: Age = Age::from_millis(600);
/// The same in seconds.
const FRESH_SECS: f32 = FRESH.as_secs();
/// Time constant, in seconds, at which older knowledge loses its credit.
const FORGETTING: f32 = 3.0;
/// In the upper half of [`Pair::uses`]: the last answer came after a cold start.
const COLD: u32 = 1 << 31;

/// Three words, read by every pick that considers the pair and written by every answer.
///
/// The k-th sample weighs `max(1/k, w)`. Knowledge is forgotten: after a pause k counts for less,
/// so that a destination that has changed meanwhile is believed after its first answers.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Moving average of the latency in seconds (f32, 0 before the first sample) | stamp of the
    /// last sample.
    latency: AtomicU64,
    /// Number of samples, up to [`ENOUGH_SAMPLES`], and [`COLD`] | stamp of the last pick, at first
    /// of the birth.
    uses: AtomicU64,
    /// Moving average of the service time in seconds (f32, 0 before the first sample) | the inverse
    /// of the moving average of how many requests of the broker were there when one was sent, that
    /// one included (f32, from 0 to 1; 1 before the first sample).
    service: AtomicU64,
}

/// The latency of a pair as a pick reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    /// Moving average in seconds; 0 before the first sample.
    pub(crate) average: f32,
    /// Since the last sample; meaningless before the first one.
    pub(crate) age: Age,
}

impl Latency {
    /// The average; one above the mean of the lambda that is old reverts to it, since nothing else
    /// would ever refresh it. One below is used, and so kept fresh.
    #[inline]
    pub(crate) fn reverted_to(self, mean: f32) -> f32 {
        reverted(self.average, self.age, mean)
    }
}

/// An estimate above the mean loses credit with age.
#[inline]
pub(crate) fn reverted(estimate: f32, age: Age, mean: f32) -> f32 {
    if age <= FRESH {
        estimate
    } else {
        Credit::at(age.as_secs()).revert(estimate, mean)
    }
}

/// The same of several estimates, whose ages are in seconds.
#[inline(always)]
pub(crate) fn each_reverted(estimates: Lanes, ages: Lanes, mean: Lanes) -> Lanes {
    let old = Credit::at(ages).revert(estimates, mean);
    ages.if_above(FRESH_SECS.into(), old, estimates)
}

/// How much of its excess over a mean an estimate keeps at some age, for estimates of the same age.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit<R>(R);

impl<R: Real> Credit<R> {
    /// At an age in seconds.
    #[inline(always)]
    pub(crate) fn at(age: R) -> Self {
        let kept = decay(age * R::from(1.0 / FORGETTING));
        Credit(age.if_above(R::from(FRESH_SECS), kept, R::from(1.0)))
    }

    /// Of many candidates some are old and some are slow, which nobody can foresee: computing what
    /// is not needed costs less than a branch that was mistaken.
    #[inline(always)]
    pub(crate) fn revert(self, estimate: R, mean: R) -> R {
        let reverted = mean + (estimate - mean) * self.0;
        estimate.if_above(mean, reverted, estimate)
    }
}

impl Pair {
    pub(crate) fn new(now: Nanos) -> Self {
        Pair {
            latency: AtomicU64::new(0),
            uses: AtomicU64::new(pack(0, Stamp::at(now).0)),
            service: AtomicU64::new(pack(0, 1.0_f32.to_bits())),
        }
    }

    #[inline]
    pub(crate) fn latency(&self, now: Stamp) -> Latency {
        let (bits, sampled) = unpack(self.latency.load(Relaxed));
        Latency {
            average: f32::from_bits(bits),
            age: Stamp(sampled).age(now),
        }
    }

    /// The average of latencies in seconds as the samples left it; 0 before the first one.
    #[inline]
    pub(crate) fn latency_average(&self) -> f32 {
        f32::from_bits(unpack(self.latency.load(Relaxed)).0)
    }

    /// [`Pair::latency_average`] and the stamp of the last sample in one word.
    #[inline]
    pub(crate) fn latency_and_stamp(&self) -> u64 {
        self.latency.load(Relaxed)
    }

    /// [`Pair::latency_average`] where there is one.
    pub(crate) fn measured(&self) -> Option<f32> {
        let average = self.latency_average();
        (average > 0.0).then_some(average)
    }

    /// The average of service times in seconds; 0 before the first sample.
    #[inline]
    pub(crate) fn service(&self) -> f32 {
        f32::from_bits(unpack(self.service.load(Relaxed)).0)
    }

    /// [`Pair::service`] and one over how many requests of the broker were there on average when one was
    /// sent, that one included, 1 before the first sample; in one word.
    #[inline]
    pub(crate) fn service_and_per_company(&self) -> u64 {
        self.service.load(Relaxed)
    }

    /// Since the last sample or pick.
    #[inline]
    pub(crate) fn untouched(&self, latency: Latency, now: Stamp) -> Age {
        let picked = Stamp(unpack(self.uses.load(Relaxed)).1).age(now);
        if latency.average == 0.0 {
            picked
        } else {
            latency.age.min(picked)
        }
    }

    /// Notes that a request was sent; a store at most once per tick.
    pub(crate) fn picked(&self, now: Stamp) {
        let word = self.uses.load(Relaxed);
        let (samples, picked) = unpack(word);
        if picked != now.0 {
            self.uses.store(pack(samples, now.0), Relaxed);
        }
    }

    /// Notes whether an answer came after a cold start; returns whether the one before did.
    pub(crate) fn now_cold(&self, cold: bool) -> bool {
        let (samples, picked) = unpack(self.uses.load(Relaxed));
        let before = samples & COLD != 0;
        if before != cold {
            self.uses.store(pack(samples ^ COLD, picked), Relaxed);
        }
        before
    }

    /// Takes a latency and, if it is known, the service time within it; a sample weighs at least
    /// `weight`.
    pub(crate) fn record(
        &self,
        latency: f32,
        service: Option<f32>,
        company: f32,
        weight: f32,
        now: Stamp,
    ) {
        let before = self.latency(now);
        let k = self.count(before.age);
        let average = moved(before.average, latency, k, weight);
        self.latency.store(pack(average.to_bits(), now.0), Relaxed);
        replace(&self.service, |word| {
            let (known, inverse) = unpack(word);
            let (known, inverse) = (f32::from_bits(known), f32::from_bits(inverse));
            let service = service.map_or(known, |service| moved(known, service, k, weight));
            let company = moved(1.0 / inverse, company.max(1.0), k, weight);
            pack(service.to_bits(), (1.0 / company).to_bits())
        });
    }

    /// Counts a sample and returns how many there are by now, forgotten ones left out.
    fn count(&self, age: Age) -> u32 {
        let step = |samples: u32| {
            let remembered = if age <= FRESH {
                samples
            } else {
                (samples as f32 * decay(age.as_secs() / FORGETTING)) as u32
            };
            (remembered + 1).min(ENOUGH_SAMPLES)
        };
        let mut counted = 1;
        replace(&self.uses, |word| {
            let (samples, picked) = unpack(word);
            counted = step(samples & !COLD);
            pack(counted | samples & COLD, picked)
        });
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Stamp {
        Stamp::at(Nanos::from_secs_f64(seconds))
    }

    fn close(actual: f32, expected: f32) -> bool {
        (actual - expected).abs() < 1e-3 * expected
    }

    #[test]
    fn the_first_samples_are_averaged_and_later_ones_weigh_little() {
        let pair = Pair::new(Nanos::ZERO);
        assert_eq!((pair.measured(), pair.service()), (None, 0.0));
        for latency in [0.1, 0.3, 0.2] {
            pair.record(latency, Some(latency / 2.0), 1.0, 0.05, at(1.0));
        }
        assert!(close(pair.measured().unwrap(), 0.2) && close(pair.service(), 0.1));
        for _ in 0..1000 {
            pair.record(0.2, None, 1.0, 0.05, at(1.0));
        }
        pair.record(1.2, None, 1.0, 0.05, at(1.0));
        assert!(close(pair.measured().unwrap(), 0.25));
        assert!(close(pair.service(), 0.1), "not said, not changed");
    }

    #[test]
    fn what_is_old_weighs_little_against_what_is_new() {
        let pair = Pair::new(Nanos::ZERO);
        for _ in 0..1000 {
            pair.record(1.0, Some(1.0), 1.0, 0.05, at(1.0));
        }
        pair.record(0.1, Some(0.1), 1.0, 0.05, at(120.0));
        assert!(pair.measured().unwrap() < 0.6, "{:?}", pair.measured());
        pair.record(0.1, Some(0.1), 1.0, 0.05, at(120.1));
        assert!(pair.service() < 0.45, "{}", pair.service());
    }

    #[test]
    fn several_revert_as_each_does() {
        let mean = 0.1;
        let now = Stamp(50_000);
        let sampled = [50_000, 50_000 - FRESH.ticks(), 49_999 - FRESH.ticks(), 3];
        for estimates in [[0.3, 0.3, 0.3, 0.3], [0.01, 7.0, 0.1, 0.01]] {
            let ages = Stamp::ages(sampled.into(), now);
            let together = each_reverted(estimates.into(), ages, mean.into()).to_array();
            let each = std::array::from_fn(|at| {
                reverted(estimates[at], Stamp(sampled[at]).age(now), mean)
            });
            assert_eq!(together, each);
        }
    }

    #[test]
    fn an_old_average_above_the_mean_reverts_to_it_on_reading() {
        let pair = Pair::new(Nanos::ZERO);
        pair.record(1.0, None, 1.0, 0.05, at(1.0));
        let mean = 0.1;
        let read = |seconds| pair.latency(at(seconds)).reverted_to(mean);
        assert_eq!(read(1.5), 1.0, "still fresh");
        assert!(close(read(4.0), mean + 0.9 * decay(1.0)) || (read(4.0) - 0.46).abs() < 0.01);
        assert!(read(300.0) < 0.11);
        assert_eq!(
            pair.latency(at(300.0)).reverted_to(2.0),
            1.0,
            "below the mean"
        );
        assert_eq!(pair.measured(), Some(1.0), "nothing was stored");
    }
}
