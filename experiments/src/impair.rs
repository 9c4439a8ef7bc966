//! `lab impair`: a link of a given quality between any client and any server of this machine.
//!
//! A proxy in user space that needs no privileges. Datagrams are delayed, lost, reordered, and
//! dropped by a full queue; of TCP, whose losses happen below what a proxy sees, only delay and rate
//! can be shown. Where namespaces are allowed, [`crate::fabric`] has no such limit.

pub(crate) mod line;
pub(crate) mod link;
pub(crate) mod path;
mod proxy;
pub(crate) mod quality;
mod tcp;
mod udp;

use std::net::SocketAddr;

use edge_daemon::UsageError;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::signals;

pub(crate) use self::proxy::{Plan, Proxy};
use self::quality::Quality;

/// Options of the proxy.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where clients come in; port 0 picks a free one, the same for UDP and TCP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where they want to go
    #[arg(long, value_name = "ADDRESS:PORT")]
    target: SocketAddr,
    /// What is carried. Of TCP up to 256 connections at the same time, fewer where `ulimit -Hn` is below
    /// 1600, since each takes six file descriptors; the next ones wait until one ends
    #[arg(long, value_enum, default_value_t = Carries::Both)]
    carries: Carries,
    /// Both directions: delay=10ms,rate=1Mbit,burst=15360,loss=1%,reorder=1%,queue=1000, all
    /// optional
    #[arg(long, value_name = "QUALITY", default_value = "")]
    link: Quality,
    /// From client to target, instead of --link
    #[arg(long, value_name = "QUALITY")]
    up: Option<Quality>,
    /// From target to client, instead of --link
    #[arg(long, value_name = "QUALITY")]
    down: Option<Quality>,
    /// Decides what is lost
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Carries {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
    /// Both, at the same port.
    Both,
}

/// Prints where it listens, carries until it is asked to end, and prints what it has counted: one
/// JSON object per protocol and direction.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let plan = Plan {
        listen: flags.listen,
        target: flags.target,
        carries: flags.carries,
        up: flags.up.unwrap_or(flags.link),
        down: flags.down.unwrap_or(flags.link),
        seed: flags.seed,
    };
    let packets_only = plan.up.is_for_packets_only() || plan.down.is_for_packets_only();
    match plan.carries {
        Carries::Tcp if packets_only => {
            let why = "a proxy cannot make TCP lose or reorder packets: only delay, rate and queue";
            return Err(UsageError(why.to_owned()).into());
        }
        Carries::Both if packets_only => {
            eprintln!("warning: losses and reordering are for UDP: TCP gets delay, rate and queue");
        }
        _ => {}
    }
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let proxy = Proxy::start(&plan).await?;
    println!("{}", proxy.address());
    shutdown.requested().await;
    for line in proxy.counters() {
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}
