//! Non-blocking invocations: what was accepted is done, or recorded as not done.

use std::path::Path;
use std::time::Duration;

use edge_transport::Endpoint;
use serde_json::json;
use wsk_proxy::{Config, Proxy};

use crate::support::{
    Client, PATIENCE, Platform, Stack, anywhere, behind, controller, eventually, quiet, router,
    wait_for_table,
};

fn with_journal(mut config: Config, at: &Path) -> Config {
    config.store.journal = Some(at.to_owned());
    config
}

async fn recorded(client: &Client, id: &str) -> serde_json::Value {
    let path = format!("_/activations/{id}");
    let there = async || client.get(&path).await.status == 200;
    eventually("the activation is recorded", there).await;
    client.get(&path).await.json()
}

#[tokio::test]
async fn an_accepted_call_waits_for_a_router_and_is_executed_once() {
    let controller = controller().await;
    let platform = Platform::announced_to(&controller).await;
    let first = router(anywhere(), anywhere(), &controller).await;
    wait_for_table(&first).await;
    let config = behind(&first);
    let (at, tables) = (first.lambda_address(), first.table_address());
    first.kill().await;
    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    // Nobody knows whether there is such an action, so it is taken on trust.
    let answer = client.post("_/actions/echo", r#"{"a":1}"#).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let second = router(at.into(), tables.into(), &controller).await;
    wait_for_table(&second).await;
    let record = recorded(&client, &answer.activation()).await;
    assert_eq!(record["response"]["result"], json!({"a": 1}));
    assert_eq!(platform.executed("echo"), 1);
}

#[tokio::test]
async fn what_nobody_takes_is_recorded_as_never_executed() {
    let mut config = quiet();
    config.router.endpoints = Endpoint::new("127.0.0.1", 1).into();
    config.table.endpoints = Vec::new().into();
    config.invoke.patience = Duration::from_millis(300);
    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    let answer = client.post("_/actions/echo", "{}").await;
    assert_eq!(answer.status, 202);
    let record = recorded(&client, &answer.activation()).await;
    assert_eq!(record["statusCode"], 3);
    let text = record["response"]["result"]["error"].as_str().unwrap();
    assert!(text.contains("never executed"), "{text}");
}

#[tokio::test]
async fn what_nobody_takes_does_not_hold_up_others() {
    let stack = Stack::with(|config| {
        // It is taken on trust that there is such an action.
        config.table.endpoints = Vec::new().into();
        config.invoke.workers = 1;
        config.invoke.patience = 60 * PATIENCE;
    })
    .await;
    for action in ["nobodys", "echo"] {
        let answer = stack
            .client
            .post(&format!("_/actions/{action}"), "{}")
            .await;
        assert_eq!(answer.status, 202);
    }
    let executed = async || stack.platform.executed("echo") == 1;
    eventually("the other one is executed", executed).await;
}

#[tokio::test]
async fn a_queue_that_is_full_says_so() {
    let stack = Stack::with(|config| {
        config.invoke.max_queued = 3;
        config.invoke.workers = 1;
    })
    .await;
    for _ in 0..3 {
        assert_eq!(stack.client.post("_/actions/slow", "{}").await.status, 202);
    }
    let answer = stack.client.post("_/actions/slow", "{}").await;
    answer.assert_error(503);
    assert_eq!(answer.headers["retry-after"], "1");
    // One at a time, as configured.
    stack.platform.wait_for_slow(1).await;
    assert_eq!(stack.platform.executed("slow"), 1);
    stack.platform.release();
    let all = async || stack.platform.executed("slow") == 3;
    eventually("all are executed", all).await;
}

#[tokio::test]
async fn accepted_calls_survive_a_restart_and_those_under_way_are_recorded_as_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let stack = Stack::with(|config| {
        config.store.journal = Some(journal.clone());
        config.invoke.workers = 1;
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let input = json!({ "n": n }).to_string();
        ids.push(
            stack
                .client
                .post("_/actions/slow", input)
                .await
                .activation(),
        );
    }
    stack.platform.wait_for_slow(1).await;
    // The copy is what a process leaves behind that dies now.
    let left = folder.path().join("left");
    std::fs::copy(&journal, &left).unwrap();
    let config = with_journal(behind(&stack.router), &left);
    stack.proxy.kill().await;
    stack.platform.wait_for_cancelled().await;
    stack.platform.release();
    let begun = stack.platform.executed("slow");
    assert_eq!(begun, 1);

    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    let first = recorded(&client, &ids[0]).await;
    assert_eq!(first["response"]["status"], "whisk internal error");
    let text = first["response"]["result"]["error"].as_str().unwrap();
    assert!(text.contains("restarted"), "{text}");
    for (n, id) in ids.iter().enumerate().skip(1) {
        let record = recorded(&client, id).await;
        assert_eq!(record["response"]["result"], json!({ "n": n }));
    }
    // Each once.
    assert_eq!(stack.platform.executed("slow"), 3);
}

#[tokio::test]
async fn a_drain_finishes_what_has_begun_and_leaves_the_rest_to_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let stack = Stack::with(|config| {
        config.store.journal = Some(journal.clone());
        config.invoke.workers = 1;
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..2 {
        let input = json!({ "n": n }).to_string();
        ids.push(
            stack
                .client
                .post("_/actions/slow", input)
                .await
                .activation(),
        );
    }
    stack.platform.wait_for_slow(1).await;
    let config = with_journal(behind(&stack.router), &journal);
    let ending = tokio::spawn(stack.proxy.shutdown(PATIENCE));
    // It is told to end before the first one does, so that the second is not begun.
    tokio::task::yield_now().await;
    stack.platform.release();
    assert!(ending.await.unwrap());
    assert_eq!(stack.platform.executed("slow"), 1);

    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    for (n, id) in ids.iter().enumerate() {
        let record = recorded(&client, id).await;
        assert_eq!(record["response"]["result"], json!({ "n": n }), "{record}");
    }
    assert_eq!(stack.platform.executed("slow"), 2);
}
