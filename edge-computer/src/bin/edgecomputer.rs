//! `edgecomputer`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use edge_computer::config::{ComputerType, Config};
use edge_computer::executor::Executor;
use edge_computer::flags::{self, Command};
use edge_computer::server::{EdgeComputer, Handle, RuntimeComputer};
use edge_daemon::lifecycle::{DrainTimedOut, Shutdown};
use edge_daemon::{log, signals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    edge_daemon::run(|| {
        let loaded = match flags::read(std::env::args_os())? {
            Command::Serve(loaded) => loaded,
            Command::Answered => return Ok(()),
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

async fn serve(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let deadline = config.drain.deadline;
    match config.computer.kind {
        ComputerType::Sim => drain(EdgeComputer::start(config).await?, shutdown, deadline).await,
        ComputerType::Runtime => {
            drain(RuntimeComputer::start(config).await?, shutdown, deadline).await
        }
    }
}

async fn drain<E: Executor>(
    computer: Handle<E>,
    shutdown: Shutdown,
    deadline: Duration,
) -> anyhow::Result<()> {
    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    if computer.shutdown(deadline).await {
        Ok(())
    } else {
        Err(DrainTimedOut { deadline }.into())
    }
}
