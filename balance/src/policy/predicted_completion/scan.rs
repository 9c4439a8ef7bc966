//! The look at candidates: which costs least, and what the second best costs.

use super::super::Scene;
use super::super::draw::drawn_of_few;
use super::super::scan::DRAWN;
use super::prediction::{Means, Prediction, Predictions};
use crate::real::{LANES, Lanes, numbers};
use crate::route::SharedRoute;
use crate::routes::Many;
use crate::stamp::Stamp;
use rand::Rng;
use std::hint::select_unpredictable;
use wide::u32x4;

/// A cost that is smaller by this factor: a third of the seconds.
const MUCH_BETTER: f32 = 27.0;

/// What was found so far. Lanes do not look at each other's candidates until the end.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    scene: &'a Scene<'a>,
    means: Means,
    now: Stamp,
    /// Any position: ties are broken at random.
    start: usize,
    /// The best of each lane: its position among the routes as the bits of a number, and what to
    /// expect of it.
    best: Lanes,
    expected: Predictions,
    /// Cost of the second best of each lane, infinite if there is none.
    second: Lanes,
    /// The cheapest of those that are set aside.
    spare: Option<usize>,
    least_spare: f32,
}

/// The candidate that costs least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Position among the routes.
    pub(super) at: usize,
    pub(super) expected: Prediction,
    /// Cost of the second best, infinite if there is none.
    pub(super) second: f32,
    /// One that is set aside although it would be much better.
    pub(super) needed: Option<usize>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, means: Means, now: Stamp, start: usize) -> Self {
        let beyond = Lanes::from(f32::INFINITY);
        Scan {
            scene,
            means,
            now,
            start,
            best: Lanes::ZERO,
            expected: Predictions {
                cost: beyond,
                completion: beyond,
                service: Lanes::ZERO,
            },
            second: beyond,
            spare: None,
            least_spare: f32::INFINITY,
        }
    }

    /// Looks at all candidates, which are those among a few routes.
    pub(super) fn look_at_few(&mut self, routes: &'a [SharedRoute]) {
        if !self.scene.tried.is_empty() {
            return self.look_at(&mut routes.iter().enumerate());
        }
        let (blocks, rest) = routes.as_chunks();
        // Begins at any block, since the first of equals wins; the rest is one that is not full.
        let begin = self.start / LANES % (blocks.len() + 1);
        self.look_at_blocks(begin, &blocks[begin..]);
        if let [first, ..] = rest {
            let block = std::array::from_fn(|lane| rest.get(lane).unwrap_or(first));
            self.judge(block, side_by_side(blocks.len()), rest.len());
        }
        self.look_at_blocks(0, &blocks[..begin]);
    }

    fn look_at_blocks(&mut self, first: usize, blocks: &[[SharedRoute; LANES]]) {
        let may_be_known = self.means.is_known() && !self.scene.healthy_only;
        for (nth, block) in (first..).zip(blocks) {
            if may_be_known && let Some(new) = Predictions::of_known(block, &self.means, self.now) {
                self.compare(new, side_by_side(nth));
            } else {
                self.judge(block.each_ref(), side_by_side(nth), LANES);
            }
        }
    }

    /// Looks at the candidates at some positions.
    pub(super) fn look_at_some(&mut self, positions: &[usize], many: &'a Many) {
        let once = |nth: &usize| !positions[..*nth].contains(&positions[*nth]);
        let candidate = |nth: usize| (positions[nth], many.at(positions[nth]));
        self.look_at(&mut (0..positions.len()).filter(once).map(candidate));
    }

    /// Looks at these candidates with their positions, none of which comes twice.
    fn look_at(&mut self, candidates: &mut dyn Iterator<Item = (usize, &'a SharedRoute)>) {
        let tried = self.scene.tried;
        let is_untried = |route: &SharedRoute| !tried.contains(route.destination().id());
        let mut untried = candidates.filter(|(_, route)| is_untried(route));
        while let Some(first) = untried.next() {
            let mut block = [first; LANES];
            let mut filled = 1;
            for (slot, candidate) in block[1..].iter_mut().zip(&mut untried) {
                *slot = candidate;
                filled += 1;
            }
            // There are less than 2^32 routes.
            let positions = block.map(|(at, _)| at as u32).into();
            self.judge(block.map(|(_, route)| route), positions, filled);
        }
    }

    /// Takes so many of a block of candidates, at these positions, into account.
    #[inline(never)]
    fn judge(&mut self, block: [&SharedRoute; LANES], positions: u32x4, filled: usize) {
        let mut new = Predictions::of(block, &self.means, self.now);
        if filled < LANES {
            let beyond = Lanes::splat(f32::INFINITY);
            let lanes = Lanes::new([0.0, 1.0, 2.0, 3.0]);
            new.cost = lanes.simd_lt(filled as f32).select(new.cost, beyond);
        }
        if self.scene.healthy_only {
            new.cost = self.admitted(block, positions, new.cost);
        }
        self.compare(new, positions);
    }

    #[inline(always)]
    fn compare(&mut self, new: Predictions, positions: u32x4) {
        let old = self.expected;
        let better = new.cost.simd_lt(old.cost);
        let behind = better.select(old.cost, new.cost);
        self.second = self.second.fast_min(behind);
        self.best = better.select(numbers(positions), self.best);
        self.expected = Predictions {
            cost: better.select(new.cost, old.cost),
            completion: better.select(new.completion, old.completion),
            service: better.select(new.service, old.service),
        };
    }

    /// The costs, infinite for those that are set aside, which are noted apart.
    #[cold]
    fn admitted(&mut self, block: [&SharedRoute; LANES], positions: u32x4, costs: Lanes) -> Lanes {
        let mut costs = costs.to_array();
        for ((cost, route), at) in costs.iter_mut().zip(block).zip(positions.to_array()) {
            if route.is_open() {
                continue;
            }
            // Where the lambda is not wanted it is of no use that the destination is tried early.
            if *cost < self.least_spare && !route.terms().is_closed() {
                (self.spare, self.least_spare) = (Some(at as usize), *cost);
            }
            *cost = f32::INFINITY;
        }
        costs.into()
    }

    /// What was found.
    pub(super) fn best(&self) -> Option<Best> {
        let costs = self.expected.cost.to_array();
        let mut lane = self.start % LANES;
        let mut second = f32::INFINITY;
        for turn in 1..LANES {
            let other = (self.start + turn) % LANES;
            let better = costs[other] < costs[lane];
            let behind = select_unpredictable(better, costs[lane], costs[other]);
            second = second.min(behind);
            lane = select_unpredictable(better, other, lane);
        }
        let least = costs[lane];
        if least == f32::INFINITY {
            return None;
        }
        let seconds = self.second.to_array();
        Some(Best {
            at: self.best.to_array()[lane].to_bits() as usize,
            expected: self.expected.lane(lane),
            second: seconds.into_iter().fold(second, f32::min),
            needed: self
                .spare
                .filter(|_| self.least_spare * MUCH_BETTER < least),
        })
    }

    /// A candidate where none was found so far: few of many may be candidates, or all may cost
    /// beyond measure.
    #[cold]
    pub(super) fn any_at_all(&mut self, rng: &mut dyn Rng) -> Option<Best> {
        let routes = self.scene.routes;
        let drawn = drawn_of_few(self.scene, DRAWN, rng);
        let mut candidates = drawn.iter().map(|at| (*at, routes.at(*at)));
        self.look_at(&mut candidates);
        self.best().or_else(|| {
            let at = *drawn.first()?;
            Some(Best {
                at,
                expected: Prediction::of(routes.at(at), &self.means, self.now),
                second: f32::INFINITY,
                needed: None,
            })
        })
    }
}

/// The positions of the routes in a block of that number; there are less than 2^32 routes.
#[inline(always)]
fn side_by_side(block: usize) -> u32x4 {
    u32x4::splat((block * LANES) as u32) + u32x4::new([0, 1, 2, 3])
}
