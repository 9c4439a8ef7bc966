//! Drawing a few candidates at random without looking at all of them.

use super::{Scene, any_index};
use crate::route::{Route, SharedRoute};
use crate::routes::Routes;
use rand::Rng;
use smallvec::SmallVec;

/// Draws are at most so many, and need no heap.
pub(super) const MOST: usize = 64;

/// Positions, in the order in which they were drawn.
pub(super) type Drawn = SmallVec<[usize; MOST]>;

/// Puts the positions of `wanted` (up to [`MOST`]) different candidates that suit into `drawn`, which is
/// empty, as far as there are so many and luck finds them: where few of many are candidates the draw
/// gives up after a while with fewer, though never with none if all suit and there is one. They are not returned,
/// since that would move half a kilobyte.
pub(super) fn draw(
    drawn: &mut Drawn,
    scene: &Scene<'_>,
    wanted: usize,
    rng: &mut dyn Rng,
    suits: impl Fn(&Route) -> bool,
) {
    let routes = scene.routes;
    let admits = |at: usize| scene.admits(routes.at(at)) && suits(routes.at(at));
    draw_with_luck(drawn, routes.len(), wanted, rng, admits);
    if drawn.is_empty() {
        search(drawn, scene, wanted, rng, suits);
    }
}

/// The same without having tried one's luck.
pub(super) fn drawn_of_few(scene: &Scene<'_>, wanted: usize, rng: &mut dyn Rng) -> Drawn {
    let mut drawn = Drawn::new();
    search(&mut drawn, scene, wanted, rng, |_| true);
    drawn
}

#[cold]
fn search(
    drawn: &mut Drawn,
    scene: &Scene<'_>,
    wanted: usize,
    rng: &mut dyn Rng,
    suits: impl Fn(&Route) -> bool,
) {
    let (routes, wanted) = (scene.routes, wanted.min(MOST));
    let suits = |at: &usize| suits(routes.at(*at));
    match routes {
        Routes::Many(many) if scene.healthy_only => {
            while drawn.len() < wanted {
                let is_new = |route: &SharedRoute| {
                    let is_it = |at: &usize| SharedRoute::ptr_eq(many.at(*at), route);
                    scene.admits(route) && !drawn.iter().any(is_it)
                };
                let Some(found) = many.find_open(scene.broker, rng.next_u32(), is_new) else {
                    break;
                };
                drawn.push(found);
            }
            // Nobody knows where those are that suit: where few do, none may have been drawn.
            drawn.retain(|at| suits(at));
        }
        _ => {
            let start = any_index(routes.len(), rng);
            let all = (start..routes.len()).chain(0..start);
            let admitted = all.filter(|at| scene.admits(routes.at(*at)) && suits(at));
            drawn.extend(admitted.take(wanted));
        }
    }
}

/// Different positions in `0..n` that are admitted.
#[inline]
fn draw_with_luck(
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;

    fn drawn(n: usize, wanted: usize, rng: &mut Pcg32, admits: impl Fn(usize) -> bool) -> Drawn {
        let mut drawn = Drawn::new();
        draw_with_luck(&mut drawn, n, wanted, rng, admits);
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
}
