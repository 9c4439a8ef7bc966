//! The router in a process of its own, with whatever configuration.

use std::path::PathBuf;

use anyhow::Context as _;
use edge_broker::Router;
use edge_broker::config::Config;

/// Options of the router.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Its configuration, as JSON
    #[arg(long)]
    conf: PathBuf,
}

/// Serves until standard input ends.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&flags.conf)
        .with_context(|| format!("cannot read {}", flags.conf.display()))?;
    let config: Config = serde_json::from_str(&text)?;
    let router = Router::start(config).await?;
    let admin = router.admin_address().context("no admin endpoint")?;
    let (lambda, tables) = (router.lambda_address(), router.table_address());
    println!("{lambda} {tables} {admin}");
    // The parent holds the other end: it cannot leave us behind.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}
