//! Platforms that fail, go away and come back.

use edge_transport::Endpoint;
use serde_json::json;
use wsk_proxy::Proxy;

use crate::support::{
    Client, Platform, Stack, anywhere, behind, controller, eventually, router, wait_for_table,
};

const ECHO: &str = "_/actions/echo?blocking=true&result=true";

#[tokio::test]
async fn a_lambda_that_fails_1000_times_is_executed_1000_times_and_stays_routable() {
    let stack = Stack::start().await;
    let mut session = stack.client.connect().await;
    for action in ["fail", "error"] {
        for _ in 0..1000 {
            let path = format!("_/actions/{action}?blocking=true");
            let request = stack.client.request(http::Method::POST, &path);
            let answer = session.send(request).await.unwrap();
            assert_eq!(answer.status, 502);
        }
        assert_eq!(stack.platform.executed(action), 1000);
        let routes = stack.router.destinations();
        assert!(routes.iter().any(|route| route.lambda == action));
    }
}

#[tokio::test]
async fn a_router_that_is_down_for_100_requests_and_comes_back_is_used_again() {
    let controller = controller().await;
    let _platform = Platform::announced_to(&controller).await;
    let first = router(anywhere(), anywhere(), &controller).await;
    wait_for_table(&first).await;
    let (at, tables) = (first.lambda_address(), first.table_address());
    let proxy = Proxy::start(behind(&first)).await.unwrap();
    let client = Client::of(proxy.address());
    assert_eq!(client.post(ECHO, "{}").await.status, 200);
    first.kill().await;

    for _ in 0..100 {
        let answer = client.post(ECHO, "{}").await;
        answer.assert_error(503);
        assert!(answer.headers.contains_key("retry-after"));
    }

    let second = router(at.into(), tables.into(), &controller).await;
    wait_for_table(&second).await;
    let works = async || client.post(ECHO, r#"{"a":1}"#).await.text() == r#"{"a":1}"#;
    eventually("calls succeed again", works).await;
    for _ in 0..100 {
        assert_eq!(client.post(ECHO, "{}").await.status, 200);
    }
}

#[tokio::test]
async fn a_computer_that_is_down_for_100_requests_leaves_no_request_behind() {
    let stack = Stack::start().await;
    assert_eq!(stack.client.post(ECHO, "{}").await.status, 200);
    stack.platform.kill().await;
    for _ in 0..100 {
        let answer = stack.client.post(ECHO, "{}").await;
        // Before the controller has noticed, or after.
        assert!([404, 500, 503].contains(&answer.status), "{answer:?}");
        // What the router does not say was unexecuted is an activation that failed.
        if answer.status != 500 {
            answer.assert_error(answer.status);
        }
    }
    let replacement = Platform::announced_to(&stack.controller).await;
    let works = async || stack.client.post(ECHO, "{}").await.status == 200;
    eventually("calls succeed again", works).await;
    assert!(replacement.executed("echo") > 0);
}

#[tokio::test]
async fn where_one_router_cannot_be_reached_the_next_one_is_asked() {
    let controller = controller().await;
    let _platform = Platform::announced_to(&controller).await;
    let (first, second) = (
        router(anywhere(), anywhere(), &controller).await,
        router(anywhere(), anywhere(), &controller).await,
    );
    wait_for_table(&first).await;
    wait_for_table(&second).await;
    let mut config = behind(&first);
    let endpoints = [&first, &second].map(|router| Endpoint::from(router.lambda_address()));
    config.router.endpoints = endpoints.to_vec().into();
    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    assert_eq!(client.post(ECHO, "{}").await.status, 200);
    first.kill().await;
    for _ in 0..50 {
        assert_eq!(client.post(ECHO, "{}").await.status, 200);
    }
    second.kill().await;
    client.post(ECHO, "{}").await.assert_error(503);
}

#[tokio::test]
async fn a_call_that_breaks_on_the_way_is_recorded_and_500() {
    let stack = Stack::start().await;
    let path = "_/actions/slow?blocking=true";
    let call = tokio::spawn({
        let client = stack.client.clone();
        async move { client.post(path, "{}").await }
    });
    stack.platform.wait_for_slow(1).await;
    stack.platform.kill().await;
    let answer = call.await.unwrap();
    assert_eq!(answer.status, 500, "{answer:?}");
    let path = format!("_/activations/{}", answer.activation());
    let record = stack.client.get(&path).await.json();
    assert_eq!(answer.json(), record);
    assert_eq!(record["statusCode"], 3);
    assert_eq!(record["response"]["status"], "whisk internal error");
}

#[tokio::test]
async fn an_action_that_takes_too_long_is_ended_with_a_developer_error() {
    let stack = Stack::with(|config| {
        config.invoke.action_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    // On a slow machine the time may be over before it has begun.
    while stack.platform.executed("slow") == 0 {
        let answer = stack
            .client
            .post("_/actions/slow?blocking=true", "{}")
            .await;
        assert_eq!(answer.status, 502);
        let record = answer.json();
        assert_eq!(record["response"]["status"], "action developer error");
        assert_eq!(record["statusCode"], 2);
        let annotations = record["annotations"].as_array().unwrap();
        assert!(annotations.contains(&json!({"key": "timeout", "value": true})));
    }
    stack.platform.wait_for_cancelled().await;
}
