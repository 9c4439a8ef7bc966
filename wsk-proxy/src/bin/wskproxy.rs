//! `wskproxy`: reads its configuration, starts the proxy, ends with it.

use std::process::ExitCode;

use edge_daemon::lifecycle::{DrainTimedOut, Shutdown};
use edge_daemon::{cli, log, run, signals};
use wsk_proxy::{Config, Flags, Proxy, REFERENCE_OPTIONS};

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
    let deadline = config.drain.deadline;
    let proxy = Proxy::start(config).await?;
    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    if proxy.shutdown(deadline).await {
        Ok(())
    } else {
        Err(DrainTimedOut { deadline }.into())
    }
}
