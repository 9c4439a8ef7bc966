//! Randomness that repeats: independent streams of one seed, and draws that belong to a request.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

/// What a stream of random numbers is for. Streams do not depend on each other, so that all
/// contenders of a seed meet the same world whatever they draw for themselves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// When requests come, where and how much work they are.
    Arrivals = 1,
    /// Places and distances.
    Network = 2,
    /// The contender's own choices.
    Choices = 3,
}

/// A stream of a run, or one of many alike.
pub(super) fn stream(seed: u64, what: Stream, index: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(mix(mix(seed ^ mix(what as u64)).wrapping_add(index)))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): spreads any difference over all bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Uniform above 0 up to 1: the draw number `n` of a request with that key, whenever it is made.
pub(super) fn drawn(key: u64, n: u64) -> f64 {
    let bits = mix(key.wrapping_add(n.wrapping_mul(0xd134_2543_de82_ef95))) >> 11;
    (bits + 1) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_of_neighbouring_keys_and_numbers_are_uniform_and_unrelated() {
        let n = 100_000;
        let (mut sum, mut square, mut along, mut across) = (0.0, 0.0, 0.0, 0.0);
        for key in 0..n {
            let u = drawn(key, 0);
            assert!(u > 0.0 && u <= 1.0);
            sum += u;
            square += u * u;
            along += u * drawn(key + 1, 0);
            across += u * drawn(key, 1);
        }
        let mean = |total: f64| total / n as f64;
        assert!((mean(sum) - 1.0 / 2.0).abs() < 0.005);
        assert!((mean(square) - 1.0 / 3.0).abs() < 0.005);
        assert!((mean(along) - 1.0 / 4.0).abs() < 0.005);
        assert!((mean(across) - 1.0 / 4.0).abs() < 0.005);
    }
}
