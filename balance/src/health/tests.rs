//! What sets a destination aside, and what ends it.

use super::*;

fn health() -> Health {
    Health::new(Arc::default(), 0)
}

#[test]
fn a_far_future_saturates() {
    let health = health();
    health.failed(health.ticket(), Nanos::MAX);
    let Standing::Ejected { until } = health.standing() else {
        panic!("not ejected")
    };
    assert!(until > Nanos::from_secs(86_400 * 365));
}

#[test]
fn a_stall_ends_with_any_answer_and_becomes_an_ejection_with_any_failure() {
    let health = health();
    let before = health.ticket();
    health.stall(Nanos::ZERO);
    assert_eq!(health.obstacle(), Some(Obstacle::Failing));
    health.succeeded(before, Nanos::from_secs(1));
    assert!(health.is_healthy());
    health.stall(Nanos::from_secs(1));
    health.failed(before, Nanos::from_secs(1));
    let until = Nanos::from_secs(1) + FIRST_EJECTION;
    assert_eq!(health.standing(), Standing::Ejected { until });
}

#[test]
fn a_push_back_lasts_as_long_as_was_asked_for_whatever_else_is_answered() {
    let health = health();
    let before = health.ticket();
    health.pushed_back(health.ticket(), Some(Nanos::from_millis(40)), Nanos::ZERO);
    assert_eq!(health.obstacle(), Some(Obstacle::Busy));
    health.succeeded(before, Nanos::from_millis(10));
    assert!(!health.is_healthy());
    assert!(health.try_early_trial(Nanos::from_millis(39)).is_none());
    assert!(health.try_trial(Nanos::from_millis(39)).is_none());
    let trial = health.try_trial(Nanos::from_millis(40)).unwrap();
    health.succeeded(trial, Nanos::from_millis(41));
    assert!(health.is_healthy());
}

#[test]
fn a_push_back_is_neither_for_ever_nor_for_no_time() {
    let health = health();
    health.pushed_back(health.ticket(), Some(Nanos::MAX), Nanos::ZERO);
    let until = Nanos::from_secs(2);
    assert_eq!(health.standing(), Standing::PushedBack { until });
    let trial = health.try_trial(until).unwrap();
    health.pushed_back(trial, Some(Nanos::ZERO), until);
    assert!(health.try_trial(until).is_none());
}

#[test]
fn pauses_that_nobody_asked_for_double_up_to_two_seconds_and_start_over() {
    let health = health();
    let mut now = Nanos::ZERO;
    let mut ticket = health.ticket();
    for expected in [20, 40, 80, 160, 320, 640, 1280, 2000, 2000] {
        health.pushed_back(ticket, None, now);
        let until = now + Nanos::from_millis(expected);
        assert_eq!(health.standing(), Standing::PushedBack { until });
        now = until;
        ticket = health.try_trial(now).unwrap();
    }
    health.succeeded(ticket, now);
    health.pushed_back(health.ticket(), None, now);
    let until = now + Nanos::from_millis(20);
    assert_eq!(health.standing(), Standing::PushedBack { until });
}

#[test]
fn the_census_counts_each_that_is_set_aside_once() {
    let census = Arc::new(Census::default());
    let health = Health::new(census.clone(), 0);
    health.set_full(true);
    health.failed(health.ticket(), Nanos::ZERO);
    assert_eq!(census.set_aside(), 1);
    health.set_full(false);
    assert_eq!(census.set_aside(), 1);
    let trial = health.try_trial(FIRST_EJECTION).unwrap();
    health.succeeded(trial, FIRST_EJECTION);
    assert_eq!(census.set_aside(), 0);
}

#[test]
fn one_that_is_badly_needed_is_tried_a_quarter_of_a_second_after_it_was_ejected_whatever_its_jitter()
 {
    let start = Nanos::from_secs(100);
    // A millisecond is what the end of an ejection is rounded to.
    let early = start + SHORTEST_REST - Nanos::from_millis(1);
    let due = start + SHORTEST_REST + Nanos::from_millis(1);
    for seed in 1..100 {
        let health = Health::new(Arc::new(Census::new(seed)), 7);
        let mut now = start;
        for level in 1..=HIGHEST_LEVEL {
            let ticket = health.try_trial(now).unwrap_or(health.ticket());
            health.failed(ticket, now);
            assert_eq!(health.state().level, level);
            let since = |moment: Nanos| now + moment.since(start);
            assert!(health.try_early_trial(since(early)).is_none());
            let trial = health.try_early_trial(since(due)).expect("it is due");
            health.abandoned(trial);
            now = health.state().until();
        }
    }
}

#[test]
fn jitter_differs_between_brokers_and_stays_within_a_quarter() {
    let jitters: Vec<_> = (1..100)
        .map(|seed| Census::new(seed).jitter(3, 1))
        .collect();
    assert!(jitters.iter().all(|jitter| (0.0..JITTER).contains(jitter)));
    assert!(jitters.iter().any(|jitter| *jitter < 0.05));
    assert!(jitters.iter().any(|jitter| *jitter > 0.2));
}
