//! An adaptive limit of the requests in flight at one destination.

use crate::Nanos;
use crate::stamp::{pack, unpack};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Of the difference between the limit and what the gradient asks for, the part that is made up
/// within one limit-full of answers; Gradient2's `smoothing` is 0.2.
const RATE: f32 = 0.25;
/// A smaller limit moves more slowly in proportion, for what it has seen is little.
const UNHURRIED: f32 = 16.0;
/// Answers over which the slowdown is averaged, or a limit-full if that is more. Four times [`RATE`]
/// times the averaged limit-fulls at most 1 keeps the loop from oscillating.
const SHORTEST_MEMORY: f32 = 64.0;
/// An answer weighs at most so many average ones, however long it was expected to take.
const HEAVIEST: f32 = 32.0;
/// No single answer counts for a worse slowdown: a latency of an hour is one bad answer.
const WORST: f32 = 10.0;
/// Bounds of the gradient; Gradient2 has 0.5 and 1. That ours goes beyond 1 makes growth as quick as
/// shrinking while there is no queue at all.
const STEEPEST: (f32, f32) = (0.25, 2.0);
/// Share of the limit that has to be in flight for it to grow, as in Gradient2.
const USED: f32 = 0.5;
/// What is left of the limit after an overload. CUBIC has 0.7 (RFC 9438, section 4.6); a destination
/// that refuses soon has workers idle after such a cut.
const AFTER_OVERLOAD: f32 = 0.8;
/// What is left of it after a loss, which says less; Netflix's AIMD limit has the same 0.9.
const AFTER_LOSS: f32 = 0.9;
/// Once the limit is this many times what was too much, that is history.
const OUTGROWN: f32 = 1.5;
/// Bounds of the span within which overloads count once.
const EPISODE: (Nanos, Nanos) = (Nanos::from_micros(100), Nanos::from_secs(1));

/// What an [`AdaptiveLimit`] stays within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitConfig {
    /// Never fewer requests in flight, at least 1. Every broker in front of a destination may have
    /// that many there, whatever else happens.
    pub min: u32,
    /// Never more, at least `min` and at most 2^20.
    pub max: u32,
    /// Until answers have come, within `min` and `max`.
    pub start: u32,
    /// Latency in multiples of the unloaded one that is put up with, from 1.1 to 10. With less than 2,
    /// service times that vary much leave workers idle now and then where the network takes longer
    /// than the service: it takes a line to bridge a run of short ones.
    pub tolerance: f32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        LimitConfig {
            min: 2,
            max: 1024,
            start: 32,
            tolerance: 2.0,
        }
    }
}

impl LimitConfig {
    /// With what lies out of range moved to the nearest value within.
    fn within_range(self) -> Self {
        let min = self.min.clamp(1, 1 << 20);
        let max = self.max.clamp(min, 1 << 20);
        LimitConfig {
            min,
            max,
            start: self.start.clamp(min, max),
            tolerance: if self.tolerance.is_nan() {
                LimitConfig::default().tolerance
            } else {
                self.tolerance.clamp(1.1, 10.0)
            },
        }
    }
}

/// How many requests of this broker may be in flight at one destination, learnt from how long
/// answers take compared with what they would have taken there alone.
///
/// The slowdown is latency over expected latency, averaged over about a limit-full of answers (at
/// least 64), each of which weighs what it was expected to take: then it is, by Little's law, the
/// requests in flight over those that would be without any wait. Each answer moves the limit towards `limit * tolerance / slowdown + sqrt(limit)` by a
/// quarter of a limit-full's share. With no queue the limit grows by a factor, as in TCP's slow
/// start; at the tolerance only by the root, whose effect is that brokers which share a destination
/// come to share it equally: the slowdown is the same for all of them, and only one limit is
/// at rest with it. In equilibrium the slowdown is `tolerance / (1 - 1 / sqrt(limit))`.
///
/// The form is that of [Gradient2] of Netflix's concurrency-limits (`limit * gradient + queue`, a
/// queue of the root of the limit, tolerance of 1.5), but the unloaded latency is not guessed from the
/// past: the balancer knows it per lambda, so that neither a mixture of lambdas nor a long
/// congestion passes for normal. That comparison is TCP Vegas' (Brakmo and Peterson 1995).
///
/// An overload cuts the limit to 0.8 at once, a loss to 0.9; what follows within one latency of it is
/// the same event and counts once. After an overload the limit only grows by the root, until it is
/// half as large again as what was too much.
///
/// The limit does not grow while less than half of it is used. All of it fits a cache line; a pick
/// reads one word; nothing ever waits.
///
/// [Gradient2]: https://github.com/Netflix/concurrency-limits
#[derive(Debug)]
pub struct AdaptiveLimit {
    /// What picks read.
    limit: AtomicU32,
    floor: AtomicU32,
    /// The limit with its fraction (f32) | averaged slowdown (f32).
    state: AtomicU64,
    /// Averaged expected latency in seconds (f32).
    expected: AtomicU32,
    /// The limit that was too much (f32); infinite if none was.
    too_much: AtomicU32,
    /// Until then overloads belong to the last one, in [`Nanos`].
    episode_ends: AtomicU64,
    max: f32,
    tolerance: f32,
}

impl AdaptiveLimit {
    /// At its start, as if every answer so far had come unloaded. What is out of range in `config`
    /// counts as the nearest value in range.
    #[must_use]
    pub fn new(config: LimitConfig) -> Self {
        let config = config.within_range();
        AdaptiveLimit {
            limit: AtomicU32::new(config.start),
            floor: AtomicU32::new(config.min),
            state: AtomicU64::new(both(config.start as f32, 1.0)),
            expected: AtomicU32::new(0),
            too_much: AtomicU32::new(f32::INFINITY.to_bits()),
            episode_ends: AtomicU64::new(0),
            max: config.max as f32,
            tolerance: config.tolerance,
        }
    }

    /// Requests that may be in flight, at least 1.
    #[inline]
    #[must_use]
    pub fn current(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Averaged latency in multiples of the expected one: 1 without a queue.
    #[must_use]
    pub fn slowdown(&self) -> f32 {
        halves(self.state.load(Relaxed)).1
    }

    /// Raises the lower bound, and the limit with it, to what keeps so many workers busy:
    /// `workers` and the root of that. A broker that shares the destination should give its share of
    /// the workers, since each keeps up that much. The bound never falls.
    pub fn floor(&self, workers: u32) {
        let needed = workers as f32 + (workers as f32).sqrt().ceil();
        let floor = needed.min(self.max) as u32;
        if self.floor.fetch_max(floor, Relaxed) < floor {
            self.adjust(|limit, slowdown| (limit, slowdown));
        }
    }

    /// Takes an OK answer after `latency`, where `expected` is network and service time without any
    /// wait; `in_flight` requests of this broker were there, this one included. With no `expected`
    /// (zero) there is nothing to learn.
    pub fn answered(&self, in_flight: u32, latency: Nanos, expected: Nanos, now: Nanos) {
        if expected == Nanos::ZERO {
            return;
        }
        let (taken, alone) = (latency.as_secs_f64() as f32, expected.as_secs_f64() as f32);
        let sample = (taken / alone).min(WORST);
        let size = self.relative_size(alone);
        let too_much = f32::from_bits(self.too_much.load(Relaxed));
        let recovering = now.0 < self.episode_ends.load(Relaxed);
        let grown = self.adjust(|limit, slowdown| {
            let slowdown = slowdown + size / limit.max(SHORTEST_MEMORY) * (sample - slowdown);
            let gradient = (self.tolerance / slowdown).clamp(STEEPEST.0, STEEPEST.1);
            let root = 1.0 / limit.sqrt();
            let mut step = gradient - 1.0 + root;
            if step > 0.0 {
                let used = in_flight as f32 >= USED * limit;
                if recovering || !used {
                    step = 0.0;
                } else if limit >= AFTER_OVERLOAD * too_much {
                    step = step.min(root);
                }
            }
            let rate = RATE * (limit / UNHURRIED).min(1.0);
            (limit + rate * step, slowdown)
        });
        if grown > OUTGROWN * too_much {
            self.too_much.store(f32::INFINITY.to_bits(), Relaxed);
        }
    }

    /// Takes an explicit OVERLOADED answer or a push-back.
    pub fn overloaded(&self, now: Nanos) {
        if self.begins_episode(now) {
            let (limit, _) = halves(self.state.load(Relaxed));
            self.too_much.store(limit.to_bits(), Relaxed);
            self.adjust(|limit, slowdown| (AFTER_OVERLOAD * limit, slowdown));
        }
    }

    /// Takes a failure: no answer, or none that says why.
    pub fn lost(&self, now: Nanos) {
        if self.begins_episode(now) {
            self.adjust(|limit, slowdown| (AFTER_LOSS * limit, slowdown));
        }
    }

    /// Takes an expected latency; returns it in multiples of the average.
    fn relative_size(&self, expected: f32) -> f32 {
        let before = f32::from_bits(self.expected.load(Relaxed));
        if before == 0.0 {
            self.expected.store(expected.to_bits(), Relaxed);
            return 1.0;
        }
        let size = (expected / before).min(HEAVIEST);
        let after = before * (1.0 + (size - 1.0) / SHORTEST_MEMORY);
        self.expected.store(after.to_bits(), Relaxed);
        size
    }

    /// Whether this is not part of what has been reacted to: that takes a latency to show.
    fn begins_episode(&self, now: Nanos) -> bool {
        let ends = self.episode_ends.load(Relaxed);
        let latency = f32::from_bits(self.expected.load(Relaxed)) * self.slowdown();
        let span = Nanos::from_secs_f64(latency.into()).clamp(EPISODE.0, EPISODE.1);
        let next = (now + span).0;
        // Of several cores that see the end of an episode one begins the next.
        let exchange = |_| {
            self.episode_ends
                .compare_exchange(ends, next, Relaxed, Relaxed)
                .is_ok()
        };
        (now.0 >= ends).then_some(()).is_some_and(exchange)
    }

    /// Replaces limit and slowdown by what `next` makes of them, within the bounds; returns the new
    /// limit.
    fn adjust(&self, next: impl Fn(f32, f32) -> (f32, f32)) -> f32 {
        let floor = self.floor.load(Relaxed) as f32;
        let mut limit = floor;
        let _ = self.state.fetch_update(Relaxed, Relaxed, |word| {
            let (before, slowdown) = halves(word);
            let (after, slowdown) = next(before, slowdown);
            limit = after.clamp(floor, self.max);
            Some(both(limit, slowdown))
        });
        // Another core may have stored a newer one meanwhile: the next answer puts that right.
        if self.limit.load(Relaxed) != limit as u32 {
            self.limit.store(limit as u32, Relaxed);
        }
        limit
    }
}

fn both(limit: f32, slowdown: f32) -> u64 {
    pack(limit.to_bits(), slowdown.to_bits())
}

fn halves(word: u64) -> (f32, f32) {
    let (limit, slowdown) = unpack(word);
    (f32::from_bits(limit), f32::from_bits(slowdown))
}
