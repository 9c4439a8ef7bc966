//! Functions on a computer of their own.

use std::time::{Duration, Instant};

use edge_computer::config::Config;
use edge_computer::executor::{Execution, ExecutionError, Executor as _, Invocation};
use edge_computer::runtime::{RuntimeConfig, Runtimes};
use serde_json::Value;

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The functions that `toml` describes: entries of `[runtime]`.
pub(crate) fn runtimes(toml: &str) -> Runtimes {
    let config: RuntimeConfig = toml::from_str(toml).unwrap();
    let limits = Config::default().limits;
    Runtimes::start(&config, limits.max_pending, limits.max_wait).unwrap()
}

/// One JavaScript function `f`, with `more` keys.
pub(crate) fn javascript(code: &str, more: &str) -> Runtimes {
    runtimes(&format!(
        "[[lambda]]\nname = 'f'\ncode = '''\n{code}\n'''\n{more}"
    ))
}

pub(crate) fn invocation(input: &str) -> Invocation {
    Invocation {
        lambda: "f".to_owned(),
        input: input.to_owned(),
        ..Invocation::default()
    }
}

pub(crate) async fn run(runtimes: &Runtimes, input: &str) -> Result<Execution, ExecutionError> {
    runtimes
        .run(invocation(input), Instant::now() + PATIENCE)
        .await
}

/// What `f` answers to `input`.
pub(crate) async fn output(runtimes: &Runtimes, input: &str) -> String {
    run(runtimes, input).await.unwrap().output
}

/// The text of a failure of the function, and its whole answer.
pub(crate) async fn failure(runtimes: &Runtimes, input: &str) -> (String, Value) {
    match run(runtimes, input).await {
        Err(ExecutionError::Failed { text, execution }) => {
            (text, serde_json::from_str(&execution.output).unwrap())
        }
        other => panic!("no failure of the function: {other:?}"),
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process `pid` lives.
pub(crate) fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Its first thread may be dead before the others are, and it is alive until they are.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    !stat.is_empty() && (threads > 1 || !stat.contains(") Z "))
}
