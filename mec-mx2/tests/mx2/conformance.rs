//! The test purposes of ETSI GS MEC-DEC 032 for MEC 016, by their ids; and the older ones.

use serde_json::{Value, json};

use crate::support::{ask, context, create, serve, server, serving};

const LIST: &str = "/dev_app/v1/app_list";
const CONTEXTS: &str = "/dev_app/v1/app_contexts";
const AVAILABILITY: &str = "/dev_app/v1/obtain_app_loc_availability";
const CALLBACK: &str = "http://127.0.0.1:6600/cb";

fn names(list: &Value) -> Vec<&str> {
    let items = list["appList"].as_array().unwrap().iter();
    items
        .map(|item| item["appInfo"]["appName"].as_str().unwrap())
        .collect()
}

fn availability() -> Value {
    json!({"associateDevAppId": "dev-1",
        "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appDVersion": "1.0"}})
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapps_001_ok() {
    let server = serving().await;
    let answer = ask(&server, "GET", LIST, &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].contains("application/json"));
    let list = answer.json();
    assert_eq!(names(&list), ["clambda0"]);
    for member in [
        "appDId",
        "appProvider",
        "appSoftVersion",
        "appDVersion",
        "appDescription",
    ] {
        assert!(
            list["appList"][0]["appInfo"][member].is_string(),
            "{member}"
        );
    }
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapps_001_nf() {
    let server = serving().await;
    ask(&server, "GET", "/dev_app/v1/app_list_error", &Value::Null)
        .await
        .problem(404);
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapps_002_ok() {
    let server = serving().await;
    for filter in [
        "appName=clambda0",
        "appProvider=OpenLambdaMec",
        "appSoftVersion=1.0",
        "serviceCont=0",
        "appname=%22clambda0%22,x",
    ] {
        let answer = ask(&server, "GET", &format!("{LIST}?{filter}"), &Value::Null).await;
        assert_eq!(
            (answer.status, names(&answer.json())),
            (200, vec!["clambda0"]),
            "{filter}"
        );
    }
    for filter in ["appName=other", "vendorId=v", "serviceCont=1"] {
        let answer = ask(&server, "GET", &format!("{LIST}?{filter}"), &Value::Null).await;
        assert_eq!(
            (answer.status, names(&answer.json()).len()),
            (200, 0),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapps_002_br() {
    let server = serving().await;
    let answer = ask(
        &server,
        "GET",
        &format!("{LIST}?serviceCont=MAYBE"),
        &Value::Null,
    )
    .await;
    assert_eq!(
        answer.problem(400)["invalid-params"][0]["name"],
        "serviceCont"
    );
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_001_ok() {
    let server = serving().await;
    let answer = ask(&server, "POST", CONTEXTS, &context(CALLBACK)).await;
    assert_eq!(answer.status, 201);
    assert!(answer.headers["content-type"].contains("application/json"));
    let made = answer.json();
    let id = made["contextId"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        answer.headers["location"],
        format!("{}{CONTEXTS}/{id}", server.root())
    );
    assert_eq!(made["appInfo"]["appName"], "clambda0");
    assert_eq!(made["callbackReference"], CALLBACK);
    let instance = &made["appInfo"]["userAppInstanceInfo"][0];
    assert_eq!(instance["referenceURI"], "grpc://127.0.0.1:10000");
    assert!(instance["appInstanceId"].as_str().unwrap().len() <= 32);
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_001_br() {
    let server = serving().await;
    let mut body = context(CALLBACK);
    body.as_object_mut().unwrap().remove("associateDevAppId");
    body["context"] = json!("x");
    let problem = ask(&server, "POST", CONTEXTS, &body).await.problem(400);
    assert_eq!(problem["invalid-params"][0]["name"], "/associateDevAppId");
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_001_nf() {
    let server = serving().await;
    ask(
        &server,
        "POST",
        "/dev_app/v1/app_contexts_error",
        &context(CALLBACK),
    )
    .await
    .problem(404);
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_002_ok() {
    let server = serving().await;
    let id = create(&server, CALLBACK).await;
    let mut body = context("http://127.0.0.1:6601/other");
    body["contextId"] = json!(id);
    let answer = ask(&server, "PUT", &format!("{CONTEXTS}/{id}"), &body).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_002_br() {
    let server = serving().await;
    let id = create(&server, CALLBACK).await;
    let path = format!("{CONTEXTS}/{id}");
    ask(&server, "PUT", &path, &Value::Null).await.problem(400);
    ask(&server, "PUT", &path, &json!({"context": 1}))
        .await
        .problem(400);
    let mut other = context(CALLBACK);
    other["contextId"] = json!("another");
    let problem = ask(&server, "PUT", &path, &other).await.problem(400);
    assert_eq!(problem["invalid-params"][0]["name"], "/contextId");
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_002_nf() {
    let server = serving().await;
    for id in ["0123456789abcdef0123456789abcdef", "unknown"] {
        ask(
            &server,
            "PUT",
            &format!("{CONTEXTS}/{id}"),
            &context(CALLBACK),
        )
        .await
        .problem(404);
        ask(
            &server,
            "PUT",
            &format!("/dev_app/v1/app_contexts_error/{id}"),
            &context(CALLBACK),
        )
        .await
        .problem(404);
    }
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_003_ok() {
    let server = serving().await;
    let id = create(&server, CALLBACK).await;
    let path = format!("{CONTEXTS}/{id}");
    assert_eq!(
        ask(&server, "DELETE", &path, &Value::Null).await.status,
        204
    );
    assert_eq!(server.state().num_contexts(), 0);
    ask(&server, "DELETE", &path, &Value::Null)
        .await
        .problem(404);
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueappctx_003_nf() {
    let server = serving().await;
    ask(
        &server,
        "DELETE",
        &format!("{CONTEXTS}/unknown"),
        &Value::Null,
    )
    .await
    .problem(404);
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapploc_001_ok() {
    let server = serving().await;
    let place = json!({"countryCode": "IT"});
    server
        .state()
        .set_place(mec_mx2::Place {
            reference: mec_mx2::model::Reference::parse("127.0.0.1:10000").unwrap(),
            location: mec_mx2::model::LocationConstraints::from_json(&place).unwrap(),
            apps: Vec::new(),
        })
        .unwrap();
    let answer = ask(&server, "POST", AVAILABILITY, &availability()).await;
    assert_eq!(answer.status, 200);
    let info = answer.json()["appInfo"].clone();
    assert_eq!(info["appName"], "clambda0");
    assert_eq!(info["availableLocations"], json!([{"appLocation": place}]));
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapploc_001_br() {
    let server = serving().await;
    let problem = ask(&server, "POST", AVAILABILITY, &json!({"appInfo": {}}))
        .await
        .problem(400);
    let names: Vec<_> = problem["invalid-params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(
        names,
        [
            "/associateDevAppId",
            "/appInfo/appName",
            "/appInfo/appProvider",
            "/appInfo/appDVersion"
        ]
    );
}

#[tokio::test]
async fn tp_mec_mec016_meo_ueapploc_001_nf() {
    let server = serving().await;
    ask(
        &server,
        "POST",
        "/dev_app/v1/obtain_app_loc_availability_error",
        &availability(),
    )
    .await
    .problem(404);
}

/// The older suite, whose component is the older interface: same outcomes where they do not
/// contradict the C++ reference, whose clients use it.
mod older {
    use super::*;

    const LIST: &str = "/mx2/v1/app_list";
    const CONTEXTS: &str = "/mx2/v1/app_contexts";

    fn body() -> Value {
        // This suite sends an identifier with the creation.
        json!({"contextId": "c", "associateUeAppId": "ue-1", "callbackReference": CALLBACK,
            "appInfo": {"appName": "clambda0", "appProvider": "OpenLambdaMec", "appSoftVersion": "1.0"}})
    }

    /// That it is a problem of this status, wrapped as this version wraps it.
    fn assert_problem(answer: &crate::support::Answer, status: u16) {
        let told = &answer.json()["ProblemDetails"]["status"];
        assert_eq!((answer.status, told), (status, &json!(status)));
    }

    async fn create(server: &mec_mx2::Handle) -> String {
        let made = ask(server, "POST", CONTEXTS, &body()).await.json();
        format!("{CONTEXTS}/{}", made["contextId"].as_str().unwrap())
    }

    #[tokio::test]
    async fn tc_mec_meo_ueapps_001_ok() {
        let server = serving().await;
        let answer = ask(&server, "GET", LIST, &Value::Null).await;
        assert!(answer.headers["content-type"].contains("application/json"));
        let list = answer.json();
        let name = &list["ApplicationList"]["appInfo"][0]["appName"];
        assert_eq!((answer.status, name), (200, &json!("clambda0")));
    }

    #[tokio::test]
    async fn tc_mec_meo_ueapps_001_br() {
        let bad = format!("{LIST}?serviceCont=MAYBE");
        // The C++ reference ignores filters, and its clients are not to be disturbed.
        let lenient = serving().await;
        assert_eq!(ask(&lenient, "GET", &bad, &Value::Null).await.status, 200);
        let strict = server(|config| config.api.strict = true).await;
        serve(&strict);
        assert_problem(&ask(&strict, "GET", &bad, &Value::Null).await, 400);
        let good = format!("{LIST}?serviceCont=SERVICE_CONTINUITY_REQUIRED");
        let list = ask(&strict, "GET", &good, &Value::Null).await.json();
        assert_eq!(list["ApplicationList"]["appInfo"], json!([]));
    }

    #[tokio::test]
    async fn tc_mec_meo_ueapps_001_nf() {
        let server = serving().await;
        let missing = ask(&server, "GET", "/mx2/v1/app_list_error", &Value::Null).await;
        assert_problem(&missing, 404);
    }

    #[tokio::test]
    async fn tc_mec_meo_ueappctx_001_ok() {
        let server = serving().await;
        for body in [body(), json!({"AppContext": body()})] {
            let answer = ask(&server, "POST", CONTEXTS, &body).await;
            assert_eq!(answer.status, 201);
            let made = answer.json();
            assert_ne!(made["contextId"], "c");
            assert_eq!(made["appInfo"]["appName"], "clambda0");
        }
    }

    #[tokio::test]
    async fn tc_mec_meo_ueappctx_001_br() {
        let server = serving().await;
        let bad = ask(&server, "POST", CONTEXTS, &json!({"context": "c"})).await;
        assert_problem(&bad, 400);
    }

    #[tokio::test]
    async fn tc_mec_meo_ueappctx_002_ok() {
        let server = serving().await;
        let path = create(&server).await;
        assert_eq!(ask(&server, "PUT", &path, &body()).await.status, 204);
    }

    #[tokio::test]
    async fn tc_mec_meo_ueappctx_002_br() {
        let server = serving().await;
        let path = create(&server).await;
        assert_problem(&ask(&server, "PUT", &path, &json!({})).await, 400);
        assert_problem(&ask(&server, "PUT", &path, &Value::Null).await, 400);
    }

    /// 404 on the standard interface; the reference refuses, and does not wrap that.
    #[tokio::test]
    async fn tc_mec_meo_ueappctx_002_nf() {
        let server = serving().await;
        let unknown = format!("{CONTEXTS}/unknown");
        let refused = ask(&server, "PUT", &unknown, &body()).await;
        assert_eq!(
            (refused.status, &refused.json()["status"]),
            (403, &json!(403))
        );
        let nowhere = ask(&server, "PUT", "/mx2/v1/app_contexts_error/x", &body()).await;
        assert_problem(&nowhere, 404);
    }

    #[tokio::test]
    async fn tc_mec_meo_ueappctx_003_ok() {
        let server = serving().await;
        let path = create(&server).await;
        assert_eq!(
            ask(&server, "DELETE", &path, &Value::Null).await.status,
            204
        );
        assert_eq!(server.state().num_contexts(), 0);
    }

    /// As for 002.
    #[tokio::test]
    async fn tc_mec_meo_ueappctx_003_nf() {
        let server = serving().await;
        let path = create(&server).await;
        ask(&server, "DELETE", &path, &Value::Null).await;
        let again = ask(&server, "DELETE", &path, &Value::Null).await;
        assert_eq!((again.status, &again.json()["status"]), (403, &json!(403)));
    }
}
