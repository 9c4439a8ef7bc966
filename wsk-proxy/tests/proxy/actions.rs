//! Actions, packages, namespaces: what there is.

use serde_json::{Value, json};

use crate::support::{Stack, eventually};

fn names(list: &Value) -> Vec<String> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        format!("/{}/{}", text("namespace"), text("name"))
    })
    .collect()
}

#[tokio::test]
async fn lambdas_of_the_table_are_actions() {
    let stack = Stack::start().await;
    let all = [
        "/guest/bytes",
        "/guest/echo",
        "/guest/error",
        "/guest/fail",
        "/guest/full",
        "/guest/loop",
        "/guest/say",
        "/guest/show",
        "/guest/slow",
        "/guest/tools/hammer",
    ];
    let listed = async || names(&stack.client.get("_/actions").await.json()) == all;
    eventually("all lambdas are listed", listed).await;
    let list = async |path: &str| names(&stack.client.get(path).await.json());
    assert_eq!(list("_/actions/?limit=2&skip=1").await, all[1..3]);
    assert_eq!(list("_/actions/tools/").await, all[9..]);
    assert_eq!(list("alice/actions").await, ["/alice/own"]);
    assert_eq!(list("bob/actions").await, Vec::<String>::new());
    let count = stack.client.get("_/actions?count=true").await.json();
    assert_eq!(count, json!({"actions": 10}));

    let action = stack
        .client
        .get("_/actions/tools/hammer?code=false")
        .await
        .json();
    assert_eq!(action["name"], "hammer");
    assert_eq!(action["namespace"], "guest/tools");
    let exec = json!({"kind": "blackbox", "image": "soe/lambda", "binary": false});
    assert_eq!(action["exec"], exec);
    assert_eq!(action["parameters"], json!([]));
    let annotation = json!({"key": "soe.lambda", "value": "/guest/tools/hammer"});
    assert!(
        action["annotations"]
            .as_array()
            .unwrap()
            .contains(&annotation)
    );
    assert!(action["updated"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_lambda_that_comes_is_there_at_once_and_one_that_goes_is_not_listed_any_more() {
    // The table is read when somebody asks for what is not in it, not by the clock.
    let stack = Stack::with(|config| {
        config.table.interval = std::time::Duration::from_secs(3600);
    })
    .await;
    stack
        .client
        .get("_/actions/newcomer")
        .await
        .assert_error(404);
    stack
        .platform
        .announce(&stack.controller, &["newcomer"])
        .await;
    let routed = async || {
        stack
            .router
            .destinations()
            .iter()
            .any(|d| d.lambda == "newcomer")
    };
    eventually("the router knows it", routed).await;
    assert_eq!(stack.client.get("_/actions/newcomer").await.status, 200);
    assert_eq!(
        stack.client.post("_/actions/newcomer", "{}").await.status,
        202
    );
    // What was announced before is gone.
    stack
        .client
        .post("_/actions/other", "{}")
        .await
        .assert_error(404);
    let list = async || names(&stack.client.get("_/actions").await.json()) == ["/guest/newcomer"];
    eventually("only that is left", list).await;
}

#[tokio::test]
async fn more_than_200_actions_are_listed_in_pages() {
    let stack = Stack::start().await;
    let many: Vec<String> = (0..450).map(|n| format!("f{n:03}")).collect();
    let lambdas: Vec<&str> = many.iter().map(String::as_str).collect();
    stack.platform.announce(&stack.controller, &lambdas).await;
    let count = async || {
        let count = stack.client.get("_/actions?count=true").await.json();
        count == json!({"actions": 450})
    };
    eventually("all are known", count).await;
    let mut seen = Vec::new();
    for skip in [0, 200, 400] {
        let page = stack
            .client
            .get(&format!("_/actions?limit=0&skip={skip}"))
            .await
            .json();
        seen.extend(names(&page));
    }
    let all: Vec<String> = many.iter().map(|name| format!("/guest/{name}")).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn packages_are_what_actions_are_in_and_what_was_registered() {
    let stack = Stack::start().await;
    let list = async || names(&stack.client.get("_/packages").await.json());
    let there = async || list().await == ["/guest/tools"];
    eventually("the package of a lambda is listed", there).await;
    let package = stack.client.get("_/packages/tools").await.json();
    assert_eq!(package["actions"][0]["name"], "hammer");
    assert_eq!(package["feeds"], json!([]));
    assert_eq!(package["binding"], json!({}));

    let parameters = r#"{"parameters":[{"key":"size","value":5}],"publish":false}"#;
    let put = stack.client.put("_/packages/tools", parameters).await;
    assert_eq!(put.status, 200);
    stack
        .client
        .put("_/packages/tools", parameters)
        .await
        .assert_error(409);
    let path = "_/packages/tools?overwrite=true";
    assert_eq!(
        stack.client.put(path, parameters).await.json()["version"],
        "0.0.2"
    );
    // Its parameters are those of all that is in it.
    let result = stack.client.call("tools/hammer", r#"{"nail":1}"#).await;
    assert_eq!(result, json!({"size": 5, "nail": 1}));
    let result = stack.client.call("tools/hammer", r#"{"size":7}"#).await;
    assert_eq!(result, json!({"size": 7}));

    assert_eq!(stack.client.put("_/packages/empty", "{}").await.status, 200);
    assert_eq!(list().await, ["/guest/empty", "/guest/tools"]);
    assert_eq!(stack.client.delete("_/packages/empty").await.status, 200);
    stack
        .client
        .delete("_/packages/empty")
        .await
        .assert_error(404);
    stack
        .client
        .put("_/packages/default", "{}")
        .await
        .assert_error(400);
    let binding = r#"{"binding":{"namespace":"guest","name":"tools"}}"#;
    stack
        .client
        .put("_/packages/bound", binding)
        .await
        .assert_error(501);
}

#[tokio::test]
async fn namespaces_and_limits_are_told() {
    let stack = Stack::with(|config| {
        config.limits.invocations_per_minute = 120;
        config.names.namespace = "edge".to_owned();
    })
    .await;
    let namespaces = stack
        .client
        .root(http::Method::GET, "/api/v1/namespaces")
        .send()
        .await;
    assert_eq!(namespaces.json(), json!(["edge"]));
    let limits = stack.client.get("_/limits").await.json();
    assert_eq!(limits["invocationsPerMinute"], 120);
    assert_eq!(limits["concurrentInvocations"], i32::MAX);
    assert_eq!(limits["storeActivations"], true);
}
