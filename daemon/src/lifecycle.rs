//! The end of a process: asked for once, seen by all its parts, bounded in time.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// The section `drain` of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DrainConfig {
    /// How long requests in flight may take to finish once the process was asked to end.
    #[serde(with = "crate::duration")]
    pub deadline: Duration,
}

impl Default for DrainConfig {
    /// Ten seconds.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
        }
    }
}

/// The request to end, which all parts of the process share. Clones are the same request.
///
/// Signals make it (see [`signals`](crate::signals)); so can tests and the program itself.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    reason: Arc<OnceLock<&'static str>>,
}

impl Shutdown {
    /// A process that nobody asked to end yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the process to finish what it is doing and end. Only the first reason counts.
    pub fn request(&self, reason: &'static str) {
        self.reason.get_or_init(|| reason);
        self.token.cancel();
    }

    /// Whether the process was asked to end.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the process is asked to end, and returns the reason.
    pub async fn requested(&self) -> &'static str {
        self.token.cancelled().await;
        self.reason.get().copied().unwrap_or("requested")
    }

    /// The request as a token, for parts that take one. Cancel it through
    /// [`request`](Self::request), which records the reason.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

/// A number that grows with each start of a process, for those who have to tell one from
/// the next in the same place: milliseconds since 1970. 0, which says nothing, on a machine
/// whose clock is before that.
pub fn generation() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Requests in flight did not finish by the deadline, and were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("gave up what was still in flight after {}", humantime::format_duration(*.deadline))]
pub struct DrainTimedOut {
    /// How long was waited.
    pub deadline: Duration,
}

/// Waits for `work`, the graceful stop of the parts of the process, until the deadline.
///
/// # Errors
/// The deadline passed first; `work` is dropped.
pub async fn drain<T>(
    deadline: Duration,
    work: impl Future<Output = T>,
) -> Result<T, DrainTimedOut> {
    tokio::time::timeout(deadline, work)
        .await
        .map_err(|_| DrainTimedOut { deadline })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn all_clones_see_the_request_and_its_first_reason() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(!other.is_requested());
        let waiting = tokio::spawn(async move { other.requested().await });
        shutdown.request("SIGTERM");
        shutdown.request("SIGINT");
        assert_eq!(waiting.await.unwrap(), "SIGTERM");
        assert!(shutdown.is_requested());
        assert!(shutdown.token().is_cancelled());
    }

    #[tokio::test]
    async fn a_request_made_before_the_wait_is_seen() {
        let shutdown = Shutdown::new();
        shutdown.request("test");
        assert_eq!(shutdown.requested().await, "test");
    }

    #[tokio::test]
    async fn a_drain_ends_with_its_work_or_at_its_deadline() {
        assert_eq!(drain(Duration::from_secs(60), ready(7)).await, Ok(7));
        let deadline = Duration::from_millis(1);
        let error = drain(deadline, pending::<()>()).await.unwrap_err();
        assert_eq!(error, DrainTimedOut { deadline });
        assert_eq!(
            error.to_string(),
            "gave up what was still in flight after 1ms"
        );
    }
}
