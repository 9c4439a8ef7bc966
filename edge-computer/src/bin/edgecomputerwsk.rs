//! `edgecomputerwsk`: reads its command line, serves, drains when asked to end.

use std::process::ExitCode;

use edge_computer::flags::read_wsk;
use edge_computer::server::{Handle, WskComputer};
use edge_daemon::{run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let Some(loaded) = read_wsk(std::env::args_os())? else {
            return Ok(());
        };
        serve(
            loaded,
            |config| (&config.log, &config.drain),
            WskComputer::start,
            Handle::shutdown,
        )
    })
}
