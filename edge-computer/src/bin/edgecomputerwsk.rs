//! `edgecomputerwsk`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;

use anyhow::Context as _;
use edge_computer::config::WskConfig;
use edge_computer::flags::{WskCommand, read_wsk};
use edge_computer::server::WskComputer;
use edge_daemon::lifecycle::{DrainTimedOut, Shutdown};
use edge_daemon::{log, signals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    edge_daemon::run(|| {
        let loaded = match read_wsk(std::env::args_os())? {
            WskCommand::Serve(loaded) => loaded,
            WskCommand::Answered => return Ok(()),
        };
        log::init(&loaded.config.log);
        loaded.log_warnings();
        let shutdown = Shutdown::new();
        signals::install(&shutdown)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?
            .block_on(serve(loaded.config, shutdown))
    })
}

async fn serve(config: WskConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let deadline = config.drain.deadline;
    let computer = WskComputer::start(config).await?;
    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    if computer.shutdown(deadline).await {
        Ok(())
    } else {
        Err(DrainTimedOut { deadline }.into())
    }
}
