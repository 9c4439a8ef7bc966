//! Errors: their codes, and bodies that OpenWhisk's clients understand.

use http::Method;
use serde_json::json;

use crate::support::Stack;

#[tokio::test]
async fn errors_of_actions_are_502_with_the_activation() {
    let stack = Stack::start().await;
    for (action, error) in [("error", "as designed"), ("fail", "no such luck")] {
        let path = format!("_/actions/{action}?blocking=true");
        let answer = stack.client.post(&path, "{}").await;
        assert_eq!(answer.status, 502);
        let record = answer.json();
        assert_eq!(record.get("code"), None);
        assert_eq!(record["response"]["status"], "application error");
        assert_eq!(record["response"]["success"], false);
        assert_eq!(record["response"]["result"], json!({ "error": error }));
        assert_eq!(record["activationId"], answer.activation());

        let path = format!("{path}&result=true");
        let answer = stack.client.post(&path, "{}").await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json(), json!({ "error": error }));
        let path = format!("_/activations/{}", answer.activation());
        assert_eq!(stack.client.get(&path).await.json()["statusCode"], 1);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let stack = Stack::start().await;
    for path in [
        "_/actions/nobody",
        "_/actions/nobody?blocking=true",
        "_/actions/nobody?blocking=true&result=true",
        "_/actions/no/body?blocking=true",
        "bob/actions/echo?blocking=true",
    ] {
        stack.client.post(path, "{}").await.assert_error(404);
    }
    for path in [
        "_/actions/nobody",
        "_/packages/nobody",
        "_/triggers/t",
        "_/rules/r",
        "_/x",
    ] {
        stack.client.get(path).await.assert_error(404);
    }
    let id = "0".repeat(32);
    for part in ["", "/result", "/logs"] {
        let path = format!("_/activations/{id}{part}");
        stack.client.get(&path).await.assert_error(404);
    }
    for path in ["/api/v2", "/api/v1/web/guest/default/hello", "/nowhere"] {
        stack
            .client
            .root(Method::GET, path)
            .send()
            .await
            .assert_error(404);
    }
    // Nothing was executed, so there is no record.
    let count = stack.client.get("_/activations?count=true").await;
    assert_eq!(count.json(), json!({"activations": 0}));
}

#[tokio::test]
async fn what_is_malformed_is_400() {
    let stack = Stack::start().await;
    let invoke = "_/actions/echo?blocking=true";
    for body in ["{", "[]", "1", "null", "\"text\"", "{} {}", "\u{0}"] {
        stack
            .client
            .post(invoke, body.to_owned())
            .await
            .assert_error(400);
    }
    stack
        .client
        .post(invoke, &b"{\"a\":\"\xff\"}"[..])
        .await
        .assert_error(400);
    for path in [
        "_/actions/-bad?blocking=true",
        "_/actions/b%20?blocking=true",
        "_/actions/%C3%A4?blocking=true",
        "_/actions/%ff?blocking=true",
        "-/actions/echo?blocking=true",
        "_/actions/echo?blocking=maybe",
        "_/actions/echo?result=1",
        "_/actions/echo?blocking=true&timeout=0",
        "_/actions/echo?blocking=true&timeout=60001",
        "_/actions/echo?blocking=true&timeout=soon",
        "_/actions/echo?blocking=true&x=%ff",
    ] {
        stack.client.post(path, "{}").await.assert_error(400);
    }
    for path in [
        "_/activations/123",
        "_/activations/not-a-hexadecimal-number-at-all-",
        "_/activations?limit=201",
        "_/activations?limit=-1",
        "_/activations?skip=-1",
        "_/activations?since=now",
        "_/activations?docs=true&count=true",
        "_/actions?limit=x",
        "_/packages?count=x",
    ] {
        stack.client.get(path).await.assert_error(400);
    }
    let bad_hops = stack
        .client
        .request(Method::POST, invoke)
        .header("x-soe-hops", "-1");
    bad_hops.send().await.assert_error(400);
    assert_eq!(stack.platform.executed("echo"), 0);
}

#[tokio::test]
async fn a_name_of_256_characters_is_one_and_a_longer_one_is_not() {
    let stack = Stack::start().await;
    let path = |length: usize| format!("_/actions/{}?blocking=true", "x".repeat(length));
    stack.client.post(&path(256), "{}").await.assert_error(404);
    stack.client.post(&path(257), "{}").await.assert_error(400);
}

#[tokio::test]
async fn what_is_too_large_is_413() {
    let stack = Stack::with(|config| config.limits.max_body_bytes = 10_000).await;
    let invoke = "_/actions/echo?blocking=true";
    let body = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
    assert_eq!(stack.client.post(invoke, body(9_000)).await.status, 200);
    let answer = stack.client.post(invoke, body(10_000)).await;
    answer.assert_error(413);
    let text = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(text.contains("10008 > 10000"), "{text}");
    stack
        .client
        .post(invoke, body(3_000_000))
        .await
        .assert_error(413);
    stack
        .client
        .put("_/actions/x", body(20_000))
        .await
        .assert_error(413);
}

#[tokio::test]
async fn what_there_is_with_another_method_is_405() {
    let stack = Stack::start().await;
    for (method, path, allowed) in [
        (Method::POST, "/", "GET, HEAD, OPTIONS"),
        (
            Method::DELETE,
            "/api/v1/namespaces/_/actions",
            "GET, HEAD, OPTIONS",
        ),
        (
            Method::PATCH,
            "/api/v1/namespaces/_/actions/echo",
            "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        ),
        (
            Method::POST,
            "/api/v1/namespaces/_/activations",
            "GET, HEAD, OPTIONS",
        ),
    ] {
        let answer = stack.client.root(method, path).send().await;
        answer.assert_error(405);
        assert_eq!(answer.headers["allow"], allowed);
    }
}

#[tokio::test]
async fn what_comes_later_is_501_and_its_lists_are_empty() {
    let stack = Stack::start().await;
    for (method, path) in [
        (Method::PUT, "_/triggers/t"),
        (Method::POST, "_/triggers/t"),
        (Method::PUT, "_/rules/r"),
    ] {
        let answer = stack.client.request(method, path).body("{}").send().await;
        answer.assert_error(501);
    }
    for collection in ["triggers", "rules"] {
        let list = stack.client.get(&format!("_/{collection}?limit=0")).await;
        assert_eq!((list.status, list.json()), (200, json!([])));
        let count = stack
            .client
            .get(&format!("_/{collection}?count=true"))
            .await;
        assert_eq!(count.json(), json!({ collection: 0 }));
    }
}

#[tokio::test]
async fn a_transaction_is_called_as_its_client_calls_it() {
    let stack = Stack::start().await;
    let get = |id: &str| {
        let request = stack.client.request(Method::GET, "_/actions/nobody");
        request.header("x-request-id", id).send()
    };
    let answer = get("my-own-id").await;
    answer.assert_error(404);
    assert_eq!(answer.json()["code"], "my-own-id");
    let answer = get(&"x".repeat(200)).await;
    answer.assert_error(404);
    assert_eq!(answer.json()["code"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn a_request_that_has_passed_too_many_nodes_is_stopped() {
    let stack = Stack::with(|config| config.invoke.max_hops = 8).await;
    let invoke = |hops: &str| {
        let path = "_/actions/echo?blocking=true";
        let request = stack.client.request(Method::POST, path);
        request.header("x-soe-hops", hops).body("{}").send()
    };
    assert_eq!(invoke("7").await.status, 200);
    for hops in ["8", "9", "4294967295"] {
        let answer = invoke(hops).await;
        answer.assert_error(503);
        assert!(answer.text().contains("circles"), "{answer:?}");
    }
    assert_eq!(stack.platform.executed("echo"), 1);
}

#[tokio::test]
async fn a_loop_from_the_proxy_to_an_adapter_and_back_is_stopped_by_hops() {
    let stack = Stack::start().await;
    stack.platform.close_the_loop(&stack.client);
    let path = "_/actions/loop?blocking=true&result=true";
    let answer = stack.client.post(path, "{}").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("circles"), "{answer:?}");
    // Proxy, router and computer are three of the 32 hops.
    assert_eq!(stack.platform.executed("loop"), 11);
}
