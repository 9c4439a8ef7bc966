//! One line of a table: a lambda's way to one destination, with all that is learnt about the pair.

use crate::average::replace;
use crate::health::Obstacle;
use crate::pair::Pair;
use crate::stamp::{Age, Stamp, pack, unpack};
use crate::terms::Terms;
use crate::{Destination, Nanos, Owner, Standing};
use once_cell::race::OnceBox;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How long the optimizer's moving average of a pair is remembered without samples.
const SMOOTHED_FOR: Age = Age::from_millis(5_000);

/// A route and the count of those who hold it, which has no need of weak ones: together they fill
/// a cache line, and there may be a million of them.
pub(crate) type SharedRoute = triomphe::Arc<Route>;

/// A destination of one lambda. It is replaced when the pair is removed and added again, so what
/// was learnt ends with it.
#[derive(Debug)]
pub(crate) struct Route {
    destination: Arc<Destination>,
    pair: Pair,
    /// f32, finite and positive.
    weight: AtomicU32,
    terms: Terms,
    /// A word that belongs to the policy.
    scratch: AtomicU64,
    rare: OnceBox<Rare>,
}

/// What only some policies and optimizers need.
#[derive(Debug, Default)]
struct Rare {
    /// Another word that belongs to the policy.
    scratch: AtomicU64,
    /// Moving average of the optimizer (f32 seconds, 0 for none) | stamp of its last sample.
    smoothed: AtomicU64,
}

impl Route {
    pub(crate) fn new(
        destination: Arc<Destination>,
        weight: f32,
        is_final: bool,
        now: Nanos,
    ) -> Self {
        Route {
            destination,
            pair: Pair::new(now),
            weight: AtomicU32::new(weight.to_bits()),
            terms: Terms::new(is_final),
            scratch: AtomicU64::new(0),
            rare: OnceBox::new(),
        }
    }

    #[inline]
    pub(crate) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// What the destination has said about the lambda.
    #[inline]
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether the lambda may be sent there like anywhere else: neither the destination is set aside
    /// nor the lambda there.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.destination.health().is_healthy() && !self.terms.is_closed()
    }

    /// What keeps a request from it, if anything does.
    pub(crate) fn obstacle(&self) -> Option<Obstacle> {
        let closed = || self.terms.is_closed().then_some(Obstacle::Busy);
        self.destination.health().obstacle().or_else(closed)
    }

    /// Where there is an obstacle, whether a request would be sent all the same, to find out.
    pub(crate) fn is_trial_due(&self, now: Nanos) -> bool {
        let health = self.destination.health();
        (health.is_healthy() || health.is_trial_due(now))
            && (!self.terms.is_closed() || self.terms.is_trial_due(now))
    }

    /// The state of the destination, as far as it concerns the lambda.
    pub(crate) fn standing(&self, now: Nanos) -> Standing {
        let standing = self.destination.health().standing();
        match self.terms.closed_until(now) {
            Some(until) if standing.is_well() => Standing::PushedBack { until },
            _ => standing,
        }
    }

    #[inline]
    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Memory for the policy to use as it likes, zero at first.
    #[inline]
    pub(crate) fn scratch(&self) -> &AtomicU64 {
        &self.scratch
    }

    /// More of it, for a policy that cannot do with one word; further away.
    pub(crate) fn second_scratch(&self) -> &AtomicU64 {
        &self.rare().scratch
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// The weight that was announced, or that an optimizer set.
    #[inline]
    pub(crate) fn weight(&self) -> f32 {
        f32::from_bits(self.weight.load(Relaxed))
    }

    pub(crate) fn set_weight(&self, weight: f32) {
        self.weight.store(weight.to_bits(), Relaxed);
    }

    /// Multiplies the weight, which stays finite and positive.
    pub(crate) fn scale_weight(&self, factor: f32) {
        let _ = self.weight.fetch_update(Relaxed, Relaxed, |bits| {
            let scaled = f32::from_bits(bits) * factor;
            Some(scaled.clamp(f32::MIN_POSITIVE, f32::MAX).to_bits())
        });
    }

    /// The weight that tables show: what was measured, where the policy measures.
    pub(crate) fn shown_weight(&self) -> f32 {
        self.pair.measured().unwrap_or_else(|| self.weight())
    }

    /// Seconds that a request is expected to take, as measured or as the destination's reports have
    /// it; infinite where nothing is known.
    pub(crate) fn expected(&self) -> f32 {
        let load = self.destination.load();
        let reported = load.network() + load.service();
        self.pair.measured().unwrap_or(if reported > 0.0 {
            reported
        } else {
            f32::INFINITY
        })
    }

    pub(crate) fn is_final(&self) -> bool {
        self.terms.is_final()
    }

    pub(crate) fn set_final(&self, is_final: bool) {
        self.terms.set_final(is_final);
    }

    pub(crate) fn owner(&self) -> Owner {
        self.terms.owner()
    }

    pub(crate) fn set_owner(&self, owner: Owner) {
        self.terms.set_owner(owner);
    }

    /// Moves the optimizer's average, in which the old value weighs `alpha`, and returns it; it
    /// starts over after 5 s without samples.
    pub(crate) fn smooth(&self, seconds: f32, alpha: f64, now: Nanos) -> f32 {
        let now = Stamp::at(now);
        let mut smoothed = seconds;
        replace(&self.rare().smoothed, |word| {
            let (bits, sampled) = unpack(word);
            let old = f32::from_bits(bits);
            if old != 0.0 && Stamp(sampled).age(now) <= SMOOTHED_FOR {
                smoothed = (alpha * f64::from(old) + (1.0 - alpha) * f64::from(seconds)) as f32;
            }
            pack(smoothed.to_bits(), now.0)
        });
        smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_and_its_count_fill_a_cache_line() {
        assert_eq!(size_of::<Route>() + size_of::<usize>(), 64);
    }
}
