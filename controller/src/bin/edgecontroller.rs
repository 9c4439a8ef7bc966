//! `edgecontroller`: reads its configuration, starts the controller, ends with it.

use std::process::ExitCode;

use edge_controller::{Controller, Flags, Handle, REFERENCE_OPTIONS, StartError};
use edge_daemon::{blame, cli, run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &REFERENCE_OPTIONS)?;
        let common = flags.common.clone();
        let loaded = flags.load()?;
        if !common.print_config {
            Flags::check_certificates(&loaded)?;
        }
        if common.answered(&loaded)? {
            return Ok(());
        }
        let start = async |config| {
            let started = Controller::start(config).await;
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
