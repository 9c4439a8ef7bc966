//! The life of contexts on `/mx2/v1`, as the C++ reference tests it.

use mec_mx2::model::AppInfo;
use serde_json::{Value, json};

use crate::support::{Always, Answer, Receiver, ask, server};

const CONTEXTS: &str = "/mx2/v1/app_contexts";

fn body(ue_app: &str, app: &str, callback: &str) -> Value {
    json!({"associateUeAppId": ue_app, "callbackReference": callback,
        "appInfo": {"appName": app, "appProvider": "OpenLambdaMec", "appSoftVersion": "1.0"}})
}

async fn create(server: &mec_mx2::Handle, ue_app: &str, app: &str, callback: &str) -> Answer {
    ask(server, "POST", CONTEXTS, &body(ue_app, app, callback)).await
}

#[tokio::test]
async fn the_list_grows_and_shrinks_with_the_catalogue() {
    let server = server(|_| {}).await;
    let state = server.state();
    let count = async || {
        let list = ask(&server, "GET", "/mx2/v1/app_list?ignored=1", &Value::Null)
            .await
            .json();
        list["ApplicationList"]["appInfo"].as_array().unwrap().len()
    };
    assert_eq!(count().await, 0);
    for (name, new, total) in [("b", true, 1), ("a", true, 2), ("a", false, 2)] {
        assert_eq!(state.add_app(AppInfo::lambda(name).unwrap()).unwrap(), new);
        assert_eq!(count().await, total);
    }
    let list = ask(&server, "GET", "/mx2/v1/app_list", &Value::Null)
        .await
        .json();
    let item = &list["ApplicationList"]["appInfo"][0];
    assert_eq!(item["appName"], "a");
    assert_eq!(
        item["appCharcs"],
        json!({"memory": 0, "storage": 0, "latency": 0, "bandwidth": 0, "serviceCont": 0})
    );
    for (gone, total) in [(true, 1), (false, 1)] {
        assert_eq!(state.remove_app("a", "OpenLambdaMec", "1.0"), gone);
        assert_eq!(count().await, total);
    }
}

#[tokio::test]
async fn contexts_follow_their_routes_from_creation_to_the_end() {
    let server = server(|_| {}).await;
    let state = server.state();
    let device = Receiver::start(Always(204));
    let uri = device.uri("ue-1");

    // Unknown application, then no route.
    let refused = create(&server, "ue-1", "clambda0", &uri).await;
    assert_eq!(
        (refused.status, &refused.json()["status"]),
        (403, &json!(403))
    );
    state.add_app(AppInfo::lambda("clambda0").unwrap()).unwrap();
    assert_eq!(create(&server, "ue-1", "clambda0", &uri).await.status, 403);

    state.associate("", "clambda0", "127.0.0.1:10000").unwrap();
    let made = create(&server, "ue-1", "clambda0", &uri).await;
    assert_eq!(made.status, 201);
    assert!(!made.headers.contains_key("location"));
    let made = made.json();
    assert_eq!(made["appInfo"]["referenceURI"], "127.0.0.1:10000");
    assert_eq!(made["associateUeAppId"], "ue-1");

    state.associate("", "clambda0", "127.0.0.1:10001").unwrap();
    let told = device.wait("ue-1", 1).await;
    assert_eq!(told[0], json!({"referenceURI": "127.0.0.1:10001"}));
    // Another client's route is none of its business.
    state
        .associate("10.0.0.1", "clambda0", "127.0.0.1:10009")
        .unwrap();
    // An individual one is; when it goes, the default counts again.
    state
        .associate("127.0.0.1", "clambda0", "127.0.0.1:10002")
        .unwrap();
    let told = device.wait("ue-1", 2).await;
    assert_eq!(told[1]["referenceURI"], "127.0.0.1:10002");
    assert!(state.dissociate("127.0.0.1", "clambda0"));
    let told = device.wait("ue-1", 3).await;
    assert_eq!(told[2]["referenceURI"], "127.0.0.1:10001");
    state.associate("", "clambda0", "127.0.0.1:10003").unwrap();
    assert_eq!(
        device.wait("ue-1", 4).await[3]["referenceURI"],
        "127.0.0.1:10003"
    );

    let path = format!("{CONTEXTS}/{}", made["contextId"].as_str().unwrap());
    assert_eq!(
        ask(&server, "DELETE", &path, &Value::Null).await.status,
        204
    );
    assert_eq!(state.num_contexts(), 0);
    assert_eq!(device.heard().len(), 4);
}

#[tokio::test]
async fn several_contexts_of_one_pair_are_counted_each() {
    let server = server(|_| {}).await;
    let state = server.state();
    for app in ["a", "b"] {
        state.add_app(AppInfo::lambda(app).unwrap()).unwrap();
        state.associate("", app, "h:1").unwrap();
    }
    for (ue_app, app) in [("1", "a"), ("2", "a"), ("3", "b")] {
        assert_eq!(create(&server, ue_app, app, "").await.status, 201);
    }
    let mut contexts: Vec<_> = state
        .contexts()
        .into_iter()
        .map(|c| (c.address.to_string(), c.app.to_string()))
        .collect();
    contexts.sort();
    let at = |app: &str| ("127.0.0.1".to_owned(), app.to_owned());
    assert_eq!(contexts, [at("a"), at("a"), at("b")]);
}

#[tokio::test]
async fn an_update_goes_by_the_device_application_where_the_path_names_nothing() {
    let server = server(|_| {}).await;
    let state = server.state();
    state.add_app(AppInfo::lambda("a").unwrap()).unwrap();
    state.associate("", "a", "h:1").unwrap();
    let device = Receiver::start(Always(204));
    create(&server, "ue-1", "a", "").await;
    let answer = ask(
        &server,
        "PUT",
        &format!("{CONTEXTS}/anything"),
        &body("ue-1", "a", &device.uri("new")),
    )
    .await;
    assert_eq!(answer.status, 204);
    state.associate("", "a", "h:2").unwrap();
    assert_eq!(device.wait("new", 1).await[0]["referenceURI"], "h:2");
    let unknown = ask(
        &server,
        "PUT",
        &format!("{CONTEXTS}/anything"),
        &body("ue-2", "a", ""),
    )
    .await;
    assert_eq!(
        (unknown.status, unknown.json().get("ProblemDetails")),
        (403, None)
    );
}

#[tokio::test]
async fn an_update_by_device_application_reaches_no_context_of_others() {
    let server = server(|config| {
        config.auth.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let state = server.state();
    state.add_app(AppInfo::lambda("a").unwrap()).unwrap();
    state.associate("", "a", "h:1").unwrap();
    let put = async |address: &str, ue_app: &str| {
        let headers = [("X-Forwarded-For", address)];
        let path = format!("{CONTEXTS}/anything");
        let body = body(ue_app, "a", "").to_string();
        crate::support::send(&server, "PUT", &path, &headers, body)
            .await
            .status
    };
    let headers = [("X-Forwarded-For", "10.0.0.1")];
    let own = body("ue-1", "a", "").to_string();
    let made = crate::support::send(&server, "POST", CONTEXTS, &headers, own).await;
    assert_eq!(made.status, 201);
    assert_eq!(put("10.0.0.2", "ue-1").await, 403);
    assert_eq!(put("10.0.0.1", "ue-1").await, 204);
    // Nor one of the standard's, which has an identifier that nobody else knows.
    let standard = crate::support::context("http://10.0.0.1/").to_string();
    let path = "/dev_app/v1/app_contexts";
    state.add_app(AppInfo::lambda("clambda0").unwrap()).unwrap();
    state.associate("", "clambda0", "h:1").unwrap();
    let made = crate::support::send(&server, "POST", path, &headers, standard).await;
    assert_eq!(made.status, 201);
    assert_eq!(put("10.0.0.1", "dev-1").await, 403);
}
