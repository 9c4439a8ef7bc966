//! Random numbers that a seed fixes: one independent sequence per client and variable.

use rand::SeedableRng as _;
use rand_pcg::Pcg64;

/// What is drawn at random. Each variable has its own sequence, so that drawing
/// one more of this leaves that as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The size of a payload.
    Size,
    /// The time between two requests.
    Gap,
    /// Which end-points get a copy.
    Persistence,
}

/// The sequence of `variable` for client `instance` of a run with `seed`.
pub(crate) fn generator(seed: u64, instance: u64, variable: Variable) -> Pcg64 {
    let stream = split_mix(instance.wrapping_mul(8).wrapping_add(variable as u64));
    Pcg64::seed_from_u64(split_mix(seed) ^ stream)
}

/// A seed for client `instance` of a run with `seed`, such that the clients of
/// runs with neighbouring seeds have nothing in common.
pub(crate) fn own_seed(seed: u64, instance: u64) -> u64 {
    split_mix(split_mix(seed) ^ instance)
}

/// The output function of SplitMix64 (Steele, Lea, Flood; OOPSLA 2014), after
/// one step: a bijection that spreads neighbouring numbers.
fn split_mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    #[test]
    fn sequences_repeat_and_differ_by_seed_instance_and_variable() {
        let first =
            |seed, instance, variable| -> u64 { generator(seed, instance, variable).random() };
        assert_eq!(first(1, 2, Variable::Gap), first(1, 2, Variable::Gap));
        let different = [
            first(1, 2, Variable::Gap),
            first(2, 2, Variable::Gap),
            first(1, 3, Variable::Gap),
            first(1, 2, Variable::Size),
            first(1, 2, Variable::Persistence),
        ];
        assert_ne!(own_seed(1, 1), own_seed(2, 0));
        let distinct: std::collections::HashSet<_> = different.into_iter().collect();
        assert_eq!(distinct.len(), different.len());
    }
}
