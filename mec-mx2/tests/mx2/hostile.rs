//! Requests that are not as they should be, and clients that are not who they should be.

use serde_json::{Value, json};

use crate::support::{ask, context, send, serve, server, serving};

const CONTEXTS: &str = "/dev_app/v1/app_contexts";

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_and_nothing_breaks() {
    let server = serving().await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let deep_object = format!("{}1{}", "{\"AppContext\":".repeat(4000), "}".repeat(4000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\"x\"".to_vec(),
        b"1e999999".to_vec(),
        b"{\"appInfo\": ".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"{\"a\":\"\\ud800\"}".to_vec(),
        deep.into_bytes(),
        deep_object.into_bytes(),
        b"{\"AppContext\":{\"AppContext\":{}}}".to_vec(),
        vec![0; 60_000],
    ];
    for body in bodies {
        for (method, path) in [
            ("POST", CONTEXTS),
            ("POST", "/dev_app/v1/obtain_app_loc_availability"),
            ("PUT", "/dev_app/v1/app_contexts/x"),
        ] {
            let answer = send(&server, method, path, &[], body.clone()).await;
            answer.problem(400);
        }
        let legacy = send(&server, "POST", "/mx2/v1/app_contexts", &[], body).await;
        assert_eq!(legacy.json()["ProblemDetails"]["status"], 400);
    }
    assert_eq!(server.state().num_contexts(), 0);
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let server = serving().await;
    for method_path in [("POST", CONTEXTS), ("PUT", "/dev_app/v1/app_contexts/x")] {
        send(
            &server,
            method_path.0,
            method_path.1,
            &[],
            vec![b' '; 70_000],
        )
        .await
        .problem(413);
    }
    assert_eq!(
        send(
            &server,
            "POST",
            "/mx2/v1/app_contexts",
            &[],
            vec![b' '; 70_000]
        )
        .await
        .status,
        413
    );
}

#[tokio::test]
async fn methods_that_a_resource_does_not_have_are_405_with_those_that_it_has() {
    let server = serving().await;
    for (method, path, allowed) in [
        ("POST", "/dev_app/v1/app_list", "GET"),
        ("GET", CONTEXTS, "POST"),
        ("PATCH", "/dev_app/v1/app_contexts/x", "PUT"),
        ("GET", "/dev_app/v1/app_contexts/x", "DELETE"),
        ("DELETE", "/dev_app/v1/obtain_app_loc_availability", "POST"),
        ("OPTIONS", "/dev_app/v1/app_list", "GET"),
    ] {
        let answer = send(&server, method, path, &[], "").await;
        answer.problem(405);
        assert!(
            answer.headers["allow"].contains(allowed),
            "{method} {path}: {answer:?}"
        );
    }
    // The reference has no word for it.
    assert_eq!(
        send(&server, "POST", "/mx2/v1/app_list", &[], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn media_types_are_negotiated() {
    let server = serving().await;
    let body = context("http://127.0.0.1:1/").to_string();
    let accept = [("Accept", "text/html")];
    send(&server, "GET", "/dev_app/v1/app_list", &accept, "")
        .await
        .problem(406);
    send(&server, "POST", CONTEXTS, &accept, body.clone())
        .await
        .problem(406);
    let xml = [("Content-Type", "application/xml")];
    send(&server, "POST", CONTEXTS, &xml, body.clone())
        .await
        .problem(415);
    send(
        &server,
        "PUT",
        "/dev_app/v1/app_contexts/x",
        &xml,
        body.clone(),
    )
    .await
    .problem(415);
    // What is compressed is not unpacked, on no interface.
    let gzip = [("Content-Encoding", "gzip")];
    for (method, path) in [
        ("POST", CONTEXTS),
        ("PUT", "/dev_app/v1/app_contexts/x"),
        ("POST", "/dev_app/v1/obtain_app_loc_availability"),
    ] {
        send(&server, method, path, &gzip, body.clone())
            .await
            .problem(415);
    }
    let legacy = send(&server, "POST", "/mx2/v1/app_contexts", &gzip, body.clone()).await;
    assert_eq!(legacy.json()["ProblemDetails"]["status"], 415);
    let charset = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Accept", "*/*"),
    ];
    assert_eq!(
        send(&server, "POST", CONTEXTS, &charset, body).await.status,
        201
    );
}

#[tokio::test]
async fn paths_and_queries_of_any_kind_are_answered() {
    let server = serving().await;
    for path in [
        "/",
        "//",
        "/dev_app",
        "/dev_app/v1/",
        "/dev_app/v1/app_contexts/",
        "/dev_app/v1/app_contexts/%ff",
        "/dev_app/v1/app_contexts/a/b",
        "/%00",
        "/dev_app/v1/%2e%2e/app_list",
    ] {
        let answer = send(
            &server,
            "PUT",
            path,
            &[],
            context("http://127.0.0.1:1/").to_string(),
        )
        .await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    for query in [
        "&&&",
        "=",
        "appName",
        "appName=%",
        "appName=%zz",
        "a=b=c",
        "appName=,,,",
    ] {
        let answer = send(
            &server,
            "GET",
            &format!("/dev_app/v1/app_list?{query}"),
            &[],
            "",
        )
        .await;
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[tokio::test]
async fn both_wire_shapes_are_read() {
    let server = serving().await;
    let bare = context("http://127.0.0.1:1/");
    let mut old_name = bare.clone();
    old_name["associateUeAppId"] = old_name
        .as_object_mut()
        .unwrap()
        .remove("associateDevAppId")
        .unwrap();
    for body in [
        bare.clone(),
        json!({"AppContext": bare}),
        json!({"appContext": bare}),
        old_name,
    ] {
        let answer = ask(&server, "POST", CONTEXTS, &body).await;
        assert_eq!(answer.status, 201, "{body}");
        assert_eq!(answer.json()["associateDevAppId"], "dev-1");
    }
}

#[tokio::test]
async fn with_tokens_only_their_owners_see_contexts() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "alice one\nbob two\n").unwrap();
    let server = server(|config| config.auth.tokens_file = Some(tokens)).await;
    serve(&server);
    let body = context("http://127.0.0.1:1/").to_string();
    for path in ["/dev_app/v1/app_list", "/mx2/v1/app_list"] {
        let answer = send(&server, "GET", path, &[], "").await;
        assert_eq!(answer.status, 401);
        assert!(answer.headers["www-authenticate"].starts_with("Bearer"));
    }
    let alice = [("Authorization", "Bearer one")];
    let bob = [("Authorization", "Bearer two")];
    let made = send(&server, "POST", CONTEXTS, &alice, body.clone()).await;
    assert_eq!(made.status, 201);
    let path = format!("{CONTEXTS}/{}", made.json()["contextId"].as_str().unwrap());
    send(&server, "DELETE", &path, &[], "").await.problem(401);
    send(&server, "DELETE", &path, &bob, "").await.problem(404);
    send(&server, "PUT", &path, &bob, body).await.problem(404);
    assert_eq!(
        &*server.state().contexts()[0].subject.clone().unwrap(),
        "alice"
    );
    assert_eq!(send(&server, "DELETE", &path, &alice, "").await.status, 204);
    // The description is public.
    assert_eq!(
        send(&server, "GET", "/dev_app/v1/openapi.json", &[], "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_description_is_the_one_that_is_checked_in_and_names_what_there_is() {
    let server = serving().await;
    let served = send(&server, "GET", "/dev_app/v1/openapi.json", &[], "").await;
    assert_eq!(served.body, include_str!("../../openapi.json"));
    let document = served.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = format!("/dev_app/v1{}", path.replace("{contextId}", "x"));
        let described: Vec<_> = item
            .as_object()
            .unwrap()
            .keys()
            .filter(|k| *k != "parameters")
            .cloned()
            .collect();
        for method in ["get", "post", "put", "delete", "patch"] {
            let answer = send(&server, &method.to_uppercase(), &path, &[], "").await;
            assert_eq!(
                answer.status != 405,
                described.iter().any(|d| d == method),
                "{method} {path}"
            );
            let status = answer.status.to_string();
            if described.iter().any(|d| d == method) {
                assert!(
                    item[method]["responses"].get(&status).is_some(),
                    "{method} {path} {status}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_root_may_have_a_path() {
    let server =
        server(|config| config.api.root = "http://127.0.0.1:0/sandbox/".parse().unwrap()).await;
    serve(&server);
    for interface in ["dev_app", "mx2"] {
        let answer = ask(
            &server,
            "GET",
            &format!("/sandbox/{interface}/v1/app_list"),
            &Value::Null,
        )
        .await;
        assert_eq!(answer.status, 200);
    }
    let made = ask(
        &server,
        "POST",
        "/sandbox/dev_app/v1/app_contexts",
        &context("http://127.0.0.1:1/"),
    )
    .await;
    assert!(
        made.headers["location"].contains("/sandbox/dev_app/v1/app_contexts/"),
        "{made:?}"
    );
    let missing = ask(&server, "GET", "/sandbox/mx2/v1/x", &Value::Null).await;
    assert!(missing.json().get("ProblemDetails").is_some());
}
