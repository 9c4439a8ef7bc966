//! A budget for retries, so that retrying cannot multiply the load of a system in trouble.

use crate::Nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Slots of the sliding window.
const SLOTS: usize = 10;

/// Allows retries in proportion to requests: within the last `window` at most `ratio` times the
/// requests, plus `reserve_per_second` times the window so that the rare request of a quiet broker
/// may be retried too.
///
/// The usual values are 0.2, 10 per second and 10 s, those of tower's and linkerd's budgets. The
/// window moves on in steps of a tenth.
#[derive(Debug)]
pub struct RetryBudget {
    ratio: f64,
    reserve: f64,
    slot_length: u64,
    requests: Window,
    retries: Window,
    /// Between looking at the balance and withdrawing nobody else may.
    withdrawing: Mutex<()>,
}

/// Counts in a ring of slots, each a word: number of the slot since the origin | count.
#[derive(Debug, Default)]
struct Window {
    slots: [AtomicU64; SLOTS],
}

impl RetryBudget {
    /// `ratio` in retries per request and `reserve_per_second`: below 0 and NaN count as 0.
    /// `window` is at least ten nanoseconds.
    #[must_use]
    pub fn new(ratio: f64, reserve_per_second: f64, window: Nanos) -> Self {
        RetryBudget {
            ratio: ratio.max(0.0),
            reserve: reserve_per_second.max(0.0) * window.as_secs_f64(),
            slot_length: (window.0 / SLOTS as u64).max(1),
            requests: Window::default(),
            retries: Window::default(),
            withdrawing: Mutex::new(()),
        }
    }

    /// Notes a request, not a retry of one.
    pub fn deposit(&self, now: Nanos) {
        self.deposit_many(1, now);
    }

    /// Notes so many requests, which came at the same time.
    pub fn deposit_many(&self, requests: u32, now: Nanos) {
        self.requests.add(requests, self.slot(now));
    }

    /// Requests that come before then count as if they came now.
    #[must_use]
    pub fn alike_until(&self, now: Nanos) -> Nanos {
        let next = (now.0 / self.slot_length).saturating_add(1);
        Nanos(next.saturating_mul(self.slot_length))
    }

    /// Whether one more retry is allowed; if so it is taken from the budget.
    pub fn try_withdraw(&self, now: Nanos) -> bool {
        self.withdraw(now).map(Withdrawal::spend).is_some()
    }

    /// Takes one more retry from the budget, if it is allowed, for as long as it takes to see
    /// whether it can be made at all.
    pub fn withdraw(&self, now: Nanos) -> Option<Withdrawal<'_>> {
        let slot = self.slot(now);
        let _turn = self
            .withdrawing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let allowed = self.ratio * self.requests.sum(slot) as f64 + self.reserve;
        let granted = self.retries.sum(slot) as f64 + 1.0 <= allowed;
        granted.then(|| {
            self.retries.add(1, slot);
            Withdrawal { budget: self, slot }
        })
    }

    /// Numbers wrap after 2^32 slots, which is harmless: 136 years of one second.
    fn slot(&self, now: Nanos) -> u32 {
        (now.0 / self.slot_length) as u32
    }
}

/// A retry that was taken from a budget. It is given back when dropped, unless it was made.
#[derive(Debug)]
#[must_use = "dropping it gives the retry back"]
pub struct Withdrawal<'a> {
    budget: &'a RetryBudget,
    slot: u32,
}

impl Withdrawal<'_> {
    /// The retry is made.
    pub fn spend(self) {
        std::mem::forget(self);
    }
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.budget.retries.remove(self.slot);
    }
}

impl Window {
    fn add(&self, more: u32, slot: u32) {
        let word = &self.slots[slot as usize % SLOTS];
        let _ = word.fetch_update(Relaxed, Relaxed, |word| {
            let (number, count) = parts(word);
            // A core that read the clock a moment earlier adds to the slot that replaced its own.
            let count = if newer(slot, number) {
                more
            } else {
                count.saturating_add(more)
            };
            let number = if newer(slot, number) { slot } else { number };
            Some((u64::from(number) << 32) | u64::from(count))
        });
    }

    /// Undoes one [`Window::add`], unless that is forgotten already.
    fn remove(&self, slot: u32) {
        let word = &self.slots[slot as usize % SLOTS];
        let _ = word.fetch_update(Relaxed, Relaxed, |word| {
            let (number, count) = parts(word);
            (number == slot && count > 0).then(|| word - 1)
        });
    }

    fn sum(&self, slot: u32) -> u64 {
        let words = self.slots.iter().map(|word| parts(word.load(Relaxed)));
        let recent = words.filter(|(number, _)| {
            newer(*number, slot) || slot.wrapping_sub(*number) < SLOTS as u32
        });
        recent.map(|(_, count)| u64::from(count)).sum()
    }
}

fn parts(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Whether slot `a` lies after slot `b`, on a circle.
fn newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < u32::MAX / 2
}
