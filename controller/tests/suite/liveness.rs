//! Who is alive: leases, probes, restarts of the controller, over real sockets.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::support::{
    Announcer, DEADLINE, Router, certificates, computer, eventually, leased, page, quick, start,
    state, state_shows, without_reconciliation,
};
use edge_controller::Handle;
use edge_proto::rpc::ComputerInfo;
use edge_transport::quic::Congestion;
use edge_transport::{BindError, Cores, Endpoint, Listener, Listens, Scheme, Server};
use serde_json::json;
use tonic::Code;
use tonic::service::Routes;

const LEASE: u32 = 60_000;

#[tokio::test]
async fn a_computer_that_ceases_to_renew_is_withdrawn() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    announcer.router(router.leased(LEASE)).await.unwrap();
    // The shortest lease there is, renewed until the router knows.
    let short = leased("127.0.0.1:10", &["l0"], 1);
    let long = leased("127.0.0.1:11", &["l0"], LEASE);
    announcer.computer(long).await.unwrap();
    let told = "add l0,127.0.0.1:10,1,true".to_owned();
    while !router.log().contains(&told) {
        announcer.computer(short.clone()).await.unwrap();
    }
    router.shows(&["l0,127.0.0.1:11"]).await;
    controller.kill().await;
}

#[tokio::test]
async fn a_router_that_ceases_to_renew_is_forgotten() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    renews_until_it_answers(&router, &announcer, &controller).await;
    state_shows(&controller, "/routers", json!([])).await;
    controller.kill().await;
}

/// Announces the router with the shortest lease there is, again and again, until the controller knows that it
/// answers.
async fn renews_until_it_answers(router: &Router, announcer: &Announcer, controller: &Handle) {
    loop {
        announcer.router(router.leased(1)).await.unwrap();
        let state = state(controller).await;
        if state.pointer("/routers/0/contact/kind") == Some(&json!("answers")) {
            return;
        }
    }
}

#[tokio::test]
async fn a_computer_that_never_renews_is_withdrawn_when_dead_and_reinstated_when_back() {
    let mut config = quick();
    config.liveness.probe_interval = Duration::from_millis(20);
    let controller = start(config).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    announcer.router(router.leased(LEASE)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let at = address.to_string();
    announcer.computer(computer(&at, &["l0"])).await.unwrap();
    let entry = format!("l0,{at}");
    router.shows(&[&entry]).await;
    router.is_compared().await;
    router.shows(&[&entry]).await;

    drop(listener);
    router.shows(&[]).await;
    state_shows(
        &controller,
        "/computers/0/standing/kind",
        json!("withdrawn"),
    )
    .await;

    let _listener = TcpListener::bind(address).unwrap();
    router.shows(&[&entry]).await;
    state_shows(
        &controller,
        "/computers/0/standing",
        json!({"kind": "probed", "failures": 0}),
    )
    .await;
    controller.kill().await;
}

#[tokio::test]
async fn a_computer_that_only_serves_quic_is_alive_though_nobody_knows_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path(), &["127.0.0.1"])
        .server_config()
        .unwrap();
    let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN).unwrap());
    let serve = |at: &Endpoint| {
        let listener = Listener::bind_for(at, Listens::Udp)?;
        let server = Server::new(Routes::default()).with_quic(Some(tls.clone()), Congestion::Cubic);
        Ok::<_, BindError>(server.serve(listener, &cores))
    };
    for scheme in [Scheme::Quic, Scheme::H3] {
        let mut config = quick();
        config.liveness.probe_interval = Duration::from_millis(20);
        let controller = start(config).await;
        let announcer = Announcer::to(controller.address());
        let router = Router::start();
        announcer.router(router.leased(LEASE)).await.unwrap();
        let serving = serve(&Endpoint::new("127.0.0.1", 0)).unwrap();
        let place = Endpoint::from(serving.local_addr());
        let at = place.clone().with_scheme(scheme).to_string();
        announcer.computer(computer(&at, &["l0"])).await.unwrap();
        let entry = format!("l0,{at}");
        let is_alive = json!({"kind": "probed", "failures": 0});
        router.shows(&[&entry]).await;
        // Far longer than it would take to withdraw it.
        let probes = serving.quic().clone();
        for _ in 0..3 {
            router.is_compared().await;
            state_shows(&controller, "/computers/0/standing", is_alive.clone()).await;
        }
        router.shows(&[&entry]).await;
        assert_eq!(
            probes.most_shaking(),
            0,
            "it is not bothered with handshakes"
        );

        serving.kill().await;
        router.shows(&[]).await;
        let withdrawn = json!("withdrawn");
        state_shows(&controller, "/computers/0/standing/kind", withdrawn).await;

        // The last words of the first one may hold its port for a moment.
        let mut again = None;
        eventually("the port is free", || {
            again = serve(&place).ok();
            again.is_some()
        })
        .await;
        router.shows(&[&entry]).await;
        state_shows(&controller, "/computers/0/standing", is_alive).await;
        controller.kill().await;
        again.unwrap().kill().await;
    }
}

#[tokio::test]
async fn everything_comes_back_by_renewals_in_whatever_order_processes_start() {
    let router = Router::start();
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    // Peers renew before there is a controller, and go on when it restarts.
    let announcer = Announcer::to(address);
    let (router_info, table) = (router.leased(LEASE), ["l0,127.0.0.1:10"]);
    let renewing = tokio::spawn(async move {
        let computer_info = leased("127.0.0.1:10", &["l0"], LEASE);
        loop {
            // Refused connections are what this is about.
            let _ = announcer.router(router_info.clone()).await;
            let _ = announcer.computer(computer_info.clone()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut config = quick();
    config.server.endpoint = address.into();
    let controller = start(config.clone()).await;
    router.shows(&table).await;
    controller.kill().await;

    let late = Router::start();
    let controller = start(config).await;
    Announcer::to(address)
        .router(late.leased(LEASE))
        .await
        .unwrap();
    late.shows(&table).await;
    router.shows(&table).await;
    renewing.abort();
    controller.kill().await;
}

#[tokio::test]
async fn an_address_that_means_all_interfaces_is_replaced_by_the_one_that_is_seen() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    let mut info = router.leased(LEASE);
    let port = info
        .forwarding_table_endpoint
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    info.edge_server_endpoint = format!("0.0.0.0:{port}");
    info.forwarding_table_endpoint = format!("0.0.0.0:{port}");
    announcer.router(info).await.unwrap();
    let info = leased("0.0.0.0:10", &["l0"], LEASE);
    announcer.computer(info.clone()).await.unwrap();
    router.shows(&["l0,127.0.0.1:10"]).await;
    announcer.remove(info).await.unwrap();
    router.shows(&[]).await;
    controller.kill().await;
}

#[tokio::test]
async fn malformed_announcements_are_refused_in_clear_words_and_change_nothing() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    for (info, expected) in [
        (
            ComputerInfo::default(),
            "edgeServerEndpoint: invalid end-point ''",
        ),
        (
            computer("127.0.0.1:10", &[""]),
            "container 0: lambda: it is empty",
        ),
        (
            computer("127.0.0.1:10", &["l"; 10_001]),
            "more than 10000 containers",
        ),
    ] {
        let status = announcer.computer(info).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(expected), "{status}");
    }
    // As many as allowed, with names as long as allowed, are not too large a message.
    let names: Vec<_> = (0..10_000).map(|i| format!("{i:0>255}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    announcer
        .computer(leased("127.0.0.1:11", &names, LEASE))
        .await
        .unwrap();
    let state = state(&controller).await;
    assert_eq!(state["computers"].as_array().unwrap().len(), 1);
    assert_eq!(state["computers"][0]["containers"][0]["workers"], 2);

    let metrics = page(&controller, "/metrics").await;
    for line in [
        r#"edge_controller_announcements_total{method="AnnounceComputer",result="refused"} 3"#,
        r#"edge_controller_announcements_total{method="AnnounceComputer",result="accepted"} 1"#,
        "edge_controller_computers 1",
        "edge_controller_lambdas 10000",
        "edge_controller_routers 0",
    ] {
        assert!(metrics.contains(line), "{line} not in\n{metrics}");
    }
    controller.kill().await;
}

#[tokio::test]
async fn gauges_count_neither_routers_whose_leases_ended_nor_computers_that_left_withdrawn() {
    let mut config = quick();
    config.liveness.probe_interval = Duration::from_millis(20);
    let controller = start(config).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    renews_until_it_answers(&router, &announcer, &controller).await;
    state_shows(&controller, "/routers", json!([])).await;
    let dead = computer("127.0.0.1:1", &["l0"]);
    announcer.computer(dead.clone()).await.unwrap();
    state_shows(
        &controller,
        "/computers/0/standing/kind",
        json!("withdrawn"),
    )
    .await;
    announcer.remove(dead).await.unwrap();
    let metrics = page(&controller, "/metrics").await;
    for gauge in ["computers", "lambdas", "routers"] {
        let line = format!("edge_controller_{gauge} 0\n");
        assert!(metrics.contains(&line), "{line} not in\n{metrics}");
    }
    controller.kill().await;
}

#[tokio::test]
async fn the_health_service_says_that_the_controller_serves() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    let controller = start(quick()).await;
    let at = controller.address().into();
    let mut health = HealthClient::new(edge_transport::control::channel(&at, None, DEADLINE));
    for service in ["", "uiiit.rpc.EdgeController"] {
        let service = service.to_owned();
        let request = tonic_health::pb::HealthCheckRequest { service };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving);
    }
    controller.kill().await;
}
