//! What operators see: metrics, readiness, state, and traces that go on.

use http::Method;

use crate::support::{Client, Stack, eventually};

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let stack = Stack::with(|config| config.admin.endpoint = "127.0.0.1:0".parse().unwrap()).await;
    let admin = Client::of(stack.proxy.admin_address().unwrap());
    let page = async |path: &str| admin.root(Method::GET, path).send().await;
    assert_eq!(page("/readyz").await.status, 200);
    stack.client.call("echo", "{}").await;
    stack.client.call("echo", "{}").await;
    stack
        .client
        .post("_/actions/error?blocking=true", "{}")
        .await;
    stack.client.get("_/activations").await;
    let has = async |line: &str| {
        let metrics = page("/metrics").await;
        metrics.text().lines().any(|one| one == line)
    };
    for line in [
        r#"edge_wskproxy_requests_total{operation="invoke",code="200"} 2"#,
        r#"edge_wskproxy_requests_total{operation="invoke",code="502"} 1"#,
        r#"edge_wskproxy_requests_total{operation="list-activations",code="200"} 1"#,
        "edge_wskproxy_invocation_seconds_count 3",
    ] {
        assert!(has(line).await, "{line}\n{}", page("/metrics").await.text());
    }
    eventually("what is kept is told", || {
        has("edge_wskproxy_activations 3")
    })
    .await;
    let state = page("/state").await.json();
    assert_eq!(state["store"]["activations"], 3);
}

#[tokio::test]
async fn traces_go_on_to_the_computer() {
    let stack = Stack::start().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for path in [
        "_/actions/echo?blocking=true",
        "_/actions/tools/hammer?blocking=true",
    ] {
        let request = stack.client.request(Method::POST, path).body("{}");
        let request = request
            .header("traceparent", parent)
            .header("tracestate", "vendor=1");
        assert_eq!(request.send().await.status, 200);
        assert_eq!(
            stack.platform.trace(),
            (parent.to_owned(), "vendor=1".to_owned())
        );
    }
    stack.client.call("echo", "{}").await;
    assert_eq!(stack.platform.trace(), (String::new(), String::new()));
}
