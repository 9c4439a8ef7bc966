//! What clients register: sequences, and other names for lambdas.

use serde_json::{Value, json};
use wsk_proxy::Proxy;

use crate::support::{Client, Stack, behind};

fn sequence(steps: &[&str]) -> String {
    json!({"exec": {"kind": "sequence", "components": steps}}).to_string()
}

fn alias(target: &str, parameters: &Value) -> String {
    let parameters: Vec<Value> = parameters
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({"exec": {"kind": "soe:lambda", "code": target}, "parameters": parameters}).to_string()
}

#[tokio::test]
async fn a_sequence_runs_step_by_step_each_with_a_record() {
    let stack = Stack::start().await;
    let put = stack
        .client
        .put("_/actions/both", sequence(&["/_/show", "/guest/echo"]))
        .await;
    assert_eq!(put.status, 200);
    assert_eq!(
        put.json()["exec"]["components"],
        json!(["/guest/show", "/guest/echo"])
    );
    let answer = stack
        .client
        .post("_/actions/both?blocking=true", r#"{"a":1}"#)
        .await;
    assert_eq!(answer.status, 200);
    let record = answer.json();
    let result = &record["response"]["result"];
    assert_eq!(result["name"], "show");
    assert_eq!(result["input"], r#"{"a":1}"#);
    assert_eq!(stack.platform.executed("echo"), 1);
    let steps = record["logs"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    for (step, name) in steps.iter().zip(["show", "echo"]) {
        let path = format!("_/activations/{}", step.as_str().unwrap());
        let step = stack.client.get(&path).await.json();
        assert_eq!(step["name"], name);
        assert_eq!(step["cause"], record["activationId"]);
        let caused = json!({"key": "causedBy", "value": "sequence"});
        assert!(step["annotations"].as_array().unwrap().contains(&caused));
    }
    let annotations = record["annotations"].as_array().unwrap();
    assert!(annotations.contains(&json!({"key": "kind", "value": "sequence"})));
    assert!(annotations.contains(&json!({"key": "topmost", "value": true})));
}

#[tokio::test]
async fn a_step_that_fails_ends_the_sequence() {
    let stack = Stack::start().await;
    stack
        .client
        .put("_/actions/three", sequence(&["echo", "error", "show"]))
        .await;
    let answer = stack
        .client
        .post("_/actions/three?blocking=true", "{}")
        .await;
    assert_eq!(answer.status, 502);
    let record = answer.json();
    assert_eq!(record["response"]["status"], "application error");
    assert_eq!(
        record["response"]["result"],
        json!({"error": "as designed"})
    );
    assert_eq!(record["logs"].as_array().unwrap().len(), 2);
    assert_eq!(stack.platform.executed("show"), 0);
    // A step that nobody serves: at the beginning nothing has happened yet, later it has.
    stack
        .client
        .put("_/actions/early", sequence(&["nobody", "echo"]))
        .await;
    stack
        .client
        .post("_/actions/early?blocking=true", "{}")
        .await
        .assert_error(404);
    stack
        .client
        .put("_/actions/late", sequence(&["echo", "nobody"]))
        .await;
    let answer = stack
        .client
        .post("_/actions/late?blocking=true", "{}")
        .await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let record = answer.json();
    assert_eq!(record["activationId"], answer.activation());
    assert_eq!(record["response"]["status"], "application error");
}

#[tokio::test]
async fn sequences_within_sequences_are_bounded() {
    let stack = Stack::with(|config| config.invoke.max_steps = 10).await;
    stack
        .client
        .put("_/actions/four", sequence(&["echo"; 4]))
        .await;
    stack
        .client
        .put("_/actions/eight", sequence(&["four", "four"]))
        .await;
    assert_eq!(
        stack
            .client
            .post("_/actions/eight?blocking=true", "{}")
            .await
            .status,
        200
    );
    assert_eq!(stack.platform.executed("echo"), 8);
    stack
        .client
        .put("_/actions/more", sequence(&["eight", "eight"]))
        .await;
    let answer = stack
        .client
        .post("_/actions/more?blocking=true&result=true", "{}")
        .await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("more than 10 steps"), "{answer:?}");
    stack
        .client
        .put("_/actions/many", sequence(&["echo"; 11]))
        .await
        .assert_error(400);
    stack
        .client
        .put("_/actions/none", sequence(&[]))
        .await
        .assert_error(400);
}

#[tokio::test]
async fn circles_are_refused() {
    let stack = Stack::start().await;
    stack
        .client
        .put("_/actions/self", sequence(&["self"]))
        .await
        .assert_error(400);
    stack.client.put("_/actions/a", sequence(&["b"])).await;
    stack
        .client
        .put("_/actions/b", alias("a", &json!({})))
        .await
        .assert_error(400);
}

#[tokio::test]
async fn an_alias_binds_parameters_which_the_request_overrides_unless_they_are_final() {
    let stack = Stack::start().await;
    let put = stack.client.put(
        "_/actions/hello",
        alias("echo", &json!({"who": "you", "n": 1})),
    );
    assert_eq!(put.await.status, 200);
    let result = stack.client.call("hello", r#"{"n":2}"#).await;
    assert_eq!(result, json!({"who": "you", "n": 2}));
    let get = stack.client.get("_/actions/hello").await.json();
    assert_eq!(
        get["exec"],
        json!({"kind": "soe:lambda", "code": "echo", "binary": false})
    );
    let without = stack.client.get("_/actions/hello?code=false").await.json();
    assert_eq!(without["exec"].get("code"), None);

    let update = r#"{"annotations":[{"key":"final","value":true}]}"#;
    stack
        .client
        .put("_/actions/hello", update)
        .await
        .assert_error(409);
    let put = stack
        .client
        .put("_/actions/hello?overwrite=true", update)
        .await;
    assert_eq!(put.json()["version"], "0.0.2");
    let path = "_/actions/hello?blocking=true";
    stack
        .client
        .post(path, r#"{"n":2}"#)
        .await
        .assert_error(400);
    stack
        .client
        .post("_/actions/hello", r#"{"n":2}"#)
        .await
        .assert_error(400);
    assert_eq!(stack.client.call("hello", r#"{"m":2}"#).await["who"], "you");

    // A lambda can get parameters under its own name, and lose them.
    stack
        .client
        .put("_/actions/echo", alias("echo", &json!({"x": 1})))
        .await;
    assert_eq!(stack.client.call("echo", "{}").await, json!({"x": 1}));
    assert_eq!(stack.client.delete("_/actions/echo").await.status, 200);
    assert_eq!(stack.client.call("echo", "{}").await, json!({}));
    stack
        .client
        .delete("_/actions/echo")
        .await
        .assert_error(409);
    stack
        .client
        .delete("_/actions/nobody")
        .await
        .assert_error(404);
}

#[tokio::test]
async fn what_is_registered_is_bounded_in_bytes() {
    let stack = Stack::with(|config| config.invoke.max_registered_bytes = 100_000).await;
    let parameters = |bytes: usize| {
        let value = "x".repeat(bytes);
        json!({ "parameters": [{ "key": "k", "value": value }] }).to_string()
    };
    let put = async |path: &str, bytes| stack.client.put(path, parameters(bytes)).await;
    assert_eq!(put("_/packages/a", 60_000).await.status, 200);
    put("_/packages/b", 60_000).await.assert_error(429);
    let larger = "_/packages/a?overwrite=true";
    put(larger, 120_000).await.assert_error(429);
    assert_eq!(put(larger, 30_000).await.status, 200);
    assert_eq!(put("_/packages/b", 60_000).await.status, 200);
    // Another namespace has as much for itself.
    assert_eq!(put("alice/packages/b", 60_000).await.status, 200);
}

#[tokio::test]
async fn code_is_refused_cleanly() {
    let stack = Stack::start().await;
    for kind in ["nodejs:default", "python:3.11", "blackbox"] {
        let body = json!({"exec": {"kind": kind, "code": "function main() {}"}}).to_string();
        stack
            .client
            .put("_/actions/code", body)
            .await
            .assert_error(501);
    }
    for body in [
        "",
        "{}",
        r#"{"exec":{}}"#,
        r#"{"exec":{"kind":""}}"#,
        "[",
        r#"{"exec":7}"#,
    ] {
        stack
            .client
            .put("_/actions/code", body)
            .await
            .assert_error(400);
    }
    stack
        .client
        .put("_/actions/no/package", sequence(&["echo"]))
        .await
        .assert_error(404);
    let foreign = alias("/alice/own", &json!({}));
    stack
        .client
        .put("_/actions/foreign", foreign)
        .await
        .assert_error(403);
}

#[tokio::test]
async fn what_was_registered_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let stack = Stack::with(|config| config.store.journal = Some(journal.clone())).await;
    stack
        .client
        .put("_/actions/hello", alias("echo", &json!({"a": 1})))
        .await;
    stack
        .client
        .put(
            "_/packages/box",
            r#"{"parameters":[{"key":"b","value":2}]}"#,
        )
        .await;
    stack
        .client
        .put("_/actions/box/both", sequence(&["echo", "hello"]))
        .await;
    stack
        .client
        .put("_/actions/gone", sequence(&["echo"]))
        .await;
    stack.client.delete("_/actions/gone").await;
    let id = stack
        .client
        .post("_/actions/hello?blocking=true", "{}")
        .await
        .activation();
    let mut config = behind(&stack.router);
    config.store.journal = Some(journal);
    assert!(stack.proxy.shutdown(crate::support::PATIENCE).await);

    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    assert_eq!(client.call("box/both", "{}").await, json!({"a": 1, "b": 2}));
    client.get("_/actions/gone").await.assert_error(404);
    let record = client.get(&format!("_/activations/{id}")).await.json();
    assert_eq!(record["response"]["result"], json!({"a": 1}));
}
