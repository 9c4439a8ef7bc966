//! `ueapplcmproxy`: reads its configuration, starts the Mx2 server, ends with it.

use std::process::ExitCode;

use edge_daemon::{blame, cli, run, serve};
use mec_mx2::{Flags, Handle, REFERENCE_OPTIONS, Server, StartError};

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
        let start = async |config| {
            let started = Server::start(config).await;
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
