//! The OpenWhisk of one process takes what a real one takes, and refuses what that refuses.

use edge_computer::whisk::User;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::{Api, ECHO, PATIENCE, eventually, platform};

#[tokio::test]
async fn requests_that_openwhisk_refuses_are_refused_with_error_and_code() {
    let platform = platform(|_| {}).await;
    let mut api = Api::of(&platform);
    api.put("f", ECHO).await;
    let code = |kind: &str, code: &str| json!({ "exec": { "kind": kind, "code": code } });
    let list = |query: &str| format!("namespaces/_/actions?{query}");
    let f = |query: &str| format!("namespaces/_/actions/f?{query}");
    for (method, path, body, expected) in [
        (
            "GET",
            "namespaces/other/actions".to_owned(),
            Value::Null,
            403,
        ),
        (
            "GET",
            "namespaces/_/actions/nobody".to_owned(),
            Value::Null,
            404,
        ),
        ("GET", "namespaces/_/nothing".to_owned(), Value::Null, 404),
        ("PATCH", f(""), Value::Null, 405),
        ("GET", list("limit=201"), Value::Null, 400),
        ("GET", list("limit=-1"), Value::Null, 400),
        ("GET", list("skip=x"), Value::Null, 400),
        ("PUT", f("overwrite=false"), code("nodejs:20", "x"), 409),
        ("PUT", f("overwrite=yes"), code("nodejs:20", "x"), 400),
        ("PUT", "namespaces/_/actions/new".to_owned(), json!({}), 400),
        (
            "PUT",
            "namespaces/_/actions/new".to_owned(),
            code("cobol", "x"),
            400,
        ),
        (
            "PUT",
            "namespaces/_/actions/new".to_owned(),
            code("nodejs:20", ""),
            400,
        ),
        (
            "PUT",
            "namespaces/_/actions/-new".to_owned(),
            code("nodejs:20", "x"),
            400,
        ),
        (
            "PUT",
            "namespaces/_/actions/absent/new".to_owned(),
            code("nodejs:20", "x"),
            404,
        ),
        (
            "PUT",
            "namespaces/_/actions/s".to_owned(),
            json!({ "exec": { "kind": "sequence", "components": ["/_/nobody"] } }),
            400,
        ),
        (
            "PUT",
            "namespaces/_/packages/default".to_owned(),
            json!({}),
            400,
        ),
        ("POST", f("blocking=maybe"), json!({}), 400),
        ("POST", f("blocking=true&timeout=0"), json!({}), 400),
        ("POST", f("blocking=true&timeout=60001"), json!({}), 400),
        ("POST", f(""), json!([1]), 400),
        ("POST", f(""), json!({ "large": "x".repeat(1 << 20) }), 413),
        (
            "GET",
            "namespaces/_/activations/12".to_owned(),
            Value::Null,
            400,
        ),
        (
            "GET",
            format!("namespaces/_/activations/{}", "g".repeat(32)),
            Value::Null,
            400,
        ),
        (
            "GET",
            format!("namespaces/_/activations/{}", "a".repeat(32)),
            Value::Null,
            404,
        ),
        (
            "GET",
            "namespaces/_/activations?docs=true&count=true".to_owned(),
            Value::Null,
            400,
        ),
    ] {
        let (status, answer) = api.call(method, &path, &body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(
            answer["error"].is_string() && answer["code"].is_string(),
            "{answer}"
        );
    }
    let plain = api
        .request("POST", &f(""))
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    api.user = User {
        key: "wrong".to_owned(),
        ..User::guest()
    };
    let refused = api.request("GET", "namespaces").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(
        refused.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(platform.executions("guest", "f"), 0);
    platform.stop().await;
}

#[tokio::test]
async fn all_ways_to_invoke_and_what_is_kept_of_them() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    let code = "function main(p) { console.log('hello'); console.error('there'); return p; }";
    api.put("f", code).await;
    let f = |query: &str| format!("namespaces/guest/actions/f?{query}");
    let (status, whole) = api
        .call("POST", &f("blocking=true"), &json!({ "a": 1 }))
        .await;
    assert_eq!(
        (status, &whole["response"]["result"]),
        (200, &json!({ "a": 1 }))
    );
    assert_eq!(whole["response"]["status"], "success");
    let logs: Vec<_> = whole["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(
        logs.iter().any(|line| line.ends_with("stdout: hello")),
        "{logs:?}"
    );
    assert!(
        logs.iter().any(|line| line.ends_with("stderr: there")),
        "{logs:?}"
    );
    let result = api
        .call("POST", &f("blocking=true&result=true"), &json!({ "b": 2 }))
        .await;
    assert_eq!(result, (200, json!({ "b": 2 })));
    let failed = api
        .call(
            "POST",
            &f("blocking=true&result=true"),
            &json!({ "error": "no" }),
        )
        .await;
    assert_eq!(failed, (502, json!({ "error": "no" })));
    let (status, accepted) = api.call("POST", &f(""), &Value::Null).await;
    assert_eq!(status, 202);
    let id = accepted["activationId"].as_str().unwrap().to_owned();
    eventually("it is executed", || platform.executions("guest", "f") == 4).await;
    let path = format!("namespaces/_/activations/{id}");
    assert_eq!(
        api.call("GET", &path, &Value::Null).await.1["activationId"],
        *id
    );
    let logs = api
        .call("GET", &format!("{path}/logs"), &Value::Null)
        .await
        .1;
    assert_eq!(logs["logs"].as_array().unwrap().len(), 2);
    let result = api
        .call("GET", &format!("{path}/result"), &Value::Null)
        .await
        .1;
    assert_eq!(result["success"], true);
    let list = api
        .call(
            "GET",
            "namespaces/_/activations?name=f&limit=2",
            &Value::Null,
        )
        .await
        .1;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["activationId"], *id);
    assert!(list[0]["statusCode"] == 0 && list[0].get("response").is_none());
    let count = api
        .call("GET", "namespaces/_/activations?count=true", &Value::Null)
        .await
        .1;
    assert_eq!(count, json!({ "activations": 4 }));
    platform.stop().await;
}

#[tokio::test]
async fn a_call_that_takes_longer_than_it_waits_is_accepted_and_completed() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    api.put(
        "f",
        "async function main() { await new Promise((d) => setTimeout(d, 300)); return {}; }",
    )
    .await;
    let path = "namespaces/_/actions/f?blocking=true&timeout=50";
    let (status, accepted) = api.call("POST", path, &json!({})).await;
    assert_eq!((status, accepted.as_object().unwrap().len()), (202, 1));
    eventually("it is executed", || platform.executions("guest", "f") == 1).await;
    platform.stop().await;
}

#[tokio::test]
async fn parameters_are_merged_and_final_ones_stay() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    let parameters =
        json!({ "parameters": [{ "key": "a", "value": 1 }, { "key": "b", "value": 1 }] });
    assert_eq!(
        api.call("PUT", "namespaces/_/packages/p", &parameters)
            .await
            .0,
        200
    );
    let action = json!({
        "exec": { "kind": "nodejs:default", "code": ECHO },
        "parameters": [{ "key": "b", "value": 2 }, { "key": "c", "value": 2 }],
    });
    assert_eq!(
        api.call("PUT", "namespaces/_/actions/p/f", &action).await.0,
        200
    );
    let call = "namespaces/_/actions/p/f?blocking=true&result=true";
    let answer = api.call("POST", call, &json!({ "c": 3 })).await;
    assert_eq!(answer, (200, json!({ "a": 1, "b": 2, "c": 3 })));
    let last = json!({ "annotations": [{ "key": "final", "value": true }] });
    let (status, answer) = api
        .call("PUT", "namespaces/_/actions/p/f?overwrite=true", &last)
        .await;
    assert_eq!((status, &answer["version"]), (200, &json!("0.0.2")));
    assert_eq!(api.call("POST", call, &json!({ "c": 3 })).await.0, 400);
    assert_eq!(api.call("POST", call, &json!({ "d": 3 })).await.0, 200);
    let (status, _) = api
        .call("DELETE", "namespaces/_/packages/p", &Value::Null)
        .await;
    assert_eq!(status, 409);
    let (status, _) = api
        .call("DELETE", "namespaces/_/packages/p?force=true", &Value::Null)
        .await;
    assert_eq!(status, 200);
    assert_eq!(api.call("POST", call, &json!({})).await.0, 404);
    platform.stop().await;
}

#[tokio::test]
async fn sequences_hand_results_on_until_one_fails() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    api.put(
        "inc",
        "function main({ n }) { return n > 2 ? { error: 'enough' } : { n: n + 1 }; }",
    )
    .await;
    let sequence = json!({
        "exec": { "kind": "sequence", "components": ["/_/inc", "/guest/inc", "/_/inc"] },
    });
    assert_eq!(
        api.call("PUT", "namespaces/_/actions/s", &sequence).await.0,
        200
    );
    let call = "namespaces/_/actions/s?blocking=true";
    let (status, answer) = api.call("POST", call, &json!({ "n": 0 })).await;
    assert_eq!(
        (status, &answer["response"]["result"]),
        (200, &json!({ "n": 3 }))
    );
    assert_eq!(answer["logs"].as_array().unwrap().len(), 3);
    let (status, answer) = api.call("POST", call, &json!({ "n": 2 })).await;
    assert_eq!(
        (status, &answer["response"]["result"]),
        (502, &json!({ "error": "enough" }))
    );
    assert_eq!(answer["logs"].as_array().unwrap().len(), 2);
    platform.stop().await;
}

#[tokio::test]
async fn an_action_stays_if_the_sequence_that_would_replace_it_cannot_be() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    api.put("f", ECHO).await;
    let path = "namespaces/_/actions/f";
    let (_, before) = api.call("GET", path, &Value::Null).await;
    let sequence = json!({ "exec": { "kind": "sequence", "components": ["/_/nobody"] } });
    let overwrite = format!("{path}?overwrite=true");
    assert_eq!(api.call("PUT", &overwrite, &sequence).await.0, 400);
    assert_eq!(api.call("GET", path, &Value::Null).await, (200, before));
    let call = format!("{path}?blocking=true&result=true");
    let (status, answer) = api.call("POST", &call, &json!({ "n": 1 })).await;
    assert_eq!((status, answer), (200, json!({ "n": 1 })));
    platform.stop().await;
}

#[tokio::test]
async fn rates_are_limited() {
    let slow = "async function main() { await new Promise((d) => setTimeout(d, 500)); return {}; }";
    let platform = platform(|config| {
        config.invocations_per_minute = 3;
        config.concurrent_invocations = 1;
    })
    .await;
    let api = Api::of(&platform);
    api.put("f", slow).await;
    let path = "namespaces/_/actions/f";
    assert_eq!(api.call("POST", path, &Value::Null).await.0, 202);
    let (status, answer) = api.call("POST", path, &Value::Null).await;
    assert_eq!(status, 429);
    assert!(
        answer["error"].as_str().unwrap().contains("concurrent"),
        "{answer}"
    );
    for accepted in 2..=3 {
        // As soon as the one before has ended.
        while api.call("POST", path, &Value::Null).await.0 != 202 {}
        eventually("it ends", || platform.executions("guest", "f") == accepted).await;
    }
    let (status, answer) = api.call("POST", path, &Value::Null).await;
    assert_eq!(status, 429);
    assert!(
        answer["error"].as_str().unwrap().contains("last minute"),
        "{answer}"
    );
    platform.stop().await;
}

#[tokio::test]
async fn an_answer_to_head_is_that_to_get_without_its_body() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    for (path, status) in [("namespaces", 200), ("namespaces/_/nothing", 404)] {
        let mut lengths = Vec::new();
        for method in ["GET", "HEAD"] {
            let request = api.request(method, path).header("x-request-id", "same");
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
            lengths.push(answer.headers()["content-length"].clone());
            let body = answer.bytes().await.unwrap();
            assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
        }
        assert_eq!(lengths[0], lengths[1]);
    }
}

#[tokio::test]
async fn whoever_sends_all_before_it_looks_for_the_answer_sees_it() {
    /// More than sockets hold.
    const LARGE: usize = 15 << 20;
    let platform = platform(|_| {}).await;
    let stream = tokio::net::TcpStream::connect(platform.address()).await;
    let mut stream = stream.unwrap();
    let body = vec![b'x'; LARGE];
    // The connection goes on, too.
    for _ in 0..2 {
        let head = format!(
            "POST /api/v1/namespaces/_/actions/f HTTP/1.1\r\nhost: platform\r\n\
             authorization: Basic eDp5\r\ncontent-length: {LARGE}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let answer = async {
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                answer.push(stream.read_u8().await.unwrap());
            }
            String::from_utf8(answer).unwrap()
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}
