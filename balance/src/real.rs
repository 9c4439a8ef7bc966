//! Arithmetic that is the same for one destination and for several side by side.

use bytemuck::cast;
use std::hint::select_unpredictable;
use std::ops::{Add, Div, Mul, Sub};
use wide::{f32x4, u32x4, u64x2};

/// Destinations that are looked at side by side: as many as every processor of the last twenty
/// years has lanes for.
pub(crate) const LANES: usize = 4;

/// One number for each of [`LANES`] destinations. Each lane rounds as a number by itself does, so
/// that results are the same on all processors.
pub(crate) type Lanes = f32x4;

/// A number, or several.
pub(crate) trait Real:
    Copy + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The larger of the two, which are numbers.
    fn at_least(self, least: Self) -> Self;

    /// `then` where it is above the limit, `otherwise` elsewhere; without a branch, since of many
    /// destinations nobody can foresee which it is.
    fn if_above(self, limit: Self, then: Self, otherwise: Self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn at_least(self, least: f32) -> f32 {
        self.max(least)
    }

    #[inline(always)]
    fn if_above(self, limit: f32, then: f32, otherwise: f32) -> f32 {
        select_unpredictable(self > limit, then, otherwise)
    }
}

impl Real for Lanes {
    #[inline(always)]
    fn at_least(self, least: Lanes) -> Lanes {
        self.fast_max(least)
    }

    #[inline(always)]
    fn if_above(self, limit: Lanes, then: Lanes, otherwise: Lanes) -> Lanes {
        self.simd_gt(limit).select(then, otherwise)
    }
}

/// A word of each destination as its upper and its lower halves.
#[inline(always)]
pub(crate) fn halves(words: [u64; LANES]) -> [u32x4; 2] {
    let [a, b, c, d] = words.map(|word| {
        if cfg!(target_endian = "big") {
            word.rotate_left(32)
        } else {
            word
        }
    });
    let [left, right] = [[a, b], [c, d]].map(|two| cast::<u64x2, u32x4>(u64x2::new(two)));
    let (even, odd) = (left.unpack_lo(right), left.unpack_hi(right));
    [even.unpack_hi(odd), even.unpack_lo(odd)]
}

/// The numbers that such halves are the bits of.
#[inline(always)]
pub(crate) fn numbers(bits: u32x4) -> Lanes {
    cast(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::average::{decay, decay_over};
    use crate::stamp::pack;

    #[test]
    fn lanes_compute_what_single_numbers_do() {
        let ages = [0.0, 1e-3, 0.7, 1e6];
        let spans = [1e-9, 0.02, 3.0, 17.0];
        let decayed: [f32; LANES] = decay(Lanes::from(ages)).into();
        assert_eq!(decayed, ages.map(decay));
        let over: [f32; LANES] = decay_over(Lanes::from(ages), Lanes::from(spans)).into();
        let one_by_one = std::array::from_fn(|at| decay_over(ages[at], spans[at]));
        assert_eq!(over, one_by_one);
        let larger: [f32; LANES] = Lanes::from(ages).at_least(Lanes::from(0.1)).into();
        assert_eq!(larger, ages.map(|age| age.at_least(0.1)));
        let chosen = |age: f32| age.if_above(0.5, age, -1.0);
        let limit = Lanes::from(0.5);
        let picked = Lanes::from(ages).if_above(limit, Lanes::from(ages), Lanes::from(-1.0));
        assert_eq!(<[f32; LANES]>::from(picked), ages.map(chosen));
    }

    #[test]
    fn words_come_apart_lane_by_lane() {
        let words = [(1, 2), (3, 4), (5, 6), (7, 8)].map(|(high, low)| pack(high, low));
        let [high, low] = halves(words);
        assert_eq!(high.to_array(), [1, 3, 5, 7]);
        assert_eq!(low.to_array(), [2, 4, 6, 8]);
        let bits = [0.5_f32, 2.0, f32::MAX, 0.0].map(f32::to_bits);
        assert_eq!(
            numbers(u32x4::new(bits)).to_array(),
            bits.map(f32::from_bits)
        );
    }
}
