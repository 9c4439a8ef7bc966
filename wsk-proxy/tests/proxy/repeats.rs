//! Requests that come a second time.

use http::Method;
use serde_json::json;

use crate::support::{Request, Stack, eventually};

fn keyed(stack: &Stack, key: &str, path: &str, body: &str) -> Request {
    let request = stack.client.request(Method::POST, path);
    request.header("idempotency-key", key).body(body.to_owned())
}

#[tokio::test]
async fn a_key_is_executed_once_however_often_it_comes() {
    let stack = Stack::start().await;
    for (action, status) in [("echo", 200), ("error", 502)] {
        let path = format!("_/actions/{action}?blocking=true");
        let first = keyed(&stack, action, &path, r#"{"a":1}"#).send().await;
        assert_eq!(first.status, status);
        for _ in 0..3 {
            let again = keyed(&stack, action, &path, r#"{"a":1}"#).send().await;
            assert_eq!(again.status, status);
            assert_eq!(again.json(), first.json());
        }
        assert_eq!(stack.platform.executed(action), 1);
    }
    let path = "_/actions/echo?blocking=true";
    keyed(&stack, "echo", path, r#"{"a":2}"#)
        .send()
        .await
        .assert_error(422);
    keyed(&stack, &"x".repeat(300), path, "{}")
        .send()
        .await
        .assert_error(400);
    keyed(&stack, "é", path, "{}")
        .send()
        .await
        .assert_error(400);
    let other = keyed(&stack, "other", path, r#"{"a":1}"#).send().await;
    assert_eq!(other.status, 200);
    assert_eq!(stack.platform.executed("echo"), 2);
}

#[tokio::test]
async fn a_key_of_an_accepted_call_gets_the_same_id() {
    let stack = Stack::start().await;
    let first = keyed(&stack, "k", "_/actions/echo", "{}").send().await;
    let again = keyed(&stack, "k", "_/actions/echo", "{}").send().await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.activation(), again.activation());
    let blocking = "_/actions/echo?blocking=true";
    let done = async || keyed(&stack, "k", blocking, "{}").send().await.status == 200;
    eventually("it has ended", done).await;
    assert_eq!(stack.platform.executed("echo"), 1);
}

#[tokio::test]
async fn a_client_that_lost_its_connection_finds_the_answer_by_its_key() {
    let stack = Stack::start().await;
    let path = "_/actions/slow?blocking=true&result=true";
    let request = keyed(&stack, "k", path, r#"{"a":1}"#);
    let mut session = stack.client.connect().await;
    let first = tokio::spawn(async move { session.send(request).await.is_ok() });
    stack.platform.wait_for_slow(1).await;
    first.abort();
    let again = tokio::spawn(keyed(&stack, "k", path, r#"{"a":1}"#).send());
    stack.platform.release();
    let again = again.await.unwrap();
    assert_eq!((again.status, again.text()), (200, r#"{"a":1}"#));
    assert_eq!(stack.platform.executed("slow"), 1);
}

#[tokio::test]
async fn a_key_of_what_was_not_executed_can_be_tried_again() {
    let stack = Stack::start().await;
    let path = "_/actions/late?blocking=true";
    keyed(&stack, "k", path, "{}")
        .send()
        .await
        .assert_error(404);
    stack.platform.announce(&stack.controller, &["late"]).await;
    let works = async || keyed(&stack, "k", path, "{}").send().await.status == 200;
    eventually("it is executed", works).await;
    assert_eq!(stack.platform.executed("late"), 1);
}

#[tokio::test]
async fn a_failure_that_was_executed_is_not_executed_again_for_a_retry_of_the_same_request() {
    let stack = Stack::start().await;
    let call = async |action: &str, id: &str, body: &str| {
        let path = format!("_/actions/{action}?blocking=true");
        let request = stack.client.request(Method::POST, &path);
        let request = request.header("x-request-id", id).body(body.to_owned());
        request.send().await
    };
    let first = call("error", "r1", "{}").await;
    for _ in 0..2 {
        let retry = call("error", "r1", "{}").await;
        assert_eq!((retry.status, retry.json()), (502, first.json()));
    }
    assert_eq!(stack.platform.executed("error"), 1);
    call("error", "r1", r#"{"other":1}"#).await;
    call("error", "r2", "{}").await;
    assert_eq!(stack.platform.executed("error"), 3);
    // Who does not wait has not been told of a failure, and asks for something new.
    let background = stack.client.request(Method::POST, "_/actions/error");
    let answer = background
        .header("x-request-id", "r1")
        .body("{}")
        .send()
        .await;
    assert_eq!(answer.status, 202);
    assert_ne!(answer.activation(), first.activation());
    let executed = async || stack.platform.executed("error") == 4;
    eventually("it is executed", executed).await;
    let counted =
        async || stack.client.get("_/activations?count=true").await.json()["activations"] == 4;
    eventually("it is recorded", counted).await;
    // An action calls others under its own id, perhaps the same one twice.
    for _ in 0..2 {
        assert_eq!(call("echo", "r1", "{}").await.status, 200);
    }
    assert_eq!(stack.platform.executed("echo"), 2);
    let metrics = json!({"activations": 6});
    assert_eq!(
        stack.client.get("_/activations?count=true").await.json(),
        metrics
    );
}
