//! Activations: lists, filters, parts.

use std::time::Duration;

use serde_json::json;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::support::{Stack, eventually};

async fn invoke(stack: &Stack, action: &str) -> String {
    let path = format!("_/actions/{action}?blocking=true");
    stack.client.post(&path, "{}").await.activation()
}

#[tokio::test]
async fn lists_are_newest_first_in_pages_and_by_name() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for action in ["echo", "error", "tools/hammer", "echo"] {
        ids.push(invoke(&stack, action).await);
    }
    ids.reverse();
    let list = async |query: &str| {
        let rows = stack
            .client
            .get(&format!("_/activations{query}"))
            .await
            .json();
        let ids = rows.as_array().unwrap().iter();
        ids.map(|row| row["activationId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("").await, ids);
    assert_eq!(list("?limit=0").await, ids);
    assert_eq!(list("?limit=2&skip=1").await, ids[1..3]);
    assert_eq!(list("?name=echo").await, [ids[0].clone(), ids[3].clone()]);
    assert_eq!(list("?name=tools%2Fhammer").await, ids[1..2]);
    assert_eq!(list("?name=nobody").await, Vec::<String>::new());
    assert_eq!(list("?since=99999999999999").await, Vec::<String>::new());
    assert_eq!(list("?upto=1").await, Vec::<String>::new());
    let rows = stack.client.get("_/activations?limit=1").await.json();
    let start = rows[0]["start"].as_u64().unwrap();
    assert!(list(&format!("?since={start}")).await.contains(&ids[0]));
    let count = async |query: &str| {
        let answer = stack
            .client
            .get(&format!("_/activations?count=true{query}"))
            .await;
        answer.json()["activations"].as_u64().unwrap()
    };
    assert_eq!(count("").await, 4);
    assert_eq!(count("&name=echo").await, 2);
}

#[tokio::test]
async fn rows_are_brief_unless_documents_are_asked_for() {
    let stack = Stack::start().await;
    let id = invoke(&stack, "error").await;
    let row = stack.client.get("_/activations").await.json()[0].clone();
    assert_eq!(row["activationId"], id);
    assert_eq!(row["statusCode"], 1);
    assert_eq!((row.get("response"), row.get("logs")), (None, None));
    let document = stack.client.get("_/activations?docs=true").await.json()[0].clone();
    assert_eq!(
        document["response"]["result"],
        json!({"error": "as designed"})
    );
    let record = stack
        .client
        .get(&format!("_/activations/{id}"))
        .await
        .json();
    assert_eq!(record, document);
    let result = stack
        .client
        .get(&format!("_/activations/{id}/result"))
        .await
        .json();
    assert_eq!(result, document["response"]);
    let logs = stack
        .client
        .get(&format!("_/activations/{id}/logs"))
        .await
        .json();
    assert_eq!(logs, json!({"logs": []}));
}

#[tokio::test]
async fn namespaces_do_not_see_each_others_activations() {
    let stack = Stack::start().await;
    let answer = stack
        .client
        .post("alice/actions/own?blocking=true", "{}")
        .await;
    let path = format!("activations/{}", answer.activation());
    assert_eq!(stack.client.get(&format!("alice/{path}")).await.status, 200);
    stack
        .client
        .get(&format!("_/{path}"))
        .await
        .assert_error(404);
    assert_eq!(stack.client.get("_/activations").await.json(), json!([]));
}

/// A result that makes a page of two hundred larger than anybody wants to hold.
const LARGE: usize = 500_000;

/// A stack that holds 2 MiB of answers at the most, and `count` activations with large results.
async fn crowded(count: usize) -> (Stack, Vec<String>) {
    let stack = Stack::with(|config| {
        config.limits.max_result_bytes = 1 << 20;
        config.limits.max_unsent_bytes = 2 << 20;
        config.invoke.max_registered_bytes = 1 << 20;
    })
    .await;
    let mut ids = Vec::new();
    for at in 0..count {
        let body = format!(r#"{{"at":{at},"a":"{}"}}"#, "x".repeat(LARGE));
        let path = "_/actions/echo?blocking=true&result=true";
        let answer = stack.client.post(path, body.clone()).await;
        assert_eq!((answer.status, answer.text()), (200, body.as_str()));
        ids.insert(0, answer.activation());
    }
    (stack, ids)
}

#[tokio::test]
async fn documents_of_any_size_are_all_sent_and_never_all_in_memory() {
    let (stack, ids) = crowded(30).await;
    let mut pages = JoinSet::new();
    for _ in 0..8 {
        let client = stack.client.clone();
        pages.spawn(async move { client.get("_/activations?docs=true&limit=0").await });
    }
    while let Some(page) = pages.join_next().await {
        let page = page.unwrap();
        assert_eq!(page.status, 200);
        let rows = page.json();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), ids.len());
        for (at, (row, id)) in rows.iter().zip(&ids).enumerate() {
            assert_eq!(row["activationId"], *id);
            let result = &row["response"]["result"];
            assert_eq!(result["at"], ids.len() - 1 - at);
            assert_eq!(result["a"].as_str().unwrap().len(), LARGE);
        }
    }
    let none = stack
        .client
        .get("_/activations?docs=true&name=nobody")
        .await;
    assert_eq!((none.status, none.text()), (200, "[]"));
}

#[tokio::test]
async fn answers_that_nobody_reads_take_no_more_than_their_share() {
    let (stack, ids) = crowded(60).await;
    let mut idlers = Vec::new();
    for _ in 0..8 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(stack.proxy.address()).await.unwrap();
        let head =
            "GET /api/v1/namespaces/_/activations?docs=true&limit=0 HTTP/1.1\r\nhost: p\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        idlers.push(stream);
    }
    let first = format!("_/activations/{}", ids[0]);
    let is = async |status| stack.client.get(&first).await.status == status;
    eventually("there is no room left", || is(503)).await;
    stack.client.get(&first).await.assert_error(503);
    let package = || stack.client.put("_/packages/p", "{}");
    package().await.assert_error(503);
    let registered = stack.client.get("_/packages/p").await;
    registered.assert_error(404);
    // What has been executed is not lost, and small answers need no room.
    let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    let path = "_/actions/echo?blocking=true&result=true";
    let answer = stack.client.post(path, body.clone()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json()["activationId"].as_str().unwrap().to_owned();
    assert_eq!(id, answer.activation());
    assert_eq!(stack.client.get("_/activations?limit=1").await.status, 200);
    drop(idlers);
    eventually("there is room again", || is(200)).await;
    assert_eq!(package().await.status, 200);
    let kept = stack
        .client
        .get(&format!("_/activations/{id}/result"))
        .await;
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(kept.json()["result"], sent);
}

#[tokio::test]
async fn the_oldest_activations_go_first() {
    let stack = Stack::with(|config| config.store.max_count = 2).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(invoke(&stack, "echo").await);
    }
    let rows = stack.client.get("_/activations").await.json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(rows[0]["activationId"], ids[3]);
    stack
        .client
        .get(&format!("_/activations/{}", ids[0]))
        .await
        .assert_error(404);
}

#[tokio::test]
async fn results_that_are_too_large_to_keep_are_answered_and_not_kept() {
    let stack = Stack::with(|config| {
        config.store.max_result_bytes = 1000;
        config.invoke.max_wait = Duration::from_secs(30);
    })
    .await;
    let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(2000));
    let answer = stack
        .client
        .post("_/actions/echo?blocking=true&result=true", body.clone())
        .await;
    assert_eq!((answer.status, answer.text()), (200, body.as_str()));
    let path = format!("_/activations/{}/result", answer.activation());
    let kept = stack.client.get(&path).await.json();
    assert!(
        kept["result"]["error"]
            .as_str()
            .unwrap()
            .contains("was not kept")
    );
}
