//! The share of a destination's requests that failed, over a short and over a longer time.

use crate::average::replace;
use crate::stamp::{pack, unpack};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Weight of a request in the ratio of late.
const LATE_WEIGHT: f32 = 1.0 / 16.0;
/// Weight of a request in the ratio over a longer time.
const LONG_WEIGHT: f32 = 1.0 / 128.0;
/// What is smaller counts as nothing, so that healthy destinations cost no store.
const NOTHING: f32 = 1e-4;
/// The ratio of late that a failure leaves behind if there were fewer than twenty requests since the
/// one before: `w + w (1 - w)^20`.
const RELAPSING: f32 = 0.08;

/// Two moving averages (f32) of 1 for a failure and 0 for a success.
#[derive(Debug, Default)]
pub(super) struct FailureRatio(AtomicU64);

impl FailureRatio {
    pub(super) fn succeeded(&self) {
        // Nearly always there is nothing to forget.
        if self.0.load(Relaxed) != 0 {
            self.moved_towards(0.0);
        }
    }

    pub(super) fn failed(&self) {
        self.moved_towards(1.0);
    }

    fn moved_towards(&self, outcome: f32) {
        replace(&self.0, |word| {
            let (late, long) = ratios(word);
            let late = late + LATE_WEIGHT * (outcome - late);
            let long = long + LONG_WEIGHT * (outcome - long);
            if late.max(long) < NOTHING {
                return 0;
            }
            pack(late.to_bits(), long.to_bits())
        });
    }

    /// Of late, and over a longer time.
    pub(super) fn ratios(&self) -> (f32, f32) {
        ratios(self.0.load(Relaxed))
    }

    /// Whether the failure that was just counted followed another one closely.
    pub(super) fn is_relapsing(&self) -> bool {
        self.ratios().0 > RELAPSING
    }
}

fn ratios(word: u64) -> (f32, f32) {
    let (late, long) = unpack(word);
    (f32::from_bits(late), f32::from_bits(long))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_follow_what_happens_and_forget_it() {
        let record = FailureRatio::default();
        for _ in 0..1000 {
            for _ in 0..9 {
                record.succeeded();
            }
            record.failed();
        }
        let (late, long) = record.ratios();
        assert!((0.05..0.2).contains(&late) && (0.08..0.12).contains(&long));
        assert!(record.is_relapsing());
        for _ in 0..2000 {
            record.succeeded();
        }
        assert_eq!(record.ratios(), (0.0, 0.0));
    }
}
