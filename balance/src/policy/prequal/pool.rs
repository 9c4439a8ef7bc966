//! The answers to recent probes: which is the best, and which have served their time.

use crate::Nanos;
use crate::route::Route;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Probes that a pool holds.
const LARGEST: usize = 16;
/// Probes that a request sends at the most.
pub(super) const MOST_PROBES: usize = LARGEST;
/// An answer is of no use any more at this age.
const LIFETIME: Nanos = Nanos::from_secs(1);
/// Share of the destinations that are cold.
const COLD: f64 = 0.84;
/// Requests in flight, as told by so many last probes, of which the quantile is taken.
const RECENT: usize = 64;
/// Probes that a request removes where enough are sent, and the share of probes where not.
const REMOVALS: f64 = 1.0;
const REMOVED_SHARE: f64 = 1.0 / 3.0;
/// How often a probe is used at the most, and what the rule for that divides (1 + delta).
const MOST_USES: f64 = 4.0;
const NET_GROWTH: f64 = 2.0;

/// The answer to a probe.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) route: Arc<Route>,
    /// As it told, and requests that were sent on the strength of it.
    pub(super) in_flight: u32,
    /// What a request would take now.
    pub(super) seconds: f32,
    at: Nanos,
    uses: u32,
}

impl Probed {
    pub(super) fn is_of(&self, route: &Route) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.route), route)
    }
}

/// Hands out whole numbers that add up to a fraction per time.
#[derive(Debug, Default)]
struct Whole {
    owed: f64,
}

impl Whole {
    fn next(&mut self, share: f64) -> u32 {
        self.owed += share;
        let whole = self.owed.floor();
        self.owed -= whole;
        whole as u32
    }
}

/// What is known of one lambda's destinations.
#[derive(Debug)]
pub(super) struct Pool {
    probes_per_request: f64,
    probed: Vec<Probed>,
    /// Of the last probes, in a ring.
    recent: [u32; RECENT],
    told: usize,
    /// Above it a probe is hot.
    hot_above: u32,
    destinations: usize,
    /// Changes with the routes; a route that exists carries it in its scratch.
    listing: u64,
    remove_oldest: bool,
    probes: Whole,
    removals: Whole,
    uses: Whole,
}

/// The usable probes.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) best: Option<usize>,
    pub(super) count: usize,
}

impl Pool {
    pub(super) fn new(probes_per_request: f64) -> Self {
        Pool {
            probes_per_request,
            probed: Vec::with_capacity(LARGEST),
            recent: [0; RECENT],
            told: 0,
            hot_above: 0,
            destinations: 0,
            listing: 0,
            remove_oldest: false,
            probes: Whole::default(),
            removals: Whole::default(),
            uses: Whole::default(),
        }
    }

    /// There are so many routes now; the mark that they carry from now on.
    pub(super) fn relist(&mut self, destinations: usize) -> u64 {
        self.destinations = destinations;
        self.listing += 1;
        self.listing
    }

    fn lists(&self, route: &Route) -> bool {
        route.scratch()[0].load(Relaxed) == self.listing
    }

    /// Forgets what is known of routes that exist no more.
    pub(super) fn forget_unlisted(&mut self) {
        let listing = self.listing;
        self.probed
            .retain(|probed| probed.route.scratch()[0].load(Relaxed) == listing);
    }

    pub(super) fn forget_old(&mut self, now: Nanos) {
        self.probed
            .retain(|probed| now.since(probed.at) <= LIFETIME);
    }

    /// The probes to send with this request.
    pub(super) fn probes_due(&mut self) -> usize {
        self.probes.next(self.probes_per_request) as usize
    }

    /// Most that are kept: where there are few destinations half as many, so that some choice among
    /// fresh ones remains.
    fn capacity(&self) -> usize {
        (self.destinations / 2).clamp(2, LARGEST)
    }

    fn removals_per_request(&self) -> f64 {
        (self.probes_per_request * REMOVED_SHARE).min(REMOVALS)
    }

    /// How often a probe may be used, so that the pool neither runs dry nor stays full of old ones.
    fn reuse(&self) -> f64 {
        let unlisted = 1.0 - self.capacity() as f64 / self.destinations.max(1) as f64;
        let growth = unlisted * self.probes_per_request - self.removals_per_request();
        if growth <= 0.0 {
            return MOST_USES;
        }
        (NET_GROWTH / growth).clamp(1.0, MOST_USES)
    }

    pub(super) fn is_hot(&self, probed: &Probed) -> bool {
        probed.in_flight > self.hot_above
    }

    /// Cold before hot; the quicker of the cold, of the hot the one with fewer requests.
    fn preference(&self, a: &Probed, b: &Probed) -> Ordering {
        match (self.is_hot(a), self.is_hot(b)) {
            (false, false) => a.seconds.total_cmp(&b.seconds),
            (true, true) => a.in_flight.cmp(&b.in_flight),
            (a_hot, b_hot) => a_hot.cmp(&b_hot),
        }
    }

    pub(super) fn ranked(&self, admits: impl Fn(&Probed) -> bool) -> Ranked {
        let admitted = || (0..self.probed.len()).filter(|at| admits(&self.probed[*at]));
        let best = admitted().min_by(|a, b| self.preference(&self.probed[*a], &self.probed[*b]));
        Ranked {
            best,
            count: admitted().count(),
        }
    }

    /// All, the preferred first.
    pub(super) fn in_order(&self) -> Vec<&Probed> {
        let mut order: Vec<_> = self.probed.iter().collect();
        order.sort_by(|a, b| self.preference(a, b));
        order
    }

    /// A request goes where the probe at this position says.
    pub(super) fn used(&mut self, at: usize) -> Arc<Route> {
        let probed = &mut self.probed[at];
        let route = Arc::clone(&probed.route);
        probed.in_flight = probed.in_flight.saturating_add(1);
        probed.uses -= 1;
        if probed.uses == 0 {
            self.probed.swap_remove(at);
        }
        for _ in 0..self.removals.next(self.removals_per_request()) {
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
            (0..self.probed.len())
                .max_by(|a, b| self.preference(&self.probed[*a], &self.probed[*b]))
        };
        self.remove_oldest = !self.remove_oldest;
        if let Some(at) = at {
            self.probed.swap_remove(at);
        }
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.probed.len()).min_by_key(|at| self.probed[*at].at)
    }

    /// A probe was answered.
    pub(super) fn add(&mut self, route: &Arc<Route>, in_flight: u32, seconds: f32, now: Nanos) {
        if !self.lists(route) {
            return;
        }
        self.tell(in_flight);
        let known = self.probed.iter().position(|probed| probed.is_of(route));
        if let Some(at) = known {
            self.probed.swap_remove(at);
        }
        while self.probed.len() >= self.capacity() {
            let Some(at) = self.oldest() else { break };
            self.probed.swap_remove(at);
        }
        let uses = self.uses.next(self.reuse()).max(1);
        self.probed.push(Probed {
            route: Arc::clone(route),
            in_flight,
            seconds,
            at: now,
            uses,
        });
    }

    /// Takes a number of requests in flight into account in what is hot.
    fn tell(&mut self, in_flight: u32) {
        self.recent[self.told % RECENT] = in_flight;
        self.told += 1;
        let mut recent = self.recent;
        let recent = &mut recent[..self.told.min(RECENT)];
        let at = ((COLD * recent.len() as f64).ceil() as usize).saturating_sub(1);
        self.hot_above = *recent.select_nth_unstable(at).1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destinations;

    fn routes(n: usize) -> (Destinations, Vec<Arc<Route>>) {
        let destinations = Destinations::new();
        let route = |i: usize| {
            let destination = destinations.intern(&format!("d{i}"));
            Arc::new(Route::new(destination, 1.0, true, Nanos::ZERO))
        };
        let routes = (0..n).map(route).collect();
        (destinations, routes)
    }

    fn pool(probes: f64, routes: &[Arc<Route>]) -> Pool {
        let mut pool = Pool::new(probes);
        let listed = pool.relist(routes.len());
        for route in routes {
            route.scratch()[0].store(listed, Relaxed);
        }
        pool
    }

    fn names(pool: &Pool) -> Vec<&str> {
        pool.in_order()
            .into_iter()
            .map(|probed| probed.route.destination().name())
            .collect()
    }

    #[test]
    fn cold_ones_go_by_time_and_hot_ones_by_requests() {
        let (_keep, routes) = routes(32);
        let mut pool = pool(3.0, &routes);
        for (at, (in_flight, seconds)) in
            [(1, 0.3), (1, 0.1), (9, 0.01), (1, 0.2), (1, 0.4), (7, 0.01)]
                .into_iter()
                .enumerate()
        {
            pool.add(&routes[at], in_flight, seconds, Nanos(at as u64));
        }
        // Of 1 1 1 1 7 9 the 0.84 quantile is 9: seven is cold yet.
        assert_eq!(names(&pool), ["d2", "d5", "d1", "d3", "d0", "d4"]);
        for (at, route) in routes.iter().enumerate().take(16).skip(6) {
            pool.add(route, 1, 0.5, Nanos(at as u64));
        }
        assert_eq!(names(&pool)[..4], ["d1", "d3", "d0", "d4"]);
        assert_eq!(names(&pool)[14..], ["d5", "d2"]);
    }

    #[test]
    fn what_is_worst_and_what_is_oldest_goes_in_turn_and_two_stay() {
        let (_keep, routes) = routes(32);
        let mut pool = pool(3.0, &routes);
        for (at, route) in routes.iter().enumerate().take(6) {
            pool.add(route, 1, 0.1 * (at + 1) as f32, Nanos(at as u64));
        }
        pool.remove_one();
        pool.remove_one();
        assert_eq!(
            names(&pool),
            ["d1", "d2", "d3", "d4"],
            "without d5, then d0"
        );
        for _ in 0..9 {
            pool.remove_one();
        }
        assert_eq!(pool.probed.len(), 2);
    }

    #[test]
    fn a_full_pool_gives_up_the_oldest_and_one_destination_has_one_place() {
        let (_keep, routes) = routes(40);
        let mut pool = pool(3.0, &routes);
        for (at, route) in routes.iter().enumerate() {
            pool.add(route, 1, 0.1, Nanos(at as u64));
            pool.add(route, 2, 0.2, Nanos(at as u64));
        }
        assert_eq!(pool.probed.len(), 16);
        assert!(pool.probed.iter().all(|probed| probed.at >= Nanos(24)));
    }

    #[test]
    fn probes_are_used_as_often_as_the_formula_says() {
        let (_keep, routes) = routes(100);
        let used = |probes: f64, n: usize| {
            let mut pool = pool(probes, &routes[..n]);
            let mut uses = 0;
            for _ in 0..1000 {
                pool.add(&routes[0], 0, 0.1, Nanos::ZERO);
                uses += pool.probed[0].uses;
            }
            f64::from(uses) / 1000.0
        };
        // 2 / (0.84 x 3 - 1), 2 / (0.84 x 6 - 1) raised to one, and half of few.
        assert!((used(3.0, 100) - 1.3158).abs() < 0.01);
        assert_eq!(used(6.0, 100), 1.0);
        assert_eq!(used(3.0, 8), 4.0);
        assert_eq!(used(3.0, 1), 4.0);
    }

    #[test]
    fn fractions_of_probes_are_made_up_for() {
        let mut pool = Pool::new(0.4);
        let due: usize = (0..1000).map(|_| pool.probes_due()).sum();
        assert!((399..=400).contains(&due), "{due}");
    }
}
