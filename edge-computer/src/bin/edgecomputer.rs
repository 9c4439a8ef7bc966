//! `edgecomputer`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;

use edge_computer::config::{ComputerType, Config};
use edge_computer::server::{EdgeComputer, Handle, RuntimeComputer, StartError};
use edge_computer::{flags, hangup};
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_daemon::{blame, run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let Some(loaded) = flags::read(std::env::args_os())? else {
            return Ok(());
        };
        match loaded.config.computer.kind {
            ComputerType::Sim => {
                let start = async |config| {
                    let started = EdgeComputer::start(config).await;
                    started.map_err(blame(StartError::is_configuration))
                };
                serve(loaded, sections, start, Handle::shutdown)
            }
            ComputerType::Runtime => {
                let start = async |config| {
                    hangup::terminates()?;
                    let started = RuntimeComputer::start(config).await;
                    started.map_err(blame(StartError::is_configuration))
                };
                serve(loaded, sections, start, Handle::shutdown)
            }
        }
    })
}

fn sections(config: &Config) -> (&LogConfig, &DrainConfig) {
    (&config.log, &config.drain)
}
