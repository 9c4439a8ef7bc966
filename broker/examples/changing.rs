//! Somebody who changes the table of a router that runs elsewhere, for `ci/count_instructions.py`:
//! `changing TABLE_ENDPOINT KIND CHANGES`.
//!
//! Each change is answered before the next one leaves, so that a router does the same work whenever it
//! is run, however slowly. `known` sets weights of routes that are there, `new` adds lambdas and
//! removes them in turn.

use std::time::Duration;

use edge_proto::rpc::EdgeRouterConf;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_transport::control;

/// For each change; the router may run a hundred times slower than usual.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lambdas whose routes are there before anything is counted.
const KNOWN: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tables, kind, changes] = &arguments[..] else {
        anyhow::bail!("usage: changing TABLE_ENDPOINT known|new CHANGES");
    };
    let operation: fn(usize) -> EdgeRouterConf = match kind.as_str() {
        "known" => |number| set(format!("lambda{}", number % KNOWN), number),
        "new" => come_and_go,
        _ => anyhow::bail!("changes are known or new, not '{kind}'"),
    };
    let tables = tables.parse()?;
    let mut tables = EdgeRouterClient::new(control::channel(&tables, None, PATIENCE));
    let before = (0..KNOWN).map(|number| set(format!("lambda{number}"), number));
    let counted = (0..changes.parse()?).map(operation);
    for change in before.chain(counted) {
        let done = tables.configure(change).await?.into_inner();
        anyhow::ensure!(done.msg == "OK", "a change was refused: {}", done.msg);
    }
    Ok(())
}

fn set(lambda: String, number: usize) -> EdgeRouterConf {
    EdgeRouterConf {
        action: Action::Change as i32,
        lambda,
        destination: "127.0.0.1:6473".to_owned(),
        weight: 1.0 + (number % 7) as f32,
        r#final: true,
        ..EdgeRouterConf::default()
    }
}

fn come_and_go(number: usize) -> EdgeRouterConf {
    let action = match number % 2 {
        0 => Action::Change,
        _ => Action::Remove,
    };
    EdgeRouterConf {
        action: action as i32,
        ..set(format!("new{}", number / 2), number)
    }
}
