//! Invocation in all modes.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually};

#[tokio::test]
async fn blocking_with_result_answers_the_result_alone() {
    let stack = Stack::start().await;
    let answer = stack
        .client
        .post(
            "_/actions/echo?blocking=true&result=true",
            r#"{"a":[1,2.50]}"#,
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"a":[1,2.50]}"#);
    assert_eq!(answer.activation().len(), 32);
}

#[tokio::test]
async fn blocking_answers_the_whole_activation() {
    let stack = Stack::start().await;
    let answer = stack
        .client
        .post("_/actions/echo?blocking=true", r#"{"a":1}"#)
        .await;
    assert_eq!(answer.status, 200);
    let record = answer.json();
    assert_eq!(record["activationId"], answer.activation());
    assert_eq!(record["namespace"], "guest");
    assert_eq!(record["name"], "echo");
    assert_eq!(record["subject"], "guest");
    assert_eq!(record["version"], "0.0.1");
    assert_eq!(record["publish"], false);
    assert_eq!(record["logs"], json!([]));
    let response = json!({"status": "success", "success": true, "size": 7, "result": {"a": 1}});
    assert_eq!(record["response"], response);
    let (start, end) = (
        record["start"].as_u64().unwrap(),
        record["end"].as_u64().unwrap(),
    );
    assert_eq!(record["duration"], end - start);
    let annotation = |key: &str| {
        let all = record["annotations"].as_array().unwrap();
        let found = all.iter().find(|annotation| annotation["key"] == key);
        found.map_or(Value::Null, |annotation| annotation["value"].clone())
    };
    assert_eq!(annotation("path"), "guest/echo");
    assert_eq!(annotation("kind"), "blackbox");
    assert_eq!(annotation("timeout"), false);
    assert_eq!(annotation("limits")["timeout"], 300_000);
    assert!(annotation("waitTime").is_u64());
    assert_eq!(annotation("soe.lambda"), "echo");
    assert_eq!(
        annotation("soe.responder"),
        stack.platform.endpoint().to_string()
    );
    assert_eq!(annotation("soe.load1"), 7);
    assert_eq!(annotation("soe.hops"), 2);
}

#[tokio::test]
async fn without_blocking_an_id_comes_at_once_and_the_activation_later() {
    let stack = Stack::start().await;
    for query in ["", "?", "?blocking=false&result=false", "?result=true"] {
        let path = format!("_/actions/slow{query}");
        let answer = stack.client.post(&path, r#"{"a":1}"#).await;
        assert_eq!(answer.status, 202, "{query}");
        assert_eq!(
            answer.json(),
            json!({ "activationId": answer.activation() })
        );
        let path = format!("_/activations/{}", answer.activation());
        stack.client.get(&path).await.assert_error(404);
    }
    stack.platform.release();
    let count = async || {
        let answer = stack.client.get("_/activations?count=true").await;
        answer.json() == json!({ "activations": 4 })
    };
    eventually("all are recorded", count).await;
}

#[tokio::test]
async fn a_slow_action_outlasts_the_wait_and_is_recorded_in_the_end() {
    let stack = Stack::start().await;
    let answer = stack
        .client
        .post(
            "_/actions/slow?blocking=true&result=true&timeout=20",
            r#"{"x":"y"}"#,
        )
        .await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["activationId"].as_str().unwrap().to_owned();
    assert_eq!(id, answer.activation());
    stack.platform.release();
    let path = format!("_/activations/{id}");
    let recorded = async || stack.client.get(&path).await.status == 200;
    eventually("it is recorded", recorded).await;
    let record = stack.client.get(&path).await.json();
    assert_eq!(record["response"]["result"], json!({"x": "y"}));
    assert_eq!(record["response"]["success"], true);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_call_and_the_record_says_so() {
    let stack = Stack::start().await;
    let mut session = stack.client.connect().await;
    let request = stack
        .client
        .request(Method::POST, "_/actions/slow?blocking=true");
    let waiting = tokio::spawn(async move { session.send(request).await.is_ok() });
    stack.platform.wait_for_slow(1).await;
    waiting.abort();
    stack.platform.wait_for_cancelled().await;
    let rows = async || {
        let rows = stack.client.get("_/activations?docs=true").await.json();
        rows.as_array().unwrap().len() == 1
    };
    eventually("it is recorded", rows).await;
    let rows = stack.client.get("_/activations?docs=true").await.json();
    assert_eq!(rows[0]["response"]["status"], "whisk internal error");
    let text = rows[0]["response"]["result"]["error"].as_str().unwrap();
    assert!(text.contains("client went away"), "{text}");
}

#[tokio::test]
async fn all_kinds_of_output_round_trip() {
    let stack = Stack::start().await;
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(900_000));
    for (output, result) in [
        (r#"{"quote":"say \"hi\""}"#, None),
        ("{\"newline\":\"a\\nb\"}", None),
        (r#"{"text":"Zürich – 東京 – 🚀"}"#, None),
        (
            r#"{"nested":{"a":[{"b":{"c":[]}},null,true,-1.5e300]}}"#,
            None,
        ),
        (r#"{"big":12345678901234567890123456789}"#, None),
        ("{}", None),
        ("[]", None),
        (r#"[1,{"a":2},"three"]"#, None),
        (&long, None),
        ("", Some(json!({"payload": ""}))),
        ("plain", Some(json!({"payload": "plain"}))),
        (
            "a \"quoted\"\nline\t\\",
            Some(json!({"payload": "a \"quoted\"\nline\t\\"})),
        ),
        ("Zürich\u{0}", Some(json!({"payload": "Zürich\u{0}"}))),
        ("{broken", Some(json!({"payload": "{broken"}))),
        ("\"a text\"", Some(json!({"payload": "\"a text\""}))),
    ] {
        let input = json!({ "output": output }).to_string();
        let answer = stack
            .client
            .post("_/actions/say?blocking=true&result=true", input)
            .await;
        assert_eq!(answer.status, 200, "{output}");
        match result {
            None => assert_eq!(answer.text(), output),
            Some(result) => assert_eq!(answer.json(), result),
        }
        // The same is in the record.
        let path = format!("_/activations/{}/result", answer.activation());
        let kept = stack.client.get(&path).await.json();
        assert_eq!(kept["result"], answer.json(), "{output}");
        assert_eq!(kept["status"], "success");
    }
}

#[tokio::test]
async fn binary_output_is_a_member_in_base64() {
    let stack = Stack::start().await;
    let result = stack.client.call("bytes", r#"{"a":1.50}"#).await;
    assert_eq!(result, json!({"a": 1.5, "base64": "AP8H"}));
    // A parameter of that name is nothing special.
    let result = stack.client.call("show", r#"{"base64":"AA=="}"#).await;
    assert_eq!(result["input"], r#"{"base64":"AA=="}"#);
}

#[tokio::test]
async fn binary_input_is_that_member_where_so_configured() {
    let change = |config: &mut wsk_proxy::Config| {
        config.invoke.binary_member = "data".to_owned();
        config.invoke.binary_input = true;
    };
    let stack = Stack::with(change).await;
    for body in [r#"{"a":1,"data":"c29tZQ=="}"#, r#"{"data":"/+8="}"#] {
        let result = stack.client.call("bytes", body).await;
        assert_eq!(result, serde_json::from_str::<Value>(body).unwrap());
    }
    let shown = stack.client.call("show", r#"{"data":"no base64!"}"#).await;
    assert_eq!(shown["input"], r#"{"data":"no base64!"}"#);
}

#[tokio::test]
async fn input_arrives_as_compact_json_and_nothing_as_an_empty_object() {
    let stack = Stack::start().await;
    for (body, input) in [
        ("", "{}"),
        ("{}", "{}"),
        (
            "{ \"a\" : \"b c\" ,\n \"ü\": 1.0 }",
            r#"{"a":"b c","ü":1.0}"#,
        ),
    ] {
        let shown = stack.client.call("show", body).await;
        assert_eq!(shown["input"], input);
    }
}

#[tokio::test]
async fn an_action_goes_by_all_its_names() {
    let stack = Stack::start().await;
    for (path, lambda) in [
        ("_/actions/show", "show"),
        ("guest/actions/show", "show"),
        ("_/actions/sh%6Fw", "show"),
    ] {
        let path = format!("{path}?blocking=true&result=true");
        let answer = stack.client.post(&path, "{}").await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json()["name"], lambda);
    }
    for path in [
        "_/actions/full",
        "guest/actions/full",
        "_/actions/tools/hammer",
        "guest/actions/tools%2Fhammer",
        "alice/actions/own",
    ] {
        let path = format!("{path}?blocking=true&result=true");
        let answer = stack.client.post(&path, r#"{"a":1}"#).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, r#"{"a":1}"#),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_names_of_lambdas_follow_the_mode() {
    let short = Stack::with(|config| config.names.mode = wsk_proxy::NameMode::Short).await;
    let path = "bob/actions/show?blocking=true&result=true";
    assert_eq!(short.client.post(path, "").await.json()["name"], "show");
    let fqn = Stack::with(|config| config.names.mode = wsk_proxy::NameMode::Fqn).await;
    fqn.client.post(path, "").await.assert_error(404);
    let path = "_/actions/full?blocking=true";
    assert_eq!(fqn.client.post(path, "").await.status, 200);
}

#[tokio::test]
async fn requests_carry_their_identity_and_hops() {
    let stack = Stack::start().await;
    let request = stack
        .client
        .request(Method::POST, "_/actions/show?blocking=true&result=true")
        .header("x-soe-hops", "5");
    let answer = request.send().await;
    let shown = answer.json();
    let uuid = shown["uuid"].as_str().unwrap().replace('-', "");
    assert_eq!(uuid, answer.activation());
    // One for the proxy, one for the router.
    assert_eq!(shown["hops"], 7);
    let shown = stack.client.call("show", "{}").await;
    assert_eq!(shown["hops"], 1);
}
