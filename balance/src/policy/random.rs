//! Random: each destination with a probability inverse to its weight.

use super::{Choice, Policy, Scene, Wanted, any_index};
use crate::Nanos;
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, FEW, Many, Routes};
use rand::{Rng, RngExt};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Of many destinations, so many are drawn, one after the other, before shares are summed up.
const MOST_DRAWS: usize = 512;
/// Draws that it may take on average.
const DRAWS_WORTH_IT: f64 = 64.0;

/// Chooses i with probability `(1/w_i) / sum(1/w)`, after the `random` table of the C++ reference.
///
/// Use it for static shares of traffic, or as the baseline of an experiment; with weights that
/// follow latencies it keeps sending a share to the slow ones and ignores how loaded they are.
///
/// The sum is computed for every pick, in double precision: a running sum drifts, and one excursion
/// of a weight to a tiny value wipes out the small terms for good. Of more than 128 destinations one
/// is drawn, and taken with the probability `w_min / w_i`, until one is taken (rejection sampling,
/// von Neumann, 1951): the shares are the same, and where weights do not differ much a pick looks at a
/// few destinations only. Where few are open, or a few take nearly all, it is drawn by running sums, which
/// are made anew for one of n/64 picks: so long another weight may be overlooked.
#[derive(Debug, Default)]
pub(super) struct Random {
    /// What no share exceeds, `1/w_min` (f64); infinite where shares differ so much that drawing is no
    /// use.
    largest: AtomicU64,
    /// For when it is not.
    sums: Mutex<Sums>,
}

/// So many shares are looked at for a pick, on average: sums are good for one pick for each so many.
const LOOKS_PER_PICK: usize = 64;
/// Draws by sums: where more fail, they are out of date.
const DRAWS_BY_SUMS: usize = 16;

/// Running sums of the shares of those that were candidates a few picks ago. Empty at first.
#[derive(Debug, Default)]
struct Sums {
    positions: Vec<u32>,
    /// Of the share at the same place and those before it.
    sums: Vec<f64>,
    largest: f64,
    /// Picks.
    good_for: usize,
}

impl Sums {
    fn of(scene: &Scene<'_>, many: &Many) -> Self {
        let positions = if scene.healthy_only {
            many.all_open(scene.broker)
        } else {
            (0..many.len() as u32).collect()
        };
        let (mut total, mut largest) = (0.0, 0.0);
        let sum = |at: &u32| {
            let share = whole_share(many.at(*at as usize));
            largest = f64::max(largest, share);
            total += share;
            total
        };
        let sums: Vec<_> = positions.iter().map(sum).collect();
        Sums {
            good_for: 1 + positions.len() / LOOKS_PER_PICK,
            positions,
            sums,
            largest,
        }
    }

    fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or_default()
    }

    /// The position of one that is a candidate, if they are good enough for that.
    fn draw(&mut self, scene: &Scene<'_>, many: &Many, rng: &mut dyn Rng) -> Option<usize> {
        self.good_for = self.good_for.checked_sub(1)?;
        let total = self.total();
        let mut draws = (0..DRAWS_BY_SUMS).filter_map(|_| {
            let place = rng.random::<f64>() * total;
            let nth = self.sums.partition_point(|sum| *sum <= place);
            Some(*self.positions.get(nth)? as usize)
        });
        let is_candidate = |at: &usize| *at < many.len() && scene.admits(many.at(*at));
        draws.find(is_candidate)
    }
}

impl Random {
    /// One of many, unless the draw fails for too long.
    fn draw<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<&'a SharedRoute> {
        let largest = f64::from_bits(self.largest.load(Relaxed));
        if largest == f64::INFINITY {
            return None;
        }
        for _ in 0..MOST_DRAWS {
            let route = scene.routes.at(any_index(scene.routes.len(), rng));
            if rng.random::<f64>() * largest < share(scene, route) {
                return Some(route);
            }
        }
        self.largest.store(f64::INFINITY.to_bits(), Relaxed);
        None
    }

    /// One of many by sums of their shares, which are made anew now and then.
    #[cold]
    fn search<'a>(
        &self,
        scene: &Scene<'a>,
        many: &'a Many,
        rng: &mut dyn Rng,
    ) -> Option<&'a SharedRoute> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = sums.draw(scene, many, rng) {
            return Some(many.at(at));
        }
        *sums = Sums::of(scene, many);
        if sums.total() * DRAWS_WORTH_IT > many.len() as f64 * sums.largest {
            self.largest.store(sums.largest.to_bits(), Relaxed);
        }
        if let Some(at) = sums.draw(scene, many, rng) {
            return Some(many.at(at));
        }
        // Where the request has been takes nearly all.
        let shares = || {
            sums.positions
                .iter()
                .map(|at| share(scene, many.at(*at as usize)))
        };
        let at = by_share(shares().sum(), shares(), rng)?;
        Some(many.at(sums.positions[at] as usize))
    }

    /// No share exceeds the largest, nor this one.
    fn raise(&self, route: &Route) {
        let share = whole_share(route);
        // Shares are not negative, so that their bits are in the same order.
        if share.to_bits() > self.largest.load(Relaxed) {
            self.largest.fetch_max(share.to_bits(), Relaxed);
        }
    }
}

/// Shares are summed up in blocks of so many, since sums of blocks do not wait for each other.
const BLOCK: usize = 8;

/// One of a few routes, which fit into `BLOCKS` blocks, with the probability of its share.
fn one_of<'a, const BLOCKS: usize>(
    scene: &Scene<'_>,
    routes: &'a [SharedRoute],
    rng: &mut dyn Rng,
) -> Option<&'a SharedRoute> {
    // With an endless weight the share is nothing.
    let mut weights = [[f32::INFINITY; BLOCK]; BLOCKS];
    let places = weights.as_flattened_mut().iter_mut().zip(routes);
    if scene.admits_all() {
        places.for_each(|(place, route)| *place = route.weight());
    } else {
        let admitted = places.filter(|(_, route)| scene.admits(route));
        admitted.for_each(|(place, route)| *place = route.weight());
    }
    let used = routes.len().div_ceil(BLOCK);
    let mut shares = [[0.0; BLOCK]; BLOCKS];
    let mut sums = [0.0; BLOCKS];
    let blocks = shares.iter_mut().zip(&mut sums).zip(&weights).take(used);
    for ((shares, sum), weights) in blocks {
        *shares = weights.map(|weight| 1.0 / f64::from(weight));
        let [a, b, c, d, e, f, g, h] = *shares;
        *sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    }
    let total: f64 = sums[..used].iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random_range(0.0..total);
    let mut block = 0;
    while block + 1 < used && left >= sums[block] {
        left -= sums[block];
        block += 1;
    }
    let mut chosen = None;
    for (at, share) in shares[block].iter().enumerate() {
        if *share > 0.0 {
            chosen = Some(block * BLOCK + at);
        }
        left -= share;
        if left < 0.0 {
            break;
        }
    }
    // By an error of rounding something may be left over behind all that are admitted.
    let last = || shares.as_flattened().iter().rposition(|share| *share > 0.0);
    chosen.or_else(last).map(|at| &routes[at])
}

/// A position, with the probability of its share.
#[inline]
fn by_share(total: f64, shares: impl Iterator<Item = f64>, rng: &mut dyn Rng) -> Option<usize> {
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random_range(0.0..total);
    let mut chosen = None;
    // Should weights or health change meanwhile, the last one admitted takes what is left over.
    for (at, share) in shares.enumerate() {
        if share > 0.0 {
            chosen = Some(at);
        }
        left -= share;
        if left < 0.0 {
            break;
        }
    }
    chosen
}

impl Policy for Random {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let chosen = match scene.routes {
            Routes::Few(routes) if routes.len() <= BLOCK => one_of::<1>(scene, routes, rng)?,
            Routes::Few(routes) => one_of::<{ FEW / BLOCK }>(scene, routes, rng)?,
            Routes::Many(many) => match self.draw(scene, rng) {
                Some(drawn) => drawn,
                None => self.search(scene, many, rng)?,
            },
        };
        Some(Choice::from(chosen))
    }

    fn sample_weight(&self) -> Option<f32> {
        None
    }

    fn routes_changed(&self, change: &Change<'_>, _routes: Routes<'_>, _now: Nanos) {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = Sums::default();
        if let Change::Added(routes) = change {
            routes.iter().for_each(|route| self.raise(route));
        }
    }

    fn weight_set(&self, route: &SharedRoute, _now: Nanos) {
        self.raise(route);
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}

/// Nothing for those that are no candidates.
fn share(scene: &Scene<'_>, route: &Route) -> f64 {
    if scene.admits(route) {
        whole_share(route)
    } else {
        0.0
    }
}

fn whole_share(route: &Route) -> f64 {
    1.0 / f64::from(route.weight())
}
