//! Whether what is behind a computer works: faults in a row take it out of service, the first
//! success brings it back.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The health of one platform, or of whatever else may be gone.
#[derive(Debug)]
pub struct Health {
    max_failures: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    healthy: bool,
    failures: u32,
    last_fault: String,
}

/// What happened to the health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is what it was.
    Same,
    /// It is in service from now on.
    Recovered,
    /// It is out of service from now on.
    Failed,
}

impl Health {
    /// In service or not, and out of it after so many faults in a row, at least one.
    pub fn new(healthy: bool, max_failures: u32) -> Self {
        Self {
            max_failures: max_failures.max(1),
            inner: Mutex::new(Inner {
                healthy,
                failures: 0,
                last_fault: String::new(),
            }),
        }
    }

    /// Whether it is in service.
    pub fn is_healthy(&self) -> bool {
        self.lock().healthy
    }

    /// Faults in a row, and the latest fault there was.
    pub fn faults(&self) -> (u32, String) {
        let inner = self.lock();
        (inner.failures, inner.last_fault.clone())
    }

    /// It works.
    pub fn succeeded(&self) -> Turn {
        let mut inner = self.lock();
        inner.failures = 0;
        if std::mem::replace(&mut inner.healthy, true) {
            Turn::Same
        } else {
            Turn::Recovered
        }
    }

    /// It does not, for this reason.
    pub fn failed(&self, fault: &str) -> Turn {
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        fault.clone_into(&mut inner.last_fault);
        if inner.failures < self.max_failures {
            return Turn::Same;
        }
        if std::mem::replace(&mut inner.healthy, false) {
            Turn::Failed
        } else {
            Turn::Same
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_in_a_row_count_and_one_success_is_enough() {
        let health = Health::new(true, 3);
        assert_eq!(health.failed("a"), Turn::Same);
        assert_eq!(health.succeeded(), Turn::Same);
        assert_eq!([health.failed("b"), health.failed("c")], [Turn::Same; 2]);
        assert!(health.is_healthy());
        assert_eq!(health.failed("d"), Turn::Failed);
        assert_eq!(health.failed("e"), Turn::Same);
        assert_eq!(health.faults(), (4, "e".to_owned()));
        assert!(!health.is_healthy());
        assert_eq!(health.succeeded(), Turn::Recovered);
        assert_eq!(health.faults(), (0, "e".to_owned()));
    }
}
