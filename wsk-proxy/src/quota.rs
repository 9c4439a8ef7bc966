//! How much each namespace may ask for: invocations per minute, and at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::Allowance;

/// Most namespaces that are remembered at the same time; only idle ones are forgotten.
const MAX_NAMESPACES: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

/// The quotas of all namespaces.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<Arc<str>, Arc<Meter>>>);

/// What one namespace has used. Its credentials may allow different amounts; what has been used of
/// the minute counts for all of them, as does what is in flight.
#[derive(Debug)]
struct Meter {
    /// Until when the minutes are used up that were allowed (GCRA's theoretical arrival time, ITU-T
    /// I.371): an invocation takes the part of a minute that is its credentials' share.
    used_until: Mutex<Instant>,
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
        self.admit_at(namespace, allowance, Instant::now())
    }

    fn admit_at(
        &self,
        namespace: &Arc<str>,
        allowance: Allowance,
        now: Instant,
    ) -> Result<Place, OverQuota> {
        let meter = self.meter(namespace, now);
        let place = meter.clone().enter(allowance.concurrent_invocations)?;
        meter.take(allowance.invocations_per_minute, now)?;
        Ok(place)
    }

    fn meter(&self, namespace: &Arc<str>, now: Instant) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get(namespace) {
            return meter.clone();
        }
        if meters.len() >= MAX_NAMESPACES {
            meters.retain(|_, meter| Arc::strong_count(meter) > 1);
        }
        let meter = Arc::new(Meter::new(now));
        meters.insert(namespace.clone(), meter.clone());
        meter
    }
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self {
            used_until: Mutex::new(now),
            in_flight: AtomicU32::new(0),
        }
    }

    fn enter(self: Arc<Self>, allowed: u32) -> Result<Place, OverQuota> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        // Counted from here on, and no longer if it was one too many.
        let place = Place(Some(self));
        if allowed > 0 && before >= allowed {
            return Err(OverQuota::Concurrency { allowed });
        }
        Ok(place)
    }

    /// Takes a share of the minute of which there are `allowed`; 0: of which there are any number.
    fn take(&self, allowed: u32, now: Instant) -> Result<(), OverQuota> {
        if allowed == 0 {
            return Ok(());
        }
        let mut used_until = self
            .used_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let then = (*used_until).max(now) + MINUTE / allowed;
        let wait = then.saturating_duration_since(now + MINUTE);
        if !wait.is_zero() {
            return Err(OverQuota::Rate { allowed, wait });
        }
        *used_until = then;
        Ok(())
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
        let now = Instant::now();
        let admit = |at| quotas.admit_at(&namespace, allowance(2, 0), at);
        assert!(admit(now).is_ok());
        assert!(admit(now).is_ok());
        let wait = Duration::from_secs(30);
        let over = OverQuota::Rate { allowed: 2, wait };
        assert_eq!(admit(now).unwrap_err(), over);
        assert_eq!(over.retry_after(), wait);
        assert!(admit(now + wait).is_ok());
        assert!(admit(now + wait).is_err());
    }

    #[test]
    fn credentials_of_one_namespace_that_differ_share_what_is_used() {
        let quotas = Quotas::default();
        let namespace: Arc<str> = "a".into();
        let now = Instant::now();
        let admit = |allowance| quotas.admit_at(&namespace, allowance, now);
        let (small, large) = (allowance(2, 1), allowance(4, 2));
        let first = admit(small).unwrap();
        assert_eq!(
            admit(small).unwrap_err(),
            OverQuota::Concurrency { allowed: 1 }
        );
        let second = admit(large).unwrap();
        assert_eq!(
            admit(large).unwrap_err(),
            OverQuota::Concurrency { allowed: 2 }
        );
        drop((first, second));
        // Half of the minute by the one and a quarter of it by the other are used.
        assert!(matches!(
            admit(small),
            Err(OverQuota::Rate { allowed: 2, .. })
        ));
        assert!(admit(large).is_ok());
        for allowance in [small, large, small] {
            assert!(matches!(admit(allowance), Err(OverQuota::Rate { .. })));
        }
    }
}
