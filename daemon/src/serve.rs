//! The life of a daemon from its configuration to its end: log, signals, start, drain.

use std::time::Duration;

use crate::layers::Loaded;
use crate::lifecycle::{DrainConfig, DrainTimedOut, Shutdown};
use crate::log::{self, LogConfig};
use crate::signals;

/// Sets up the log and the signals, starts a server on a runtime of the current thread, and stops it
/// when a signal asks for that.
///
/// `sections` says where the configuration has what is needed of it here. `stop` gets the time that
/// what is in flight may take, and says whether that was enough.
///
/// # Errors
/// The server does not start, or had to give up what was still in flight.
pub fn serve<C, H, E: Into<anyhow::Error>>(
    loaded: Loaded<C>,
    sections: impl FnOnce(&C) -> (&LogConfig, &DrainConfig),
    start: impl AsyncFnOnce(C) -> Result<H, E>,
    stop: impl AsyncFnOnce(H, Duration) -> bool,
) -> anyhow::Result<()> {
    let (log, drain) = sections(&loaded.config);
    let deadline = drain.deadline;
    log::init(log);
    loaded.log_warnings();
    // Before anything is started, so that nothing that is started misses one.
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let life = async {
        let server = start(loaded.config).await.map_err(Into::into)?;
        let reason = shutdown.requested().await;
        tracing::info!(reason, "draining");
        if stop(server, deadline).await {
            Ok(())
        } else {
            Err(DrainTimedOut { deadline }.into())
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(life)
}
