//! What the proxy says of itself, and to browsers.

use std::collections::BTreeSet;

use http::Method;
use wsk_proxy::Proxy;

use crate::support::{Client, quiet};

const CHECKED_IN: &str = include_str!("../../openapi.json");

async fn proxy() -> (wsk_proxy::Handle, Client) {
    let mut config = quiet();
    config.table.endpoints = Vec::new().into();
    let proxy = Proxy::start(config).await.unwrap();
    let client = Client::of(proxy.address());
    (proxy, client)
}

#[tokio::test]
async fn the_root_and_the_api_describe_themselves() {
    let (_proxy, client) = proxy().await;
    let get = async |path: &str| client.root(Method::GET, path).send().await;
    assert_eq!(get("/ping").await.text(), "pong");
    let info = get("/").await.json();
    assert_eq!(info["api_paths"], serde_json::json!(["/api/v1"]));
    assert!(info["limits"]["sequence_length"].is_u64());
    for path in ["/api/v1", "/api/v1/"] {
        let api = get(path).await.json();
        assert_eq!(api["api_version_path"], "v1");
        assert_eq!(api["build"], env!("CARGO_PKG_VERSION"));
    }
}

#[tokio::test]
async fn browsers_from_anywhere_may_ask() {
    let (_proxy, client) = proxy().await;
    let path = "/api/v1/namespaces/_/actions/hello";
    let preflight = client
        .root(Method::OPTIONS, path)
        .header("origin", "https://example.org")
        .header("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(preflight.status, 200);
    let failure = client.root(Method::POST, "/nowhere").send().await;
    for answer in [preflight, failure] {
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        let methods = answer.headers["access-control-allow-methods"]
            .to_str()
            .unwrap();
        for method in ["GET", "DELETE", "POST", "PUT"] {
            assert!(methods.contains(method));
        }
        let headers = answer.headers["access-control-allow-headers"]
            .to_str()
            .unwrap();
        for header in [
            "Authorization",
            "Origin",
            "X-Requested-With",
            "Content-Type",
            "Accept",
        ] {
            assert!(headers.contains(header));
        }
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_checked_in_and_has_all_operations() {
    let (_proxy, client) = proxy().await;
    let served = client.root(Method::GET, "/api-docs").send().await;
    assert_eq!(served.text(), CHECKED_IN);
    let document = served.json();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let template = |path: &str| {
        let path = path
            .replace("{namespace}", "_")
            .replace("{activationId}", &"0".repeat(32));
        path.split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/")
    };
    // What each path takes, as the proxy itself says, is what the document has. HEAD goes with GET.
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in &paths {
        let refused = client.root(Method::PATCH, &template(path)).send().await;
        refused.assert_error(405);
        let allowed = refused.headers["allow"].to_str().unwrap();
        let with_others = ["OPTIONS", "HEAD"];
        let taken = allowed.split(", ").filter(|m| !with_others.contains(m));
        let taken: BTreeSet<&str> = taken.collect();
        let methods = document["paths"][*path].as_object().unwrap().keys();
        let upper: Vec<String> = methods
            .filter(|key| *key != "parameters")
            .map(|key| key.to_uppercase())
            .collect();
        let written: BTreeSet<&str> = upper.iter().map(String::as_str).collect();
        assert_eq!(taken, written, "{path}");
    }
    // And all paths that there are, are in it.
    for path in [
        "/",
        "/ping",
        "/api-docs",
        "/api/v1",
        "/api/v1/namespaces",
        "/api/v1/namespaces/{namespace}/limits",
        "/api/v1/namespaces/{namespace}/actions",
        "/api/v1/namespaces/{namespace}/actions/{name}",
        "/api/v1/namespaces/{namespace}/actions/{package}/",
        "/api/v1/namespaces/{namespace}/actions/{package}/{name}",
        "/api/v1/namespaces/{namespace}/activations",
        "/api/v1/namespaces/{namespace}/activations/{activationId}",
        "/api/v1/namespaces/{namespace}/activations/{activationId}/logs",
        "/api/v1/namespaces/{namespace}/activations/{activationId}/result",
        "/api/v1/namespaces/{namespace}/packages",
        "/api/v1/namespaces/{namespace}/packages/{name}",
        "/api/v1/namespaces/{namespace}/triggers",
        "/api/v1/namespaces/{namespace}/triggers/{name}",
        "/api/v1/namespaces/{namespace}/rules",
        "/api/v1/namespaces/{namespace}/rules/{name}",
    ] {
        assert!(
            paths.contains(&&path.to_owned()),
            "{path} is not in the document"
        );
    }
}
