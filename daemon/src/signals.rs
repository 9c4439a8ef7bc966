//! SIGINT and SIGTERM: the first asks the process to drain, the second ends it at once.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{lifecycle::Shutdown, log};

/// The exit code of a process that a second signal ended.
const FORCED: i32 = 1;

/// How long the end waits for a reader of the log.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// From now on the first SIGINT or SIGTERM requests `shutdown`, and the next one ends the
/// process immediately with exit code 1. A process that ends because of the first one
/// alone exits with whatever its `main` returns: 0 when the drain succeeded.
///
/// Signals are awaited on a thread of their own, so that the second one works even when
/// the program's runtime is stuck.
///
/// # Errors
/// The operating system refuses the handlers or the thread.
pub fn install(shutdown: &Shutdown) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let shutdown = shutdown.clone();
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let wait = move || {
        runtime.block_on(async {
            let name = either(&mut interrupt, &mut terminate).await;
            shutdown.request(name);
            let name = either(&mut interrupt, &mut terminate).await;
            log::last_words(&format!("{name} again: ending at once\n"), LAST_WORDS);
            std::process::exit(FORCED);
        });
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
