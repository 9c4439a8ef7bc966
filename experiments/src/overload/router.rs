//! The router in a process of its own, with whatever configuration.

use std::path::PathBuf;

use anyhow::Context as _;
use edge_broker::Router;
use edge_broker::config::Config;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

/// The configuration of a router on free ports to which the lambda `urgent` goes before all
/// others, with `more` merged over it key by key. Checked as if it were read.
pub(super) fn configuration(
    threads: usize,
    urgent: Option<&str>,
    more: Option<&Value>,
) -> Result<Value, String> {
    let lambdas: Map<String, Value> = urgent
        .map(|name| (name.to_owned(), json!({ "priority": 1 })))
        .into_iter()
        .collect();
    let mut configuration = json!({
        "server": { "endpoint": "127.0.0.1:0", "num-threads": threads },
        "tables": { "endpoint": "127.0.0.1:0" },
        "admin": { "endpoint": "127.0.0.1:0" },
        "lambda": lambdas,
    });
    if let Some(more) = more {
        merge(&mut configuration, more);
    }
    let checked = Config::deserialize(&configuration);
    checked
        .map(|_| configuration)
        .map_err(|error| error.to_string())
}

fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_merged_key_by_key_and_checked() {
        let more =
            json!({ "server": { "num-threads": 3 }, "router": { "max-pending-clients": 7 } });
        let merged = configuration(2, Some("f"), Some(&more)).unwrap();
        assert_eq!(
            merged["server"],
            json!({ "endpoint": "127.0.0.1:0", "num-threads": 3 })
        );
        assert_eq!(merged["lambda"], json!({ "f": { "priority": 1 } }));
        assert_eq!(merged["router"]["max-pending-clients"], 7);
        let wrong = json!({ "router": { "no-such-key": 7 } });
        let problem = configuration(2, None, Some(&wrong)).unwrap_err();
        assert!(problem.contains("no-such-key"), "{problem}");
    }
}
