//! `edgecomputerwsk`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;

use edge_computer::flags::read_wsk;
use edge_computer::server::{Handle, StartError, WskComputer};
use edge_daemon::{blame, run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let Some(loaded) = read_wsk(std::env::args_os())? else {
            return Ok(());
        };
        let start = async |config| {
            let started = WskComputer::start(config).await;
            started.map_err(blame(StartError::is_configuration))
        };
        serve(
            loaded,
            |config| (&config.log, &config.drain),
            start,
            Handle::shutdown,
        )
    })
}
