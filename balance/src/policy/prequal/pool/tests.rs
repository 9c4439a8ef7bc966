//! What a pool prefers, keeps and lets go.

use super::*;
use crate::Destinations;

fn routes(n: usize) -> (Destinations, Vec<SharedRoute>) {
    let destinations = Destinations::new();
    let route = |i: usize| {
        let destination = destinations.intern(&format!("d{i}"));
        SharedRoute::new(Route::new(destination, 1.0, true, Nanos::ZERO))
    };
    let routes = (0..n).map(route).collect();
    (destinations, routes)
}

fn pool(probes: f64, routes: &[SharedRoute]) -> Pool {
    let mut pool = Pool::new(probes);
    pool.follow(&Change::Added(routes), routes.len());
    pool
}

fn names(pool: &Pool) -> Vec<String> {
    pool.in_order()
        .into_iter()
        .map(|probed| probed.route.destination().name().to_owned())
        .collect()
}

#[test]
fn cold_ones_go_by_time_and_hot_ones_by_requests() {
    let (_keep, routes) = routes(32);
    let mut pool = pool(3.0, &routes);
    for (at, (in_flight, seconds)) in [(1, 0.3), (1, 0.1), (9, 0.01), (1, 0.2), (1, 0.4), (7, 0.01)]
        .into_iter()
        .enumerate()
    {
        pool.add(
            Chosen::from(&routes[at]),
            in_flight,
            seconds,
            Nanos(at as u64),
        );
    }
    // Of 1 1 1 1 7 9 the 0.84 quantile is 9: seven is cold yet.
    assert_eq!(names(&pool), ["d2", "d5", "d1", "d3", "d0", "d4"]);
    for (at, route) in routes.iter().enumerate().take(16).skip(6) {
        pool.add(route.into(), 1, 0.5, Nanos(at as u64));
    }
    assert_eq!(names(&pool)[..4], ["d1", "d3", "d0", "d4"]);
    assert_eq!(names(&pool)[14..], ["d5", "d2"]);
}

#[test]
fn what_is_worst_and_what_is_oldest_goes_in_turn_and_two_stay() {
    let (_keep, routes) = routes(32);
    let mut pool = pool(3.0, &routes);
    for (at, route) in routes.iter().enumerate().take(6) {
        pool.add(route.into(), 1, 0.1 * (at + 1) as f32, Nanos(at as u64));
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
        pool.add(route.into(), 1, 0.1, Nanos(at as u64));
        pool.add(route.into(), 2, 0.2, Nanos(at as u64));
    }
    assert_eq!(pool.probed.len(), 16);
    assert!(
        pool.probed
            .iter()
            .all(|probed| probed.answered >= Nanos(24))
    );
}

#[test]
fn what_is_known_of_a_route_outlives_the_others_but_not_the_route() {
    let (_keep, routes) = routes(8);
    let mut pool = pool(3.0, &routes);
    for (at, route) in routes.iter().enumerate().take(4) {
        pool.add(route.into(), 1, 0.1 * (at + 1) as f32, Nanos::ZERO);
    }
    for (left, gone) in routes[..2].iter().enumerate() {
        pool.follow(&Change::Removed(0, gone), 7 - left);
    }
    assert_eq!(names(&pool), ["d2", "d3"]);
    pool.add(Chosen::from(&routes[0]), 1, 0.1, Nanos::ZERO);
    pool.add(Chosen::from(&routes[5]), 1, 0.1, Nanos::ZERO);
    assert_eq!(
        names(&pool),
        ["d5", "d2", "d3"],
        "the late answer is ignored"
    );
}

#[test]
fn probes_are_used_as_often_as_the_formula_says() {
    let (_keep, routes) = routes(100);
    let used = |probes: f64, n: usize| {
        let mut pool = pool(probes, &routes[..n]);
        let mut uses = 0;
        for _ in 0..1000 {
            pool.add(Chosen::from(&routes[0]), 0, 0.1, Nanos::ZERO);
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
fn in_quiet_times_our_requests_count_while_they_are_there_and_those_there_at_the_end_remain() {
    let (_keep, routes) = routes(32);
    let mut pool = pool(3.0, &routes);
    for route in &routes[..16] {
        pool.add(route.into(), 0, 0.1, Nanos::ZERO);
    }
    let ours = routes[3].destination();
    let counted = |pool: &Pool| {
        let probed = pool.probed.iter().find(|probed| probed.is_of(&routes[3]));
        (pool.requests(probed.unwrap()), pool.ranked(|_| true).idle)
    };
    ours.begin(0.1, Nanos::ZERO);
    assert_eq!(
        counted(&pool).0,
        0,
        "not sent on the strength of the answer"
    );
    (0..64).for_each(|_| pool.heard(true));
    assert_eq!(counted(&pool), (1, 15));
    ours.end();
    assert_eq!(counted(&pool), (0, 16));
    assert!(pool.is_full() && pool.rests(&pool.ranked(|_| true)));
    let idle = |pool: &Pool, n: usize| {
        pool.rests(&pool.ranked(|route| route.destination().id() < n as u64))
    };
    assert!(idle(&pool, 8) && !idle(&pool, 7), "half of the pool");
    ours.begin(0.1, Nanos::ZERO);
    pool.heard(false);
    ours.end();
    assert_eq!(counted(&pool).0, 1);
    assert!(!pool.rests(&pool.ranked(|_| true)));
}

#[test]
fn fractions_are_made_up_for() {
    let mut shares = Whole::default();
    let due: u32 = (0..1000).map(|_| shares.next(0.4)).sum();
    assert!((399..=400).contains(&due), "{due}");
}
