//! `edgeclient`: calls lambdas, and measures how long they take.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    edge_daemon::run(|| edge_client::edgeclient::main(std::env::args_os()))
}
