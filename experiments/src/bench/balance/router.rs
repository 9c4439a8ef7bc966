//! Our router in a process of its own, with default configuration but for its ports and threads.

use anyhow::Context as _;
use edge_broker::config::{Config, TableConfig};
use edge_broker::{Router, RouterHandle};
use edge_transport::Endpoint;

/// Options of the router.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Cores to use
    #[arg(long)]
    num_threads: usize,
    /// How destinations are picked, if not by default
    #[arg(long, value_parser = policy)]
    table_conf: Option<TableConfig>,
}

/// The policy called `name`, which takes no parameters.
pub(super) fn policy(name: &str) -> Result<TableConfig, String> {
    let name = name.strip_prefix("type=").unwrap_or(name);
    serde_json::from_value(serde_json::json!({ "type": name })).map_err(|error| error.to_string())
}

/// Serves until standard input ends.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    let anywhere = Endpoint::new("127.0.0.1", 0);
    let mut config = Config::default();
    config.server.endpoint = anywhere.clone();
    config.server.num_threads = Some(flags.num_threads.try_into().map_err(anyhow::Error::msg)?);
    config.tables.endpoint = anywhere;
    config.admin.endpoint = "127.0.0.1:0".parse()?;
    if let Some(table) = flags.table_conf {
        config.table = table;
    }
    let router = Router::start(config).await?;
    println!("{}", Greeting::of(&router)?.0);
    // The parent holds the other end: it cannot leave us behind.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    Ok(())
}

/// How a router tells where it is: lambda, table and admin address.
#[derive(Debug)]
pub(super) struct Greeting(String);

impl Greeting {
    fn of(router: &RouterHandle) -> anyhow::Result<Self> {
        let admin = router.admin_address().context("no admin endpoint")?;
        let (lambda, tables) = (router.lambda_address(), router.table_address());
        Ok(Self(format!("{lambda} {tables} {admin}")))
    }

    /// What [`Greeting::of`] has said.
    pub(super) fn parse(line: &str) -> anyhow::Result<[Endpoint; 3]> {
        let endpoints: Result<Vec<Endpoint>, _> = line.split_whitespace().map(str::parse).collect();
        <[Endpoint; 3]>::try_from(endpoints?)
            .map_err(|_| anyhow::anyhow!("'{line}' is not lambda, table and admin address"))
    }
}
