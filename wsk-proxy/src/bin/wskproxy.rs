//! `wskproxy`: reads its configuration, starts the proxy, ends with it.

use std::process::ExitCode;

use edge_daemon::{cli, run, serve};
use wsk_proxy::{Flags, Handle, Proxy, REFERENCE_OPTIONS};

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
        serve(
            loaded,
            |config| (&config.log, &config.drain),
            Proxy::start,
            Handle::shutdown,
        )
    })
}
