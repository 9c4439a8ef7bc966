//! The requests in flight that the last probes told, and above which number a destination is hot.

/// So many are kept.
const KEPT: usize = 64;
/// Share of them, in percent, that is cold: the quantile `2^-0.25` of the paper.
const COLD_PERCENT: usize = 84;

/// The last numbers in the order of their arrival and in that of their size. The second order
/// follows the first one number at a time, so that a probe costs two binary searches and a move.
#[derive(Debug)]
pub(super) struct Recent {
    ring: [u32; KEPT],
    ascending: [u32; KEPT],
    /// Numbers that are kept.
    len: usize,
    /// Place of the next one in the ring, and of the oldest if the ring is full.
    next: usize,
    hot_above: u32,
}

impl Recent {
    pub(super) fn new() -> Self {
        Recent {
            ring: [0; KEPT],
            ascending: [0; KEPT],
            len: 0,
            next: 0,
            hot_above: 0,
        }
    }

    /// The quantile; 0 as long as nothing was told.
    pub(super) fn hot_above(&self) -> u32 {
        self.hot_above
    }

    pub(super) fn tell(&mut self, number: u32) {
        let oldest = std::mem::replace(&mut self.ring[self.next], number);
        self.next = (self.next + 1) % KEPT;
        let (kept, gap) = if self.len == KEPT {
            // Of few different numbers, which is the usual case, many replace one of their own.
            if oldest == number {
                return;
            }
            let kept = &mut self.ascending[..];
            let gap = kept.partition_point(|other| *other < oldest);
            (kept, gap)
        } else {
            self.len += 1;
            (&mut self.ascending[..self.len], self.len - 1)
        };
        let smaller = |others: &[u32]| others.partition_point(|other| *other < number);
        // What lies between the gap and the place of the new number moves by one.
        let below = smaller(&kept[..gap]);
        if below < gap {
            kept.copy_within(below..gap, below + 1);
            kept[below] = number;
        } else {
            let above = smaller(&kept[gap + 1..]);
            kept.copy_within(gap + 1..=gap + above, gap);
            kept[gap + above] = number;
        }
        self.hot_above = kept[(COLD_PERCENT * kept.len()).div_ceil(100) - 1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;

    #[test]
    fn the_quantile_is_that_of_the_last_ones_sorted() {
        let mut rng = Pcg32::seed_from_u64(1);
        for range in [1, 3, 20, u32::MAX] {
            let mut recent = Recent::new();
            let mut told = Vec::new();
            for _ in 0..1000 {
                let number = rng.next_u32() % range;
                recent.tell(number);
                told.push(number);
                let mut sorted = told[told.len().saturating_sub(KEPT)..].to_vec();
                sorted.sort_unstable();
                assert_eq!(recent.ascending[..recent.len], sorted);
                let cold = (0.84 * sorted.len() as f64).ceil() as usize;
                assert_eq!(recent.hot_above(), sorted[cold - 1]);
            }
        }
    }
}
