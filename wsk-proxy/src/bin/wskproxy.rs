//! `wskproxy`: reads its configuration, starts the proxy, ends with it.

use std::process::ExitCode;

use edge_daemon::{blame, cli, run, serve};
use wsk_proxy::{Flags, Handle, Proxy, REFERENCE_OPTIONS, StartError};

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
            let started = Proxy::start(config).await;
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
