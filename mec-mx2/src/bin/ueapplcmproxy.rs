//! `ueapplcmproxy`: reads its configuration, starts the Mx2 server, ends with it.

use std::process::ExitCode;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{cli, log, run, signals};
use mec_mx2::{Config, Flags, REFERENCE_OPTIONS, Server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &REFERENCE_OPTIONS)?;
        let common = flags.common.clone();
        let loaded = flags.load()?;
        if common.answered(&loaded)? {
            return Ok(());
        }
        log::init(&loaded.config.log);
        loaded.log_warnings();
        let shutdown = Shutdown::new();
        signals::install(&shutdown)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(loaded.config, shutdown))
    })
}

async fn serve(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let patience = config.drain.deadline;
    let server = Server::start(config).await?;
    let reason = shutdown.requested().await;
    tracing::info!(reason, "shutting down");
    if !server.shutdown(patience).await {
        anyhow::bail!("gave up what was still in flight after {patience:?}");
    }
    Ok(())
}
