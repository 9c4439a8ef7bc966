//! A real router in front of computers that front OpenWhisk, and the proxy in front of that: who is
//! called, how often, what stays routable, what goes round.

use edge_computer::config::{OptionalEndpoint, WskConfig};
use edge_computer::openwhisk::OpenWhisk;
use edge_computer::server::{Handle, WskComputer};
use edge_computer::whisk::{User, Whisk, WhiskConfig, WhiskHandle};
use edge_proto::rpc::{LambdaRequest, Outcome};

use super::support::{Site, anywhere, eventually};

/// A platform with the action `f`.
async fn platform(listen: Option<std::net::SocketAddr>, code: &str) -> WhiskHandle {
    let mut config = WhiskConfig {
        invocations_per_minute: 1_000_000,
        ..WhiskConfig::default()
    };
    if let Some(address) = listen {
        config.listen = address;
    }
    let platform = Whisk::start(config).await.unwrap();
    let user = User::guest();
    let exec = format!(r#"{{"exec": {{"kind": "nodejs:default", "code": "{code}"}}}}"#);
    let put = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = put
        .put(format!("{}/api/v1/namespaces/_/actions/f", platform.url()))
        .basic_auth(&user.uuid, Some(&user.key))
        .header("content-type", "application/json")
        .body(exec);
    assert_eq!(put.send().await.unwrap().status(), 200);
    platform
}

async fn computer(site: &Site, platform: &WhiskHandle) -> Handle<OpenWhisk> {
    computer_of(site, platform.url()).await
}

/// A computer in front of whatever speaks OpenWhisk's interface at `url`.
async fn computer_of(site: &Site, url: &str) -> Handle<OpenWhisk> {
    let toml = format!(
        "[wsk]\napi-root = '{url}'\nauth = '{}'\ninterval = '50ms'",
        User::guest().auth()
    );
    let mut config: WskConfig = toml::from_str(&toml).unwrap();
    config.server.endpoint = anywhere();
    config.server.num_threads = Some(1);
    config.controller.endpoint = site.controller_endpoint.clone().into();
    config.utilization.endpoint = OptionalEndpoint::default();
    config.admin.0.endpoint = "".parse().unwrap();
    WskComputer::start(config).await.unwrap()
}

/// The proxy in front of a router.
async fn proxy(router: &edge_broker::RouterHandle) -> wsk_proxy::Handle {
    let toml = format!(
        "[server]\napi-root = 'http://127.0.0.1:0'\n[router]\nendpoints = '{}'\n\
         [table]\nendpoints = '{}'\n[auth]\nopen = true\n[admin]\nendpoint = ''",
        router.lambda_address(),
        router.table_address()
    );
    let config: wsk_proxy::Config = toml::from_str(&toml).unwrap();
    wsk_proxy::Proxy::start(config).await.unwrap()
}

/// Asks the proxy: status and body.
async fn rest(request: reqwest::RequestBuilder) -> (u16, serde_json::Value) {
    let answer = request.basic_auth("u", Some("k")).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    (status, body)
}

#[tokio::test]
async fn an_action_goes_round_from_proxy_to_openwhisk_and_back() {
    let mut site = Site::controller().await;
    let greets =
        "function main({ name }) { return { hello: name, is: [null, { 'ö': '\\\"\\n' }] }; }";
    let platform = platform(None, &greets.replace('\\', "\\\\").replace('"', "\\\"")).await;
    let computer = computer(&site, &platform).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "/guest/f", 1).await;
    let proxy = proxy(&router).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let api = format!("http://{}/api/v1/namespaces", proxy.address());
    let expected = serde_json::json!({"hello": "edge", "is": [null, {"ö": "\"\n"}]});
    // By both of its names: the default namespace is `guest`.
    for namespace in ["_", "guest"] {
        let url = format!("{api}/{namespace}/actions/f?blocking=true");
        let call = client.post(url).header("content-type", "application/json");
        let call = call.body(r#"{"name": "edge"}"#);
        let (status, activation) = rest(call).await;
        assert_eq!(status, 200, "{activation}");
        assert_eq!(activation["response"]["result"], expected);
        let id = activation["activationId"].as_str().unwrap();
        let (status, kept) = rest(client.get(format!("{api}/_/activations/{id}"))).await;
        assert_eq!((status, &kept["response"]["result"]), (200, &expected));
    }
    assert_eq!(platform.executions("guest", "f"), 2);
    let (status, all) = rest(client.get(format!("{api}/_/actions"))).await;
    assert_eq!(status, 200);
    assert!(
        all.as_array().unwrap().iter().any(|one| one["name"] == "f"),
        "{all}"
    );
    drop(computer);
    platform.stop().await;
}

#[tokio::test]
async fn a_function_that_fails_1000_times_is_executed_1000_times_and_stays_routable() {
    let mut site = Site::controller().await;
    let failing = "function main({ fail }) { return fail ? { error: 'always' } : { fine: true }; }";
    let platform = platform(None, failing).await;
    let first = computer(&site, &platform).await;
    let second = computer(&site, &platform).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "/guest/f", 2).await;
    for _ in 0..1000 {
        let answer = site
            .ask(&router, &LambdaRequest::new("/guest/f", r#"{"fail":true}"#))
            .await;
        assert_eq!(answer.outcome(), Outcome::ApplicationError, "{answer:?}");
        assert_eq!(answer.retcode, "application error: always");
    }
    assert_eq!(platform.executions("guest", "f"), 1000);
    let known = router.destinations();
    assert_eq!(
        known
            .iter()
            .filter(|known| known.lambda == "/guest/f")
            .count(),
        2
    );
    let answer = site.ask(&router, &LambdaRequest::new("f", "")).await;
    assert_eq!(answer.output, r#"{"fine":true}"#);
    drop((first, second));
    platform.stop().await;
}

#[tokio::test]
async fn what_one_platform_cannot_be_handed_is_executed_by_another() {
    let mut site = Site::controller().await;
    let fine = "function main() { return { fine: true }; }";
    let (gone, stays) = (platform(None, fine).await, platform(None, fine).await);
    let first = computer(&site, &gone).await;
    let second = computer(&site, &stays).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "f", 2).await;
    let address = gone.address();
    gone.stop().await;
    for _ in 0..100 {
        let answer = site.ask(&router, &LambdaRequest::new("f", "")).await;
        // One of them may have been on a connection that was cut.
        let cut = answer.outcome() == Outcome::Unavailable && answer.retcode.contains("closed");
        assert!(answer.is_ok() || cut, "{answer:?}");
    }
    site.wait_for(&router, "f", 1).await;
    let back = platform(Some(address), fine).await;
    site.wait_for(&router, "f", 2).await;
    let both = || stays.executions("guest", "f") > 0 && back.executions("guest", "f") > 0;
    for _ in 0..10_000 {
        assert!(
            site.ask(&router, &LambdaRequest::new("f", ""))
                .await
                .is_ok()
        );
        if both() {
            break;
        }
    }
    eventually("both execute", both).await;
    drop((first, second));
    back.stop().await;
    stays.stop().await;
}

#[tokio::test]
async fn a_platform_that_is_the_proxy_itself_is_stopped_by_hops_and_harms_nobody() {
    let mut site = Site::controller().await;
    let router = site.router(|_| {}).await;
    let proxy = proxy(&router).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let root = format!("http://{}", proxy.address());
    let api = format!("{root}/api/v1/namespaces/_/actions");
    // The action is a lambda of the same name, which the computer serves by calling the action.
    let registered = client
        .put(format!("{api}/spin"))
        .header("content-type", "application/json")
        .body(r#"{"exec": {"kind": "soe:lambda", "code": "/guest/spin"}}"#);
    assert_eq!(rest(registered).await.0, 200);
    let circle = computer_of(&site, &root).await;
    site.wait_for(&router, "/guest/spin", 1).await;
    let fine = platform(None, "function main() { return { fine: true }; }").await;
    let straight = computer(&site, &fine).await;
    site.wait_for(&router, "/guest/f", 1).await;
    for _ in 0..3 {
        let call = client.post(format!("{api}/spin?blocking=true&result=true"));
        let (status, body) = rest(call).await;
        assert_eq!(status, 502, "{body}");
        assert!(
            body["error"].as_str().unwrap().contains("circles"),
            "{body}"
        );
        let call = client.post(format!("{api}/f?blocking=true&result=true"));
        assert_eq!(rest(call).await, (200, serde_json::json!({"fine": true})));
    }
    let idle = || is_idle(&circle);
    eventually("nothing goes round any more", idle).await;
    drop((circle, straight));
    fine.stop().await;
}

/// Whether a computer has no call under way.
fn is_idle(computer: &Handle<OpenWhisk>) -> bool {
    use edge_computer::executor::Executor as _;
    let backends = computer.executor().snapshot().backends;
    backends.iter().all(|backend| backend.in_flight == 0)
}
