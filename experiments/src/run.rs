//! `lab run`: the reference's QUIC experiments again, with its published figures beside ours.
//!
//! Real programs on hosts of a packet fabric (see [`crate::fabric`]), so that TCP loses packets as
//! QUIC does. Where the machine does not allow that, proxies stand between processes on the loopback
//! interface, and what they cannot show stays empty.

mod campaign;
mod cell;
mod chicago;
mod client;
mod cold;
mod figures;
mod flags;
mod goal;
mod ground;
mod mode;
mod page;
mod published;
mod scene;
mod speed;
mod table;

use clap::Subcommand;

/// The experiments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Client and computer with two lossy links between them: links, losses, protocols
    #[command(name = "quic-302")]
    Loss(flags::Loss),
    /// Client, router and computer without losses: links, protocols
    #[command(name = "quic-303")]
    Router(flags::Router),
    /// 40 clients and 6 computers in Chicago: one router, or one beside each computer
    #[command(name = "quic-304")]
    Chicago(flags::Chicago),
    /// 20 ms round trip, 1 % loss, 16 requests in flight: the tail beside that of TCP with TLS
    #[command(name = "quic-goal")]
    Goal(flags::Goal),
    /// The first call to a destination, without a connection: round trips by protocol
    #[command(name = "quic-cold")]
    Cold(cold::Cold),
}

/// Runs an experiment, prints its tables, writes its page.
pub(crate) async fn execute(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Loss(flags) => campaign::run(&flags.common, flags.cells()?).await.map(drop),
        Command::Router(flags) => campaign::run(&flags.common, flags.cells()?).await.map(drop),
        Command::Chicago(flags) => campaign::run(&flags.common, flags.cells()?).await.map(drop),
        Command::Goal(flags) => goal::run(flags).await,
        Command::Cold(flags) => cold::run(flags).await,
    }
}
