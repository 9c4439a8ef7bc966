//! `edgecomputer`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;

use edge_computer::config::{ComputerType, Config};
use edge_computer::server::{EdgeComputer, Handle, RuntimeComputer};
use edge_computer::{flags, hangup};
use edge_daemon::lifecycle::DrainConfig;
use edge_daemon::log::LogConfig;
use edge_daemon::{run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let Some(loaded) = flags::read(std::env::args_os())? else {
            return Ok(());
        };
        match loaded.config.computer.kind {
            ComputerType::Sim => serve(loaded, sections, EdgeComputer::start, Handle::shutdown),
            ComputerType::Runtime => {
                let start = async |config| {
                    hangup::terminates()?;
                    anyhow::Ok(RuntimeComputer::start(config).await?)
                };
                serve(loaded, sections, start, Handle::shutdown)
            }
        }
    })
}

fn sections(config: &Config) -> (&LogConfig, &DrainConfig) {
    (&config.log, &config.drain)
}
