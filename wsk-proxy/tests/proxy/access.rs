//! Who may do what, and how much of it.

use std::path::PathBuf;

use serde_json::json;

use crate::support::{Client, Stack, eventually};

/// SHA-256 of "bobs-key".
const BOBS: &str = "sha256:d4dec180a993cd5fa065cac46b9bbfd1528c39080afa14d683a5bc657c453892";

async fn guarded(lines: &str) -> (Stack, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, lines).unwrap();
    let stack = Stack::with(|config| {
        config.auth.open = false;
        config.auth.file = Some(file.clone());
    })
    .await;
    (stack, folder, file)
}

const ECHO: &str = "_/actions/echo?blocking=true";

#[tokio::test]
async fn only_those_with_credentials_are_served() {
    let lines = format!("guest u1 guests-key\nalice u2 {BOBS}\n");
    let (stack, _folder, _) = guarded(&lines).await;
    let answer = stack.client.post(ECHO, "{}").await;
    answer.assert_error(401);
    assert_eq!(
        answer.headers["www-authenticate"],
        "Basic realm=\"OpenWhisk secure realm\""
    );
    for key in ["u1:wrong", "u2:guests-key", "nobody:guests-key", ":", "u1"] {
        stack
            .client
            .with_key(key)
            .post(ECHO, "{}")
            .await
            .assert_error(401);
    }
    let guest = stack.client.with_key("u1:guests-key");
    assert_eq!(guest.post(ECHO, "{}").await.status, 200);
    let alice = stack.client.with_key("u2:bobs-key");
    let namespaces = alice
        .root(http::Method::GET, "/api/v1/namespaces")
        .send()
        .await;
    assert_eq!(namespaces.json(), json!(["alice"]));
    // What anybody may know.
    for path in ["/", "/ping", "/api/v1", "/api-docs"] {
        assert_eq!(
            stack
                .client
                .root(http::Method::GET, path)
                .send()
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn one_pair_of_credentials_is_enough() {
    let stack = Stack::with(|config| {
        config.auth.open = false;
        config.auth.key = "u1:guests-key".to_owned().into();
    })
    .await;
    stack.client.post(ECHO, "{}").await.assert_error(401);
    let wrong = stack.client.with_key("u1:other");
    wrong.post(ECHO, "{}").await.assert_error(401);
    let guest = stack.client.with_key("u1:guests-key");
    assert_eq!(guest.post(ECHO, "{}").await.status, 200);
    // It is that of one namespace.
    let other = guest.post("alice/actions/own?blocking=true", "{}").await;
    other.assert_error(403);
}

#[tokio::test]
async fn a_namespace_is_its_owners_alone() {
    let (stack, _folder, _) = guarded("guest u1 k1\nalice u2 k2").await;
    let (guest, alice) = (
        stack.client.with_key("u1:k1"),
        stack.client.with_key("u2:k2"),
    );
    let own = "actions/own?blocking=true";
    assert_eq!(alice.post(&format!("_/{own}"), "{}").await.status, 200);
    assert_eq!(alice.post(&format!("alice/{own}"), "{}").await.status, 200);
    guest
        .post(&format!("alice/{own}"), "{}")
        .await
        .assert_error(403);
    guest.get("alice/activations").await.assert_error(403);
    guest.put("alice/actions/x", "{}").await.assert_error(403);
    // The short names are those of the default namespace.
    alice.post(ECHO, "{}").await.assert_error(404);
    let foreign = r#"{"exec":{"kind":"soe:lambda","code":"/guest/echo"}}"#;
    alice.put("_/actions/x", foreign).await.assert_error(403);
}

#[tokio::test]
async fn scopes_are_kept() {
    let (stack, _folder, _) = guarded("guest r k read\nguest i k invoke\nguest w k write\n").await;
    let with = |user: &str| stack.client.with_key(&format!("{user}:k"));
    let body = r#"{"exec":{"kind":"soe:lambda","code":"echo"}}"#;
    let attempts = async |client: &Client| {
        (
            client.get("_/actions").await.status,
            client.post(ECHO, "{}").await.status,
            client.put("_/actions/x?overwrite=true", body).await.status,
        )
    };
    assert_eq!(attempts(&with("r")).await, (200, 403, 403));
    assert_eq!(attempts(&with("i")).await, (403, 200, 403));
    assert_eq!(attempts(&with("w")).await, (403, 403, 200));
    with("r").post(ECHO, "{}").await.assert_error(403);
}

#[tokio::test]
async fn credentials_that_change_count_without_a_restart() {
    let (stack, _folder, file) = guarded("guest u1 old\n").await;
    let (old, new) = (
        stack.client.with_key("u1:old"),
        stack.client.with_key("u1:brand-new"),
    );
    assert_eq!(old.post(ECHO, "{}").await.status, 200);
    // What makes no sense changes nothing.
    std::fs::write(&file, "guest u1").unwrap();
    std::fs::write(&file, "guest u1 brand-new\n").unwrap();
    let works = async || new.post(ECHO, "{}").await.status == 200;
    eventually("the new key is accepted", works).await;
    old.post(ECHO, "{}").await.assert_error(401);
}

#[tokio::test]
async fn too_many_invocations_are_429_with_a_time_to_come_back() {
    let lines = "guest u1 k invocations-per-minute=3\nalice u2 k concurrent-invocations=1\n";
    let (stack, _folder, _) = guarded(lines).await;
    let guest = stack.client.with_key("u1:k");
    for _ in 0..3 {
        assert_eq!(guest.post(ECHO, "{}").await.status, 200);
    }
    let answer = guest.post(ECHO, "{}").await;
    answer.assert_error(429);
    let seconds: u32 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(
        guest.get("_/limits").await.json()["invocationsPerMinute"],
        3
    );
    // Reading is not invoking, and others are not concerned.
    assert_eq!(guest.get("_/activations").await.status, 200);
    let alice = stack.client.with_key("u2:k");
    assert_eq!(
        alice.post("_/actions/own?blocking=true", "{}").await.status,
        200
    );
}

#[tokio::test]
async fn too_many_invocations_at_the_same_time_are_429() {
    let stack = Stack::with(|config| config.limits.concurrent_invocations = 2).await;
    for _ in 0..2 {
        assert_eq!(stack.client.post("_/actions/slow", "{}").await.status, 202);
    }
    stack.client.post(ECHO, "{}").await.assert_error(429);
    stack.platform.release();
    let works = async || stack.client.post(ECHO, "{}").await.status == 200;
    eventually("places are given back", works).await;
}
