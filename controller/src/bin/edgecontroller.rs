//! `edgecontroller`: reads its configuration, starts the controller, ends with it.

use std::process::ExitCode;

use edge_controller::{Config, Controller, Flags, REFERENCE_OPTIONS};
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{cli, log, run, signals};

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
    let controller = Controller::start(config).await?;
    let reason = shutdown.requested().await;
    tracing::info!(reason, "shutting down");
    if !controller.shutdown(patience).await {
        anyhow::bail!("gave up what was still in flight after {patience:?}");
    }
    Ok(())
}
