//! The rank of a destination for an affinity: a hash of both, weighted.

use crate::route::Route;
use std::sync::atomic::Ordering::Relaxed;
use xxhash_rust::xxh64::xxh64;

/// The constants of XXH64 that the hash of eight bytes needs.
const PRIMES: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

/// What XXH64 makes of the hash of a destination's name before the seed comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane(u64);

impl Lane {
    /// It is kept in the scratch.
    #[inline]
    pub(super) fn of(route: &Route) -> Self {
        let word = &route.scratch();
        Lane(match word.load(Relaxed) {
            0 => {
                let lane = lane(xxh64(route.destination().name().as_bytes(), 0));
                word.store(lane, Relaxed);
                lane
            }
            known => known,
        })
    }

    /// Where the destination is on a ring.
    pub(super) fn place(self) -> u64 {
        hash(self.0, 0)
    }

    /// Any number between 0 and 1, for one affinity.
    #[inline]
    pub(super) fn unit(self, affinity: u64) -> f64 {
        // 52 bits and a half: never 0, never 1.
        ((hash(self.0, affinity) >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }
}

fn lane(number: u64) -> u64 {
    number
        .wrapping_mul(PRIMES[1])
        .rotate_left(31)
        .wrapping_mul(PRIMES[0])
}

/// XXH64 of the eight bytes that became `lane`, with the seed `affinity`; after the specification
/// (xxHash, `doc/xxhash_spec.md`), steps 4 to 6. Several of them overlap in a loop over candidates,
/// which calls of a general implementation do not.
#[inline]
fn hash(lane: u64, affinity: u64) -> u64 {
    let start = affinity.wrapping_add(PRIMES[4]).wrapping_add(8);
    let mut hash = (start ^ lane)
        .rotate_left(27)
        .wrapping_mul(PRIMES[0])
        .wrapping_add(PRIMES[3]);
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 32)
}

/// Where an affinity is on a ring; people number their sessions.
pub(super) fn mixed(affinity: u64) -> u64 {
    hash(lane(affinity), 0)
}

/// Where a destination comes among the others for one affinity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rank {
    /// Of the [`Lane`].
    pub(super) unit: f64,
    pub(super) weight: f64,
}

impl Rank {
    /// The smallest comes first.
    #[inline]
    pub(super) fn value(self) -> f64 {
        -self.unit.ln() * self.weight
    }

    /// A value that its own does not fall below, without a logarithm.
    #[inline]
    pub(super) fn at_least(self) -> f64 {
        (1.0 - self.unit) * self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;

    #[test]
    fn the_hash_is_xxh64_so_that_brokers_of_all_versions_agree() {
        let mut rng = Pcg32::seed_from_u64(1);
        for _ in 0..1000 {
            let (name, affinity) = (rng.next_u64(), rng.next_u64());
            assert_eq!(
                hash(lane(name), affinity),
                xxh64(&name.to_le_bytes(), affinity)
            );
        }
    }

    #[test]
    fn no_rank_falls_below_what_it_is_at_least() {
        for step in 1..1000 {
            let rank = Rank {
                unit: f64::from(step) / 1000.0,
                weight: 3.0,
            };
            assert!(rank.at_least() <= rank.value(), "{rank:?}");
        }
    }
}
