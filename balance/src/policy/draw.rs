//! Drawing a few candidates at random without looking at all of them.

use super::any_index;
use rand::Rng;
use smallvec::SmallVec;

/// Draws are at most so many, and need no heap.
pub(super) const MOST: usize = 64;

/// Positions, in the order in which they were drawn.
pub(super) type Drawn = SmallVec<[usize; MOST]>;

/// Puts `wanted` (up to [`MOST`]) different positions in `0..n` that are admitted into `drawn`, which
/// is empty, as far as there are so many and luck finds them: where few of many are admitted the draw
/// gives up after a while with fewer, though never with none if there is one. They are not returned,
/// since that would move half a kilobyte.
pub(super) fn draw(
    drawn: &mut Drawn,
    n: usize,
    wanted: usize,
    rng: &mut dyn Rng,
    admits: impl Fn(usize) -> bool,
) {
    let wanted = wanted.min(MOST);
    if n > wanted {
        for _ in 0..4 * wanted + 16 {
            let at = any_index(n, rng);
            if !drawn.contains(&at) && admits(at) {
                drawn.push(at);
            }
            if drawn.len() == wanted {
                return;
            }
        }
    }
    if drawn.is_empty() {
        let start = any_index(n, rng);
        let all = (start..n).chain(0..start);
        drawn.extend(all.filter(|at| admits(*at)).take(wanted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;

    fn drawn(n: usize, wanted: usize, rng: &mut Pcg32, admits: impl Fn(usize) -> bool) -> Drawn {
        let mut drawn = Drawn::new();
        draw(&mut drawn, n, wanted, rng, admits);
        drawn
    }

    #[test]
    fn draws_are_different_and_admitted_and_every_one_comes_up_equally_often() {
        let mut rng = Pcg32::seed_from_u64(1);
        let mut shares = [0; 10];
        for _ in 0..10_000 {
            let mut drawn = drawn(10, 3, &mut rng, |at| at != 4);
            for at in &drawn {
                shares[*at] += 1;
            }
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 3);
        }
        assert_eq!(shares[4], 0);
        let others = shares.iter().enumerate().filter(|(at, _)| *at != 4);
        for (_, share) in others {
            assert!(i32::abs(share - 3333) < 250, "{shares:?}");
        }
    }

    #[test]
    fn the_only_one_admitted_among_thousands_is_found() {
        let mut rng = Pcg32::seed_from_u64(1);
        assert_eq!(drawn(5000, 2, &mut rng, |at| at == 1234).as_slice(), [1234]);
        assert!(drawn(5000, 2, &mut rng, |_| false).is_empty());
        assert!(drawn(0, 2, &mut rng, |_| true).is_empty());
        assert_eq!(drawn(1, 64, &mut rng, |_| true).as_slice(), [0]);
    }
}
