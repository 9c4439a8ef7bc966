//! Notifications: their order, their patience, and where they may not go.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    After, Always, Receiver, ask, black_hole, context, create, eventually, serve, server, serving,
};

#[tokio::test]
async fn a_hundred_changes_arrive_in_order() {
    let server = serving().await;
    let device = Receiver::start(Always(204));
    let id = create(&server, &device.uri("d")).await;
    for port in 1..=100 {
        server
            .state()
            .associate("", "clambda0", &format!("127.0.0.1:{port}"))
            .unwrap();
    }
    let told = device.wait("d", 100).await;
    for (port, notification) in (1..=100).zip(told) {
        assert_eq!(
            notification["notificationType"],
            "AddressChangeNotification"
        );
        assert_eq!(notification["contextId"], id);
        assert_eq!(
            notification["referenceURI"],
            format!("grpc://127.0.0.1:{port}")
        );
    }
}

#[tokio::test]
async fn what_fails_is_sent_again_and_nothing_overtakes_it() {
    let server = serving().await;
    let device = Receiver::start(After(3, 400));
    create(&server, &device.uri("d")).await;
    for port in 1..=3 {
        server
            .state()
            .associate("", "clambda0", &format!("h:{port}"))
            .unwrap();
    }
    let told = device.wait("d", 6).await;
    let addresses: Vec<_> = told
        .iter()
        .map(|t| t["referenceURI"].as_str().unwrap())
        .collect();
    assert_eq!(
        addresses,
        [
            "grpc://h:1",
            "grpc://h:1",
            "grpc://h:1",
            "grpc://h:1",
            "grpc://h:2",
            "grpc://h:3"
        ]
    );
}

#[tokio::test]
async fn an_answer_counts_though_its_body_never_comes() {
    // Nobody waits for the body as long as for the head.
    let server =
        server(|config| config.notifications.timeout = std::time::Duration::from_secs(60)).await;
    serve(&server);
    let device = Receiver::endless(Always(200));
    // Of several at one receiver, connections are kept.
    for path in ["one", "two", "three"] {
        create(&server, &device.uri(path)).await;
    }
    for port in 1..=2 {
        let address = format!("h:{port}");
        server.state().associate("", "clambda0", &address).unwrap();
        for path in ["one", "two", "three"] {
            let told = device.wait(path, port).await;
            assert_eq!(told.len(), port, "{told:?}");
            assert_eq!(told[port - 1]["referenceURI"], format!("grpc://h:{port}"));
        }
    }
    server.kill().await;
}

#[tokio::test]
async fn receivers_that_never_answer_delay_nobody() {
    let server =
        server(|config| config.notifications.timeout = std::time::Duration::from_secs(60)).await;
    serve(&server);
    let holes: Vec<_> = (0..5).map(|_| black_hole()).collect();
    for n in 0..200 {
        create(&server, &holes[n % 5].1).await;
    }
    let device = Receiver::start(Always(204));
    create(&server, &device.uri("d")).await;
    // Those that do not answer hold their places for a minute, longer than this test waits.
    for port in 1..=10 {
        server
            .state()
            .associate("", "clambda0", &format!("h:{port}"))
            .unwrap();
        device.wait("d", port).await;
    }
    server.kill().await;
}

#[tokio::test]
async fn who_never_takes_it_becomes_unreachable_and_learns_the_address_with_an_update() {
    let server = serving().await;
    let device = Receiver::start(Always(500));
    let id = create(&server, &device.uri("d")).await;
    server.state().associate("", "clambda0", "h:1").unwrap();
    let state = || server.state().contexts()[0].clone();
    eventually("all attempts fail", || state().state == "unreachable").await;
    assert!(state().last_error.contains("500"));
    assert_eq!(device.heard().len(), 5);
    device.answer(Always(204));
    let body = context(&device.uri("again"));
    ask(
        &server,
        "PUT",
        &format!("/dev_app/v1/app_contexts/{id}"),
        &body,
    )
    .await;
    assert_eq!(
        device.wait("again", 1).await[0]["referenceURI"],
        "grpc://h:1"
    );
    eventually("it is reachable", || state().state == "ready").await;
}

#[tokio::test]
async fn gone_deletes_the_context() {
    let server = serving().await;
    let device = Receiver::start(Always(410));
    create(&server, &device.uri("d")).await;
    server.state().associate("", "clambda0", "h:1").unwrap();
    eventually("it is deleted", || server.state().num_contexts() == 0).await;
    assert_eq!(device.heard().len(), 1);
}

#[tokio::test]
async fn a_context_that_the_operator_deletes_is_told_so() {
    let server = serving().await;
    let device = Receiver::start(Always(204));
    let id = create(&server, &device.uri("d")).await;
    assert!(server.state().withdraw(&id));
    let told = device.wait("d", 1).await;
    assert_eq!(
        told[0],
        json!({"notificationType": "ApplicationContextDeleteNotification", "contextId": id})
    );
    assert!(!server.state().withdraw(&id));
}

#[tokio::test]
async fn all_four_kinds_are_produced() {
    let server = serving().await;
    let device = Receiver::start(Always(204));
    let wanting = |country: &str, how: &str, path: &str| {
        let mut body = context(&device.uri(path));
        body[how] = json!(true);
        body["appInfo"]["userAppInstanceInfo"] = json!([{"appLocation": {"countryCode": country}}]);
        body
    };
    let post = async |body: &Value| {
        let answer = ask(&server, "POST", "/dev_app/v1/app_contexts", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["contextId"].as_str().unwrap().to_owned()
    };
    post(&wanting("IT", "appAutoInstantiation", "auto")).await;
    post(&wanting("IT", "appLocationUpdates", "updates")).await;
    let plain = create(&server, &device.uri("plain")).await;
    let italy =
        mec_mx2::model::LocationConstraints::from_json(&json!({"countryCode": "IT"})).unwrap();
    let place = mec_mx2::Place {
        reference: mec_mx2::model::Reference::parse("it:1").unwrap(),
        location: italy,
        apps: vec!["clambda0".to_owned()],
    };
    server.state().set_place(place).unwrap();
    let update = &device.wait("auto", 1).await[0];
    assert_eq!(
        update["notificationType"],
        "ApplicationContextUpdateNotification"
    );
    assert_eq!(
        update["userAppInstanceInfo"][0]["referenceURI"],
        "grpc://it:1"
    );
    let available = &device.wait("updates", 1).await[0];
    assert_eq!(
        available["notificationType"],
        "ApplicationLocationAvailabilityNotification"
    );
    assert_eq!(
        available["availableLocations"],
        json!([{"appLocation": {"countryCode": "IT"}}])
    );
    server.state().associate("", "clambda0", "h:1").unwrap();
    // Else there would be no use in telling where it is.
    device.wait("plain", 1).await;
    server.state().withdraw(&plain);
    let told = device.wait("plain", 2).await;
    assert_eq!(told[0]["notificationType"], "AddressChangeNotification");
    assert_eq!(
        told[1]["notificationType"],
        "ApplicationContextDeleteNotification"
    );
}

#[tokio::test]
async fn changes_between_creation_and_answer_are_not_lost() {
    let server = serving().await;
    let device = Receiver::start(Always(204));
    let changes = async {
        for port in 1..=200 {
            server
                .state()
                .associate("", "clambda0", &format!("h:{port}"))
                .unwrap();
            tokio::task::yield_now().await;
        }
    };
    let creations = async {
        let mut made = Vec::new();
        for n in 0..20 {
            let body = context(&device.uri(&format!("d{n}")));
            let answer = ask(&server, "POST", "/dev_app/v1/app_contexts", &body)
                .await
                .json();
            made.push(answer["appInfo"]["userAppInstanceInfo"][0]["referenceURI"].clone());
        }
        made
    };
    let (made, ()) = tokio::join!(creations, changes);
    // Whoever was answered with an old address is told of the last one.
    for (n, first) in made.into_iter().enumerate() {
        let path = format!("/d{n}");
        eventually("everybody knows the last address", || {
            let heard = device.heard();
            let last = heard.iter().rev().find(|(to, _)| *to == path);
            last.map_or(&first, |(_, told)| &told["referenceURI"]) == "grpc://h:200"
        })
        .await;
    }
}

/// Resident memory of this process, in kB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kb = line.unwrap().split_whitespace().nth(1);
    kb.unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_contexts_learn_of_a_new_default_route_in_bounded_memory() {
    const CONTEXTS: usize = 10_000;
    let server = serving().await;
    let device = Receiver::start(Always(204));
    let before = resident_kb();
    for some in (0..CONTEXTS).collect::<Vec<_>>().chunks(64) {
        let uris: Vec<_> = some.iter().map(|n| device.uri(&format!("d{n}"))).collect();
        join_all(uris.iter().map(|uri| create(&server, uri))).await;
    }
    server.state().associate("", "clambda0", "h:1").unwrap();
    eventually("all are told", || device.count() >= CONTEXTS).await;
    let mut heard = device.heard();
    assert!(
        heard
            .iter()
            .all(|(_, told)| told["referenceURI"] == "grpc://h:1")
    );
    heard.sort_by(|(one, _), (other, _)| one.cmp(other));
    heard.dedup_by(|(one, _), (other, _)| one == other);
    assert_eq!(heard.len(), CONTEXTS, "each is told once");
    // What the receiver keeps is in it, too: some kilobytes for each.
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < 256 << 10, "grew by {grown} kB");
}

#[tokio::test]
async fn nobody_reaches_inside_a_network_through_the_server() {
    let server = serving().await;
    for inside in [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:192.168.0.1]/",
        "http://0.0.0.0:80/",
        "http://[fd00::1]/",
        "http://2130706433.example@10.0.0.1/",
    ] {
        let answer = ask(
            &server,
            "POST",
            "/dev_app/v1/app_contexts",
            &context(inside),
        )
        .await;
        assert_eq!(
            answer.problem(400)["invalid-params"][0]["name"],
            "/callbackReference",
            "{inside}"
        );
    }
}

#[tokio::test]
async fn a_client_behind_a_proxy_does_not_reach_the_machine_of_the_server() {
    let server = server(|config| {
        config.auth.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    serve(&server);
    let body = context("http://127.0.0.1:1/").to_string();
    for (address, status) in [("8.8.8.8", 400), ("127.0.0.1", 201)] {
        let headers = [("X-Forwarded-For", address)];
        let path = "/dev_app/v1/app_contexts";
        let answer = crate::support::send(&server, "POST", path, &headers, body.clone()).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_for_everybody_does_not_call_its_own_machine() {
    let server = server(|config| config.api.root = "http://0.0.0.0:0".parse().unwrap()).await;
    serve(&server);
    let server_here = server.root().endpoint().port();
    let secret = Receiver::start(Always(204));
    // By address it is refused at once, by name when the name is resolved.
    let post = async |uri: &str| {
        let client = format!("127.0.0.1:{server_here}");
        let body = context(uri).to_string();
        crate::support::send_to(&client, "POST", "/dev_app/v1/app_contexts", &[], body).await
    };
    post(&secret.uri("x")).await.problem(400);
    let by_name = secret.uri("x").replace("127.0.0.1", "localhost");
    let made = post(&by_name).await;
    assert_eq!(made.status, 201);
    // It does not know how it is reached.
    assert!(made.headers["location"].starts_with("/dev_app/v1/app_contexts/"));
    server.state().associate("", "clambda0", "h:1").unwrap();
    eventually("it is given up", || {
        server.state().contexts()[0].state == "unreachable"
    })
    .await;
    assert!(
        server.state().contexts()[0]
            .last_error
            .contains("may not go")
    );
    assert_eq!(secret.heard(), []);
}
