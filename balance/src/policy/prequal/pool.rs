//! The answers to recent probes: which is the best, and which have served their time.

#[cfg(test)]
mod tests;

use super::quiet::Quiet;
use super::recent::Recent;
use crate::Nanos;
use crate::policy::Chosen;
use crate::route::{Route, SharedRoute};
use crate::routes::Change;
use std::hint::select_unpredictable;
use std::sync::atomic::Ordering::Relaxed;

/// Probes that a pool holds.
const LARGEST: usize = 16;
/// Probes that a request sends at the most.
pub(super) const MOST_PROBES: usize = LARGEST;
/// An answer is of no use any more at this age.
const LIFETIME: Nanos = Nanos::from_secs(1);
/// Probes that a request removes where enough are sent, and the share of probes where not.
const REMOVALS: f64 = 1.0;
const REMOVED_SHARE: f64 = 1.0 / 3.0;
/// How often a probe is used at the most, and what the rule for that divides (1 + delta).
const MOST_USES: f64 = 4.0;
const NET_GROWTH: f64 = 2.0;

/// In the scratch of the routes that there are.
const LISTED: u64 = 1;

/// The answer to a probe.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    pub(super) route: SharedRoute,
    /// As it told, and requests that were sent on the strength of it.
    pub(super) in_flight: u32,
    /// What a request would take now.
    pub(super) seconds: f32,
    answered: Nanos,
    uses: u32,
}

impl Probed {
    fn is_of(&self, route: &SharedRoute) -> bool {
        SharedRoute::ptr_eq(&self.route, route)
    }

    /// Requests of this broker there.
    fn own(&self) -> u32 {
        self.route.destination().in_flight()
    }

    fn requests(&self, in_quiet_times: bool) -> u32 {
        if in_quiet_times {
            self.in_flight.max(self.own())
        } else {
            self.in_flight
        }
    }
}

/// Hands out whole numbers that add up to a fraction per time.
#[derive(Debug, Default)]
struct Whole {
    owed: f64,
}

impl Whole {
    fn next(&mut self, share: f64) -> u32 {
        let (whole, rest) = whole(self.owed, share);
        self.owed = rest;
        whole
    }
}

/// What can be handed out of what is owed and a share, and what is owed then.
#[inline]
pub(super) fn whole(owed: f64, share: f64) -> (u32, f64) {
    let owed = owed + share;
    // Nothing is owed that is negative, so that this rounds down.
    let whole = owed as u32;
    (whole, owed - f64::from(whole))
}

/// What is known of one lambda's destinations.
#[derive(Debug)]
pub(super) struct Pool {
    probes_per_request: f64,
    probed: Vec<Probed>,
    /// None of them was answered earlier.
    none_before: Nanos,
    recent: Recent,
    quiet: Quiet,
    /// Probes that are kept, and how often each may be used: both follow from the number of routes.
    capacity: usize,
    reuse: f64,
    remove_oldest: bool,
    removals: Whole,
    uses: Whole,
}

/// Most that are kept of so many destinations: where these are few half as many, so that some choice
/// among fresh ones remains.
fn capacity(destinations: usize) -> usize {
    (destinations / 2).clamp(2, LARGEST)
}

fn removals(probes_per_request: f64) -> f64 {
    (probes_per_request * REMOVED_SHARE).min(REMOVALS)
}

/// How often a probe may be used, so that the pool neither runs dry nor stays full of old ones.
fn reuse(probes_per_request: f64, destinations: usize) -> f64 {
    let unlisted = 1.0 - capacity(destinations) as f64 / destinations.max(1) as f64;
    let growth = unlisted * probes_per_request - removals(probes_per_request);
    if growth <= 0.0 {
        return MOST_USES;
    }
    (NET_GROWTH / growth).clamp(1.0, MOST_USES)
}

/// The usable probes.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) best: Option<usize>,
    pub(super) count: usize,
    /// In quiet times, those of destinations without requests.
    idle: usize,
}

impl Pool {
    pub(super) fn new(probes_per_request: f64) -> Self {
        Pool {
            probes_per_request,
            probed: Vec::with_capacity(LARGEST),
            none_before: Nanos::ZERO,
            recent: Recent::new(),
            quiet: Quiet::default(),
            capacity: 0,
            reuse: MOST_USES,
            remove_oldest: false,
            removals: Whole::default(),
            uses: Whole::default(),
        }
    }

    /// Does what was done to the routes, of which there are so many now; what is known of those that
    /// went is forgotten.
    pub(super) fn follow(&mut self, change: &Change<'_>, destinations: usize) {
        match change {
            Change::Added(routes) => {
                for route in *routes {
                    route.scratch().store(LISTED, Relaxed);
                }
            }
            Change::Removed(_, gone) | Change::Replaced(_, gone) => {
                gone.scratch().store(0, Relaxed);
                self.probed.retain(|probed| !probed.is_of(gone));
            }
            Change::Listed(routes) => self
                .probed
                .retain(|probed| routes.iter().any(|route| probed.is_of(route))),
        }
        self.capacity = capacity(destinations);
        self.reuse = reuse(self.probes_per_request, destinations);
    }

    /// A pool is small and nobody can foresee where in it a route is: looking at all costs less than
    /// a branch that was mistaken.
    fn position(&self, route: &SharedRoute) -> Option<usize> {
        let mut position = usize::MAX;
        for (at, probed) in self.probed.iter().enumerate() {
            position = select_unpredictable(probed.is_of(route), at, position);
        }
        (position < usize::MAX).then_some(position)
    }

    pub(super) fn forget_old(&mut self, now: Nanos) {
        if now.since(self.none_before) <= LIFETIME {
            return;
        }
        self.probed
            .retain(|probed| now.since(probed.answered) <= LIFETIME);
        let answered = self.probed.iter().map(|probed| probed.answered);
        self.none_before = answered.min().unwrap_or(now);
    }

    /// Requests at the destination, as far as they are known. In quiet times that is our own that are
    /// there now, so that an answer remains true when they have ended.
    pub(super) fn requests(&self, probed: &Probed) -> u32 {
        probed.requests(self.quiet.is_on())
    }

    pub(super) fn is_hot(&self, probed: &Probed) -> bool {
        self.requests(probed) > self.recent.hot_above()
    }

    /// The smallest is preferred: cold before hot; the quicker of the cold, of the hot the one with
    /// fewer requests.
    fn rank(&self, probed: &Probed, requests: u32) -> u64 {
        let hot = 1 << 32 | u64::from(requests);
        // Times are not negative, so that their bits are in the same order.
        let cold = u64::from(probed.seconds.to_bits());
        select_unpredictable(requests > self.recent.hot_above(), hot, cold)
    }

    pub(super) fn ranked(&self, admits: impl Fn(&Route) -> bool) -> Ranked {
        // One loop for each, so that busy times do not pay for the quiet ones.
        if self.quiet.is_on() {
            self.ranked_by::<true>(admits)
        } else {
            self.ranked_by::<false>(admits)
        }
    }

    fn ranked_by<const QUIET: bool>(&self, admits: impl Fn(&Route) -> bool) -> Ranked {
        let (mut best, mut least, mut count, mut idle) = (0, u64::MAX, 0, 0);
        for (at, probed) in self.probed.iter().enumerate() {
            if !admits(&probed.route) {
                continue;
            }
            count += 1;
            let requests = probed.requests(QUIET);
            if QUIET {
                idle += usize::from(requests == 0);
            }
            let rank = self.rank(probed, requests);
            // Nobody can foresee which is preferred.
            let better = rank < least;
            best = select_unpredictable(better, at, best);
            least = select_unpredictable(better, rank, least);
        }
        Ranked {
            best: (count > 0).then_some(best),
            count,
            idle,
        }
    }

    /// Whether there is no load, neither of others nor much of our own: then answers are not used up.
    pub(super) fn rests(&self, candidates: &Ranked) -> bool {
        self.quiet.is_on() && 2 * candidates.idle >= self.capacity
    }

    /// Whether an answer more would replace another one.
    pub(super) fn is_full(&self) -> bool {
        self.probed.len() >= self.capacity
    }

    /// The route of the probe at this position, which remains as good as it was.
    pub(super) fn route(&self, at: usize) -> SharedRoute {
        SharedRoute::clone(&self.probed[at].route)
    }

    /// All, the preferred first.
    pub(super) fn in_order(&self) -> Vec<Probed> {
        let mut order = self.probed.clone();
        order.sort_by_key(|probed| self.rank(probed, self.requests(probed)));
        order
    }

    /// A request goes where the probe at this position says.
    pub(super) fn used(&mut self, at: usize) -> SharedRoute {
        let probed = &mut self.probed[at];
        probed.in_flight = probed.in_flight.saturating_add(1);
        probed.uses -= 1;
        let route = if probed.uses == 0 {
            self.probed.swap_remove(at).route
        } else {
            SharedRoute::clone(&probed.route)
        };
        for _ in 0..self.removals.next(removals(self.probes_per_request)) {
            self.remove_one();
        }
        route
    }

    fn remove_one(&mut self) {
        if self.probed.len() <= 2 {
            return;
        }
        let at = if self.remove_oldest {
            self.oldest()
        } else {
            self.worst()
        };
        self.remove_oldest = !self.remove_oldest;
        if let Some(at) = at {
            self.probed.swap_remove(at);
        }
    }

    /// The first of those that were answered first.
    fn oldest(&self) -> Option<usize> {
        let (mut oldest, mut answered) = (0, Nanos::MAX);
        for (at, probed) in self.probed.iter().enumerate() {
            let older = probed.answered < answered;
            oldest = select_unpredictable(older, at, oldest);
            answered = select_unpredictable(older, probed.answered, answered);
        }
        (!self.probed.is_empty()).then_some(oldest)
    }

    /// The last of those that are preferred least.
    fn worst(&self) -> Option<usize> {
        let quiet = self.quiet.is_on();
        let (mut worst, mut most) = (0, 0);
        for (at, probed) in self.probed.iter().enumerate() {
            let rank = self.rank(probed, probed.requests(quiet));
            let worse = rank >= most;
            worst = select_unpredictable(worse, at, worst);
            most = select_unpredictable(worse, rank, most);
        }
        (!self.probed.is_empty()).then_some(worst)
    }

    /// An answer shows that a destination is idle, or that it is not.
    pub(super) fn heard(&mut self, idle: bool) {
        if self.quiet.ends_with(idle) {
            // From now on requests are counted as they are sent.
            for probed in &mut self.probed {
                probed.in_flight = probed.in_flight.max(probed.own());
            }
        }
    }

    /// A probe was answered; false if there is no such route, any more or yet.
    pub(super) fn add(
        &mut self,
        route: Chosen<'_>,
        in_flight: u32,
        seconds: f32,
        now: Nanos,
    ) -> bool {
        if route.route().scratch().load(Relaxed) != LISTED {
            return false;
        }
        self.recent.tell(in_flight);
        let route = match self.position(route.route()) {
            Some(at) => self.probed.swap_remove(at).route,
            None => route.into_owned(),
        };
        while self.is_full() {
            let Some(at) = self.oldest() else { break };
            self.probed.swap_remove(at);
        }
        self.none_before = self.none_before.min(now);
        let uses = self.uses.next(self.reuse).max(1);
        self.probed.push(Probed {
            route,
            in_flight,
            seconds,
            answered: now,
            uses,
        });
        true
    }
}
