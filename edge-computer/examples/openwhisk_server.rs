//! Serves `edge_computer::whisk` until it is killed, for clients that nobody here wrote.
//!
//! usage: openwhisk_server [HOST:PORT]; prints its URL and the credentials of `guest` as JSON

use std::io::Write as _;

use edge_computer::whisk::{User, Whisk, WhiskConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = WhiskConfig {
        invocations_per_minute: 100_000,
        ..WhiskConfig::default()
    };
    if let Some(address) = std::env::args().nth(1) {
        config.listen = address.parse()?;
    }
    let server = Whisk::start(config).await?;
    let told = serde_json::json!({ "url": server.url(), "auth": User::guest().auth() });
    let mut out = std::io::stdout();
    writeln!(out, "{told}")?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
