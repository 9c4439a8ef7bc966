//! Whether a process wants requests, and if not, why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The readiness of a process. Clones are the same; it begins as not ready, "starting".
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some("starting".to_owned()))))
    }
}

impl Readiness {
    /// The process serves.
    pub fn ready(&self) {
        *self.reason() = None;
    }

    /// The process does not serve, or not any more, for this reason.
    pub fn not_ready(&self, reason: impl Into<String>) {
        *self.reason() = Some(reason.into());
    }

    /// Why the process is not ready; `None` if it is.
    pub fn why_not(&self) -> Option<String> {
        self.reason().clone()
    }

    fn reason(&self) -> MutexGuard<'_, Option<String>> {
        // A reason is replaced as a whole, so that a panic elsewhere cannot spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
