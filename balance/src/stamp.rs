//! Coarse time in 32 bits, small enough to share an atomic word with the value that it dates.

use crate::Nanos;
use crate::real::Lanes;
use bytemuck::cast;
use wide::{i32x4, u32x4};

/// One tick is 2^18 ns.
const TICK_SHIFT: u32 = 18;
/// The same in seconds.
const TICK_SECS: f32 = (1_u64 << TICK_SHIFT) as f32 * 1e-9;

/// A moment to about 0.26 ms. It wraps after 13 days, and all arithmetic is modulo that: an age is
/// right up to half of it. What is older merely looks younger than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) u32);

/// A span in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(u32);

impl Stamp {
    pub(crate) const fn at(now: Nanos) -> Self {
        // Dropping the high bits is the wrap-around.
        Stamp((now.0 >> TICK_SHIFT) as u32)
    }

    /// How old `self` is at `now`; zero if it lies ahead, since cores read the clock a moment apart.
    pub(crate) const fn age(self, now: Stamp) -> Age {
        let ticks = now.0.wrapping_sub(self.0).cast_signed();
        Age(if ticks < 0 { 0 } else { ticks.cast_unsigned() })
    }

    /// The ages in seconds of several stamps at `now`, each as [`Stamp::age`] and
    /// [`Age::as_secs`] have it.
    #[inline(always)]
    pub(crate) fn ages(stamps: u32x4, now: Stamp) -> Lanes {
        let ticks: i32x4 = cast(u32x4::splat(now.0) - stamps);
        ticks.round_float().fast_max(Lanes::ZERO) * Lanes::splat(TICK_SECS)
    }
}

impl Age {
    pub(crate) const fn from_millis(milliseconds: u64) -> Self {
        Age((Nanos::from_millis(milliseconds).0 >> TICK_SHIFT) as u32)
    }

    #[cfg(test)]
    pub(crate) const fn ticks(self) -> u32 {
        self.0
    }

    pub(crate) const fn as_secs(self) -> f32 {
        self.0 as f32 * TICK_SECS
    }
}

/// A value and its stamp (or a count) in one word.
pub(crate) const fn pack(high: u32, low: u32) -> u64 {
    ((high as u64) << 32) | low as u64
}

/// The two halves of a [`pack`]ed word.
pub(crate) const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_right_to_a_tick_and_across_the_wrap() {
        let stamp = Stamp::at(Nanos::from_secs(10));
        let age = stamp.age(Stamp::at(Nanos::from_secs(13)));
        assert!((age.as_secs() - 3.0).abs() < 0.01, "{age:?}");

        let before_wrap = Stamp(u32::MAX - 1);
        assert_eq!(before_wrap.age(Stamp(3)), Age(5));
    }

    #[test]
    fn a_stamp_slightly_ahead_is_fresh_not_ancient() {
        assert_eq!(Stamp(100).age(Stamp(97)), Age(0));
        assert_eq!(Stamp(3).age(Stamp(u32::MAX)), Age(0));
    }

    #[test]
    fn ages_of_several_are_those_of_each() {
        let now = Stamp(20_000);
        let [halfway, beyond] = [20_000 + (1 << 31), 20_001 + (1 << 31)];
        for stamps in [
            [20_000, 19_999, 0, 20_001],
            [7, 1 << 24, u32::MAX, u32::MAX / 2],
            [halfway, beyond, 1 << 31, 50_000],
        ] {
            let together = Stamp::ages(stamps.into(), now).to_array();
            let each = stamps.map(|stamp| Stamp(stamp).age(now).as_secs());
            assert_eq!(together, each);
        }
    }

    #[test]
    fn words_come_apart_as_they_were_put_together() {
        assert_eq!(unpack(pack(7, u32::MAX)), (7, u32::MAX));
        assert_eq!(unpack(pack(u32::MAX, 0)), (u32::MAX, 0));
    }
}
