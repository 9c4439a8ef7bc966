//! What is refused, and how answers are wrapped, where that is asked for.

use serde_json::{Value, json};

use crate::support::{PATIENCE, ask, context, eventually, serve, server, serving};

const CONTEXTS: &str = "/dev_app/v1/app_contexts";
const CALLBACK: &str = "http://127.0.0.1:1/";

async fn strict() -> mec_mx2::Handle {
    let server = server(|config| config.api.strict = true).await;
    serve(&server);
    server
}

#[tokio::test]
async fn a_creation_names_no_context() {
    let mut named = context(CALLBACK);
    named["contextId"] = json!("mine");
    let lenient = serving().await;
    let made = ask(&lenient, "POST", CONTEXTS, &named).await;
    assert_eq!(made.status, 201);
    assert_ne!(made.json()["contextId"], "mine");
    let strict = strict().await;
    let problem = ask(&strict, "POST", CONTEXTS, &named).await.problem(400);
    assert_eq!(problem["invalid-params"][0]["name"], "/contextId");
    assert_eq!(strict.state().num_contexts(), 0);
}

#[tokio::test]
async fn a_change_changes_nothing_that_cannot_change() {
    for (is_strict, server) in [(false, serving().await), (true, strict().await)] {
        let made = ask(&server, "POST", CONTEXTS, &context(CALLBACK))
            .await
            .json();
        let path = format!("{CONTEXTS}/{}", made["contextId"].as_str().unwrap());
        // What the server has said, with another callback, is what the standard wants.
        let mut same = made.clone();
        same["callbackReference"] = json!("http://127.0.0.1:1/other");
        assert_eq!(ask(&server, "PUT", &path, &same).await.status, 204);
        let mut other = same.clone();
        other["associateDevAppId"] = json!("dev-2");
        other["appLocationUpdates"] = json!(true);
        other["appInfo"]["appProvider"] = json!("Somebody");
        let answer = ask(&server, "PUT", &path, &other).await;
        if is_strict {
            let faults = answer.problem(400)["invalid-params"].clone();
            let names: Vec<_> = faults
                .as_array()
                .unwrap()
                .iter()
                .map(|f| &f["name"])
                .collect();
            let expected = [
                "/appLocationUpdates",
                "/associateDevAppId",
                "/appInfo/appProvider",
            ];
            assert_eq!(names, expected);
        } else {
            assert_eq!(answer.status, 204);
        }
        let mut nameless = same.clone();
        nameless.as_object_mut().unwrap().remove("contextId");
        let answer = ask(&server, "PUT", &path, &nameless).await;
        assert_eq!(answer.status, if is_strict { 400 } else { 204 });
        // It is for its owner to know what differs.
        let unknown = format!("{CONTEXTS}/{}", "0".repeat(32));
        let mut elsewhere = other.clone();
        elsewhere["contextId"] = json!("0".repeat(32));
        ask(&server, "PUT", &unknown, &elsewhere).await.problem(404);
    }
}

#[tokio::test]
async fn our_own_device_gets_along_with_a_strict_server() {
    let server = strict().await;
    let here: mec_mx2::ApiRoot = "http://127.0.0.1:0".parse().unwrap();
    let options = mec_mx2::client::Options::new(server.root().clone());
    let device = mec_mx2::client::Device::start(options, &here).unwrap();
    let followed = device.follow("clambda0").await.unwrap();
    let first = followed.reference();
    server.state().associate("", "clambda0", "h:2").unwrap();
    let other = tokio::time::timeout(PATIENCE, followed.other(first.as_ref()));
    assert_eq!(other.await.unwrap().unwrap().to_string(), "grpc://h:2");
    device.stop(&[followed]).await;
    eventually("it has left", || server.state().num_contexts() == 0).await;
}

#[tokio::test]
async fn answers_are_wrapped_where_that_is_wanted() {
    let server = server(|config| config.api.wrapped = true).await;
    serve(&server);
    let list = ask(&server, "GET", "/dev_app/v1/app_list", &Value::Null).await;
    let item = &list.json()["ApplicationList"]["appList"][0]["appInfo"]["appName"];
    assert_eq!(item, "clambda0");
    let made = ask(&server, "POST", CONTEXTS, &context(CALLBACK)).await;
    let id = &made.json()["AppContext"]["contextId"];
    assert!(made.headers["location"].ends_with(id.as_str().unwrap()));
    let question = json!({"associateDevAppId": "dev-1",
        "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appDVersion": "1.0"}});
    let path = "/dev_app/v1/obtain_app_loc_availability";
    let answer = ask(&server, "POST", path, &question).await.json();
    let answered = &answer["ApplicationLocationAvailability"]["associateDevAppId"];
    assert_eq!(answered, "dev-1");
    // Problems are bare in all descriptions of this version.
    ask(&server, "POST", CONTEXTS, &json!({}))
        .await
        .problem(400);
    // Clients of ours read either.
    let options = mec_mx2::client::Options::new(server.root().clone());
    let (_, apps) = mec_mx2::client::app_list(&options).await.unwrap();
    assert_eq!(apps[0].name, "clambda0");
}
