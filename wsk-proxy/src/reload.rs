//! Credentials that are read again when their file changes.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::auth::{self, Doorkeeper};
use crate::shared::Shared;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
type Mark = Option<(SystemTime, u64)>;

/// Looks at the file as long as it is polled, and when a SIGHUP comes. A file that makes no sense
/// changes nothing.
pub(crate) async fn keep_reading(shared: &Shared, path: &Path, mut known: Mark) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            () = hung_up(&mut hangup) => true,
        };
        let now = mark(path);
        if now == known && !asked {
            continue;
        }
        known = now;
        let usual = shared.config.usual_allowance();
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || auth::read(&file, usual)).await;
        match (read, &shared.doorkeeper) {
            (Ok(Ok(credentials)), Doorkeeper::Credentials(current)) => {
                tracing::info!(credentials = credentials.len(), "credentials read again");
                current.store(credentials.into());
            }
            (Ok(Err(error)), _) => {
                tracing::error!(%error, "the credentials stay as they were");
            }
            _ => {}
        }
    }
}

/// The state of the file now; `None` if it is not there.
pub(crate) fn mark(path: &Path) -> Mark {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
