//! How containers are started, used again, given up and replaced.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use edge_computer::executor::{ExecutionError, Executor as _};
use futures_util::future::join_all;
use serde_json::Value;

use super::support::{PATIENCE, eventually, invocation, javascript, lives, output, run, runtimes};

const PID: &str = "function main() { return { pid: process.pid }; }";

fn pid(output: &str) -> u64 {
    let answer: Value = serde_json::from_str(output).unwrap();
    answer["pid"].as_u64().unwrap()
}

#[tokio::test]
async fn a_cold_start_is_told_apart_and_the_next_request_is_spared_it() {
    let function = javascript(PID, "");
    let cold = run(&function, "{}").await.unwrap();
    assert!(cold.cold_start.unwrap() > Duration::ZERO);
    let warm = run(&function, "{}").await.unwrap();
    assert_eq!(warm.cold_start, None);
    assert_eq!(pid(&cold.output), pid(&warm.output));
    function.close().await;
    assert!(!lives(pid(&cold.output)));
}

#[tokio::test]
async fn requests_share_no_container_beyond_its_concurrency_and_start_no_more_than_allowed() {
    let code = "async function main() {
        await new Promise((done) => setTimeout(done, 50));
        return { pid: process.pid };
    }";
    for (more, containers) in [
        ("max-containers = 2", 2),
        ("max-containers = 1\nconcurrency = 8", 1),
    ] {
        let function = javascript(code, more);
        let outputs = join_all((0..8).map(|_| output(&function, "{}"))).await;
        let pids: BTreeSet<_> = outputs.iter().map(|output| pid(output)).collect();
        assert!(pids.len() <= containers, "{pids:?}");
        assert!(function.containers_alive() <= containers);
        function.close().await;
    }
}

#[tokio::test]
async fn idle_containers_are_given_up() {
    let function = runtimes(&format!(
        "idle = '50ms'\n[[lambda]]\nname = 'f'\ncode = '{PID}'"
    ));
    let first = pid(&output(&function, "{}").await);
    eventually("the container is gone", || {
        function.containers_alive() == 0 && !lives(first)
    })
    .await;
    assert_ne!(pid(&output(&function, "{}").await), first);
    function.close().await;
}

#[tokio::test]
async fn a_container_that_was_killed_while_idle_is_replaced_without_a_failure() {
    let function = javascript(PID, "");
    let first = pid(&output(&function, "{}").await);
    let target = first.to_string();
    std::process::Command::new("kill")
        .args(["-KILL", &target])
        .status()
        .unwrap();
    eventually("the process has ended", || !lives(first)).await;
    assert_ne!(pid(&output(&function, "{}").await), first);
    function.close().await;
}

#[tokio::test]
async fn who_leaves_takes_the_process_along_and_frees_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let code = format!(
        "function main({{ wait }}) {{
           if (!wait) return {{}};
           require('fs').writeFileSync('{}', String(process.pid));
           return new Promise(() => {{}});
         }}",
        file.display()
    );
    let function = javascript(&code, "max-containers = 1");
    let waiting = function.run(invocation(r#"{"wait":true}"#), Instant::now() + PATIENCE);
    let mut waiting = Box::pin(waiting);
    let told = || std::fs::read_to_string(&file).ok()?.parse::<u64>().ok();
    tokio::select! {
        _ = &mut waiting => panic!("it never ends"),
        () = eventually("it runs", || told().is_some()) => {}
    }
    assert_eq!(function.standing("f").unwrap().in_flight, 1);
    drop(waiting);
    eventually("the process is killed", || !lives(told().unwrap())).await;
    assert_eq!(function.standing("f").unwrap().in_flight, 0);
    assert_eq!(output(&function, "{}").await, "{}");
    function.close().await;
}

#[tokio::test]
async fn what_a_function_starts_ends_with_it() {
    let code = "function main() {
        const child = require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
        return { pid: child.pid };
    }";
    let function = javascript(code, "");
    let child = pid(&output(&function, "{}").await);
    assert!(lives(child));
    function.close().await;
    eventually("the child has ended", || !lives(child)).await;
}

#[tokio::test]
async fn idle_containers_of_others_make_room() {
    let function = runtimes(&format!(
        "max-containers = 1
         [[lambda]]\nname = 'f'\ncode = '{PID}'
         [[lambda]]\nname = 'g'\ncode = '{PID}'"
    ));
    let first = pid(&output(&function, "{}").await);
    let mut other = invocation("{}");
    other.lambda = "g".to_owned();
    let second = function
        .run(other, Instant::now() + PATIENCE)
        .await
        .unwrap();
    assert_ne!(pid(&second.output), first);
    assert!(!lives(first));
    function.close().await;
}

#[tokio::test]
async fn a_runtime_that_cannot_be_started_is_the_platforms_fault_and_withdrawn_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let node = folder.path().join("node");
    let function = runtimes(&format!(
        "node = '{}'\n[[lambda]]\nname = 'f'\ncode = '{PID}'",
        node.display()
    ));
    assert_eq!(function.containers().len(), 1);
    for _ in 0..3 {
        let failed = run(&function, "{}").await;
        let unavailable = matches!(
            failed,
            Err(ExecutionError::Unavailable { begun: false, .. })
        );
        assert!(unavailable, "{failed:?}");
    }
    assert_eq!(function.containers(), []);
    let real = std::process::Command::new("node")
        .args(["-p", "process.execPath"])
        .output()
        .unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    std::os::unix::fs::symlink(real.trim(), &node).unwrap();
    eventually("it is announced again", || function.containers().len() == 1).await;
    assert!(run(&function, "{}").await.is_ok());
    function.close().await;
}

#[tokio::test]
async fn another_version_of_a_function_replaces_it_at_once() {
    let function = javascript("function main() { return { version: 1 }; }", "");
    let changes = function.changes();
    assert_eq!(output(&function, "{}").await, r#"{"version":1}"#);
    let mut next = function.pool("f").unwrap().function().clone();
    next.code.text = "function main() { return { version: 2 }; }".to_owned();
    function.deploy(next);
    assert!(changes.has_changed().unwrap());
    assert_eq!(output(&function, "{}").await, r#"{"version":2}"#);
    assert!(function.withdraw("f"));
    assert!(matches!(
        run(&function, "{}").await,
        Err(ExecutionError::NotFound(_))
    ));
    function.close().await;
}

#[tokio::test]
async fn who_removes_the_folder_of_the_runtimes_does_not_end_the_functions() {
    let code = "function main({ exit }) {
        if (exit) process.exit(0);
        return { folder: process.cwd() };
    }";
    let function = javascript(code, "max-containers = 1");
    let answer: Value = serde_json::from_str(&output(&function, "{}").await).unwrap();
    let folder = std::path::Path::new(answer["folder"].as_str().unwrap());
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    assert!(run(&function, r#"{"exit":true}"#).await.is_err());
    assert!(run(&function, "{}").await.is_ok());
    function.close().await;
}
