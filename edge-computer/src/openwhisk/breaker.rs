//! The circuit breaker of a platform: calls that fail in a row take it out of service for a while,
//! each time for longer, since a platform may list its actions well and execute none.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::health::Turn;

/// How long a platform is left alone after its calls have failed. It doubles each time, up to
/// [`LONGEST`], until a call succeeds.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a platform is in service.
#[derive(Debug)]
pub(super) struct Breaker {
    max_failures: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    in_service: bool,
    /// Listings that failed in a row.
    listings: u32,
    /// Calls that failed in a row. Listings that succeed leave it as it is: once back in service,
    /// the next call that fails is one too many.
    calls: u32,
    /// How long it is left alone the next time.
    pause: Duration,
    /// Until when it is left alone.
    alone_until: Option<Instant>,
    last_fault: String,
}

impl Breaker {
    /// Of a platform of which nothing is known, and which is taken out of service after so many
    /// faults in a row, at least one.
    pub(super) fn new(max_failures: u32) -> Self {
        Self {
            max_failures: max_failures.max(1),
            inner: Mutex::new(Inner {
                in_service: false,
                listings: 0,
                calls: 0,
                pause: FIRST,
                alone_until: None,
                last_fault: String::new(),
            }),
        }
    }

    pub(super) fn is_in_service(&self) -> bool {
        self.lock().in_service
    }

    /// Faults in a row, and the latest fault there was.
    pub(super) fn faults(&self) -> (u32, String) {
        let inner = self.lock();
        let failures = inner.listings.saturating_add(inner.calls);
        (failures, inner.last_fault.clone())
    }

    /// Until when listings do not bring it back, after calls have failed.
    pub(super) fn alone_until(&self) -> Option<Instant> {
        self.lock().alone_until
    }

    /// Its actions were listed. That brings it back, unless it is to be left alone.
    pub(super) fn listed(&self, now: Instant) -> Turn {
        let mut inner = self.lock();
        inner.listings = 0;
        if inner.alone_until.is_some_and(|until| now < until) {
            return Turn::Same;
        }
        inner.back()
    }

    /// They were not, for this reason.
    pub(super) fn not_listed(&self, fault: &str) -> Turn {
        let mut inner = self.lock();
        fault.clone_into(&mut inner.last_fault);
        inner.listings = inner.listings.saturating_add(1);
        if inner.listings < self.max_failures || !inner.in_service {
            return Turn::Same;
        }
        inner.in_service = false;
        Turn::Failed
    }

    /// It has done what a call wanted, or has said sensibly why it does not.
    pub(super) fn worked(&self) -> Turn {
        let mut inner = self.lock();
        (inner.listings, inner.calls) = (0, 0);
        inner.pause = FIRST;
        inner.back()
    }

    /// A call failed, for this reason.
    pub(super) fn call_failed(&self, fault: &str, now: Instant) -> Turn {
        let mut inner = self.lock();
        fault.clone_into(&mut inner.last_fault);
        inner.calls = inner.calls.saturating_add(1);
        // Those that were under way when it was taken out of service tell nothing new.
        if inner.calls < self.max_failures || !inner.in_service {
            return Turn::Same;
        }
        inner.in_service = false;
        inner.alone_until = Some(now + inner.pause);
        inner.pause = (inner.pause * 2).min(LONGEST);
        Turn::Failed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn back(&mut self) -> Turn {
        self.alone_until = None;
        if std::mem::replace(&mut self.in_service, true) {
            Turn::Same
        } else {
            Turn::Recovered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// How long it is out of service if listings succeed all the time.
    fn out(breaker: &Breaker, now: &mut Instant) -> Duration {
        let since = *now;
        let until = breaker.alone_until().unwrap();
        assert_eq!(breaker.listed(until - MOMENT), Turn::Same);
        assert!(!breaker.is_in_service());
        *now = until;
        assert_eq!(breaker.listed(*now), Turn::Recovered);
        assert_eq!(breaker.alone_until(), None);
        *now - since
    }

    #[test]
    fn calls_that_fail_take_it_out_for_longer_each_time_until_one_succeeds() {
        let breaker = Breaker::new(3);
        let mut now = Instant::now();
        assert_eq!(breaker.listed(now), Turn::Recovered);
        for _ in 0..2 {
            assert_eq!(breaker.call_failed("a", now), Turn::Same);
            assert_eq!(breaker.listed(now), Turn::Same);
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            // The first time it is the third fault; later, one is enough.
            assert_eq!(breaker.call_failed("b", now), Turn::Failed);
            assert_eq!(breaker.call_failed("of before", now), Turn::Same);
            assert_eq!(out(&breaker, &mut now), Duration::from_secs(seconds));
        }
        assert_eq!(breaker.worked(), Turn::Same);
        assert_eq!(breaker.faults(), (0, "of before".to_owned()));
        for turn in [Turn::Same, Turn::Same, Turn::Failed] {
            assert_eq!(breaker.call_failed("c", now), turn);
        }
        assert_eq!(out(&breaker, &mut now), FIRST);
    }

    #[test]
    fn a_call_that_succeeds_brings_it_back_at_once() {
        let breaker = Breaker::new(1);
        let now = Instant::now();
        assert_eq!(breaker.listed(now), Turn::Recovered);
        assert_eq!(breaker.call_failed("a", now), Turn::Failed);
        assert_eq!(breaker.worked(), Turn::Recovered);
        assert_eq!(breaker.alone_until(), None);
    }

    #[test]
    fn one_that_was_not_listed_is_back_with_the_first_listing() {
        let breaker = Breaker::new(2);
        let now = Instant::now();
        assert_eq!(breaker.not_listed("a"), Turn::Same);
        assert!(!breaker.is_in_service(), "nothing is known of it yet");
        assert_eq!(breaker.listed(now), Turn::Recovered);
        assert_eq!(breaker.not_listed("b"), Turn::Same);
        assert_eq!(breaker.listed(now), Turn::Same);
        assert_eq!(breaker.not_listed("c"), Turn::Same);
        assert_eq!(breaker.not_listed("d"), Turn::Failed);
        assert_eq!(breaker.faults(), (2, "d".to_owned()));
        assert_eq!(breaker.listed(now), Turn::Recovered);
    }
}
