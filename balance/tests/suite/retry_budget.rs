//! The retry budget: in proportion to requests, within a sliding window.

use crate::seconds;
use edge_balance::{Nanos, RetryBudget};
use proptest::prelude::*;

fn granted(budget: &RetryBudget, attempts: usize, now: Nanos) -> usize {
    (0..attempts).filter(|_| budget.try_withdraw(now)).count()
}

#[test]
fn a_fifth_of_the_requests_and_the_reserve_may_be_retried() {
    let budget = RetryBudget::new(0.2, 10.0, seconds(10.0));
    let now = seconds(1000.0);
    assert_eq!(
        granted(&budget, 1000, now),
        100,
        "the reserve of ten seconds"
    );
    for _ in 0..1000 {
        budget.deposit(now);
    }
    assert_eq!(granted(&budget, 1000, now), 200);
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let budget = RetryBudget::new(0.5, 0.0, seconds(10.0));
    for _ in 0..100 {
        budget.deposit(seconds(0.5));
    }
    assert_eq!(granted(&budget, 30, seconds(9.5)), 30);
    assert_eq!(
        granted(&budget, 100, seconds(10.5)),
        0,
        "requests left the window"
    );
    for _ in 0..100 {
        budget.deposit(seconds(10.6));
    }
    assert_eq!(
        granted(&budget, 100, seconds(10.7)),
        20,
        "retries of second 9 still count"
    );
    for _ in 0..10 {
        budget.deposit(seconds(19.2));
    }
    assert_eq!(
        granted(&budget, 100, seconds(19.5)),
        35,
        "110 requests, 20 retries"
    );
}

#[test]
fn a_clock_that_is_slightly_behind_loses_nothing() {
    let budget = RetryBudget::new(1.0, 0.0, seconds(10.0));
    budget.deposit(seconds(20.01));
    budget.deposit(seconds(19.99));
    budget.deposit(seconds(10.5));
    assert_eq!(granted(&budget, 10, seconds(20.02)), 3);
}

#[test]
fn senseless_parameters_allow_nothing() {
    let budget = RetryBudget::new(f64::NAN, -1.0, Nanos::ZERO);
    budget.deposit(Nanos(5));
    assert!(!budget.try_withdraw(Nanos(5)));
}

proptest! {
    #[test]
    fn no_window_sees_more_retries_than_its_budget(
        steps in prop::collection::vec((0.0..0.4_f64, 0..5_u32, 0..20_u32), 1..300),
        ratio in 0.0..1.0_f64,
        reserve in 0.0..3.0_f64,
    ) {
        let budget = RetryBudget::new(ratio, reserve, seconds(10.0));
        let (mut now, mut requests, mut retries) = (seconds(50.0), Vec::new(), Vec::new());
        for (pause, deposits, attempts) in steps {
            now = now + seconds(pause);
            for _ in 0..deposits {
                budget.deposit(now);
                requests.push(now);
            }
            for _ in 0..attempts {
                if budget.try_withdraw(now) {
                    retries.push(now);
                }
            }
            // The window as the budget sees it: this slot of a second and the nine before.
            let start = seconds((now.as_secs_f64().floor() - 9.0).max(0.0));
            let within = |times: &[Nanos]| times.iter().filter(|time| **time >= start).count();
            let allowed = ratio * within(&requests) as f64 + reserve * 10.0;
            // Requests may leave a window whose retries stay; only what was just granted is bound.
            if retries.last() == Some(&now) {
                prop_assert!(within(&retries) as f64 <= allowed + 1e-6);
            }
        }
    }
}

#[test]
fn a_retry_that_is_not_made_is_given_back() {
    let budget = RetryBudget::new(0.0, 1.0, seconds(1.0));
    let now = seconds(1000.0);
    let withdrawal = budget.withdraw(now).unwrap();
    assert!(budget.withdraw(now).is_none(), "there is only one");
    drop(withdrawal);
    budget.withdraw(now).unwrap().spend();
    assert!(budget.withdraw(now).is_none());
    let late = RetryBudget::new(0.0, 1.0, seconds(1.0));
    let withdrawal = late.withdraw(now).unwrap();
    late.withdraw(now + seconds(5.0)).unwrap().spend();
    drop(withdrawal);
    assert!(
        late.withdraw(now + seconds(5.0)).is_none(),
        "what is forgotten is not given back again"
    );
}

#[test]
fn requests_that_count_alike_may_be_noted_together() {
    let new = || RetryBudget::new(0.2, 0.0, seconds(10.0));
    let (each, together) = (new(), new());
    let first = seconds(12.345);
    let end = each.alike_until(first);
    assert_eq!(end, seconds(13.0));
    for _ in 0..100 {
        each.deposit(Nanos(end.0 - 1));
    }
    together.deposit_many(100, first);
    for budget in [each, together] {
        assert_eq!(granted(&budget, 15, seconds(21.9)), 15);
        assert_eq!(granted(&budget, 15, seconds(21.9)), 5);
        assert_eq!(granted(&budget, 15, seconds(22.0)), 0);
        assert_eq!(budget.alike_until(Nanos::MAX), Nanos::MAX);
    }
}
