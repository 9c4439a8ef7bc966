//! Router and controller in processes of their own, started through the doors of their programs.

use std::time::Duration;

use edge_broker::{Router, RouterHandle};
use edge_controller::Controller;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::signals;
use edge_transport::Endpoint;

/// How long a daemon that is asked to end lets requests finish, which is the default.
const DRAIN: Duration = Duration::from_secs(10);

/// Options of the router, whose configuration is the default one but for these.
#[derive(Debug, clap::Args)]
pub(crate) struct RouterFlags {
    /// Where to take requests
    #[arg(long)]
    endpoint: Endpoint,
    /// Where to serve its tables
    #[arg(long)]
    tables: Endpoint,
    /// Where to show metrics
    #[arg(long)]
    admin: Endpoint,
    /// Who fills its tables
    #[arg(long)]
    controller: Option<Endpoint>,
    /// Cores to use
    #[arg(long)]
    num_threads: usize,
}

/// Routes until it is asked to end, which lets requests finish, or its standard input ends.
pub(crate) async fn route(flags: RouterFlags) -> anyhow::Result<()> {
    let mut config = edge_broker::Config::default();
    config.server.endpoint = flags.endpoint;
    config.server.num_threads = Some(flags.num_threads.try_into().map_err(anyhow::Error::msg)?);
    config.tables.endpoint = flags.tables;
    config.controller.endpoint = flags.controller;
    config.admin.endpoint = flags.admin.to_string().parse()?;
    let router: RouterHandle = Router::start(config).await?;
    println!("{}", router.lambda_address());
    until_asked_to_end().await?;
    anyhow::ensure!(router.shutdown(DRAIN).await, "requests have been cut off");
    // The thread that waits for standard input cannot be interrupted.
    std::process::exit(0)
}

/// Options of the controller.
#[derive(Debug, clap::Args)]
pub(crate) struct ControllerFlags {
    /// Where computers and routers announce themselves
    #[arg(long)]
    endpoint: Endpoint,
}

/// Controls until it is asked to end or its standard input ends.
pub(crate) async fn control(flags: ControllerFlags) -> anyhow::Result<()> {
    let mut config = edge_controller::Config::default();
    config.server.endpoint = flags.endpoint;
    config.admin.endpoint = "".parse()?;
    let controller = Controller::start(config).await?;
    println!("{}", controller.address());
    until_asked_to_end().await?;
    controller.shutdown(DRAIN).await;
    std::process::exit(0)
}

/// Returns on a signal. The parent holds the other end of standard input: if it ends, so does the
/// process, which the parent cannot leave behind.
async fn until_asked_to_end() -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let input =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        ended = input => {
            ended??;
            std::process::exit(0)
        }
        _ = shutdown.requested() => Ok(()),
    }
}
