//! How much each namespace may ask for: invocations per minute, and at the same time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::auth::Allowance;

/// Most namespaces that are remembered at the same time; only idle ones are forgotten.
const MAX_NAMESPACES: usize = 10_000;

/// The quotas of all namespaces.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<Arc<str>, Arc<Meter>>>);

/// What one namespace has used.
#[derive(Debug)]
struct Meter {
    allowance: Allowance,
    rate: Option<DefaultDirectRateLimiter>,
    in_flight: AtomicU32,
}

/// A place among the invocations of a namespace, as long as it lives; of one that has no bounds none
/// are counted.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Meter>>);

/// A namespace has asked for too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OverQuota {
    #[error("too many invocations: {allowed} per minute are allowed")]
    Rate {
        allowed: u32,
        /// How long until one more is.
        wait: Duration,
    },
    #[error("too many invocations at the same time: {allowed} are allowed")]
    Concurrency { allowed: u32 },
}

impl OverQuota {
    /// When to come back.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Rate { wait, .. } => *wait,
            Self::Concurrency { .. } => Duration::from_secs(1),
        }
    }
}

impl Quotas {
    /// A place for one more invocation of `namespace`.
    ///
    /// # Errors
    /// If it has had as many as it may have.
    pub(crate) fn admit(
        &self,
        namespace: &Arc<str>,
        allowance: Allowance,
    ) -> Result<Place, OverQuota> {
        if allowance.is_unbounded() {
            return Ok(Place(None));
        }
        let meter = self.meter(namespace, allowance);
        let place = meter.clone().enter()?;
        if let Some(rate) = &meter.rate
            && let Err(not_until) = rate.check()
        {
            return Err(OverQuota::Rate {
                allowed: allowance.invocations_per_minute,
                wait: not_until.wait_time_from(DefaultClock::default().now()),
            });
        }
        Ok(place)
    }

    /// The meter of a namespace; a new one when its allowance has changed.
    fn meter(&self, namespace: &Arc<str>, allowance: Allowance) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get(namespace)
            && meter.allowance == allowance
        {
            return meter.clone();
        }
        if meters.len() >= MAX_NAMESPACES {
            meters.retain(|_, meter| Arc::strong_count(meter) > 1);
        }
        let meter = Arc::new(Meter::new(allowance));
        meters.insert(namespace.clone(), meter.clone());
        meter
    }
}

impl Meter {
    fn new(allowance: Allowance) -> Self {
        let per_minute = NonZeroU32::new(allowance.invocations_per_minute);
        Self {
            allowance,
            rate: per_minute.map(|count| RateLimiter::direct(Quota::per_minute(count))),
            in_flight: AtomicU32::new(0),
        }
    }

    fn enter(self: Arc<Self>) -> Result<Place, OverQuota> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let allowed = self.allowance.concurrent_invocations;
        // Counted from here on, and no longer if it was one too many.
        let place = Place(Some(self));
        if allowed > 0 && before >= allowed {
            return Err(OverQuota::Concurrency { allowed });
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(meter) = &self.0 {
            meter.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn allowance(invocations_per_minute: u32, concurrent_invocations: u32) -> Allowance {
        Allowance {
            invocations_per_minute,
            concurrent_invocations,
        }
    }

    #[test]
    fn places_are_given_back_and_namespaces_do_not_share_them() {
        let quotas = Quotas::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let admit = |namespace| quotas.admit(namespace, allowance(0, 2));
        let (first, _second) = (admit(&a).unwrap(), admit(&a).unwrap());
        assert_eq!(
            admit(&a).unwrap_err(),
            OverQuota::Concurrency { allowed: 2 }
        );
        assert!(admit(&b).is_ok());
        drop(first);
        assert!(admit(&a).is_ok());
    }

    #[test]
    fn a_rate_is_kept_and_says_when_to_come_back() {
        let quotas = Quotas::default();
        let namespace: Arc<str> = "a".into();
        let admit = || quotas.admit(&namespace, allowance(2, 0));
        assert!(admit().is_ok());
        assert!(admit().is_ok());
        let over = admit().unwrap_err();
        assert!(matches!(over, OverQuota::Rate { allowed: 2, .. }));
        assert!(over.retry_after() > Duration::ZERO);
        assert!(over.retry_after() <= Duration::from_secs(30));
        // New credentials count at once.
        assert!(quotas.admit(&namespace, allowance(3, 0)).is_ok());
    }
}
