//! Tables of strangers' routers, filled and kept right over real sockets.

use std::time::Duration;

use edge_proto::rpc::edge_router_conf::Filling;
use edge_proto::table::MOST_AT_ONCE;

use super::support::{
    Announcer, NOBODY, Router, attempts, computer, eventually, has_tried_more_than, leased, quick,
    start, state_shows, without_reconciliation,
};

const LEASE: u32 = 60_000;

#[tokio::test]
async fn f1_f2_tables_are_filled_in_order_whoever_comes_first() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    let (first, last) = (Router::start(), Router::start());
    announcer.router(first.legacy()).await.unwrap();
    announcer
        .computer(computer("127.0.0.1:10", &["l1", "l0"]))
        .await
        .unwrap();
    announcer
        .computer(computer("127.0.0.1:11", &["l0"]))
        .await
        .unwrap();
    announcer.router(last.legacy()).await.unwrap();
    let expected = [
        "add l1,127.0.0.1:10,1,true",
        "add l0,127.0.0.1:10,1,true",
        "add l0,127.0.0.1:11,1,true",
    ];
    for router in [first, last] {
        eventually("three entries", || router.log().len() >= 3).await;
        assert_eq!(router.log(), expected);
    }
    controller.kill().await;
}

#[tokio::test]
async fn f4_f6_a_living_router_gets_removal_and_batch_while_another_is_dead() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    let mut dead = router.legacy();
    dead.edge_server_endpoint = NOBODY.to_owned();
    dead.forwarding_table_endpoint = NOBODY.to_owned();
    announcer.router(dead).await.unwrap();
    announcer.router(router.legacy()).await.unwrap();
    let announce = async |lambdas: &[&str], expected: &[&str]| {
        router.clear_log();
        announcer
            .computer(computer("127.0.0.1:10", lambdas))
            .await
            .unwrap();
        eventually("all told", || router.log().len() >= expected.len()).await;
        assert_eq!(router.log(), expected);
    };
    announce(&["l0"], &["add l0,127.0.0.1:10,1,true"]).await;
    announce(
        &["l0", "l1"],
        &[
            "del l0,127.0.0.1:10",
            "add l0,127.0.0.1:10,1,true",
            "add l1,127.0.0.1:10,1,true",
        ],
    )
    .await;
    announce(
        &["l2"],
        &[
            "del l0,127.0.0.1:10",
            "del l1,127.0.0.1:10",
            "add l2,127.0.0.1:10,1,true",
        ],
    )
    .await;
    controller.kill().await;
}

#[tokio::test]
async fn f5_a_router_of_the_reference_that_announces_again_gets_everything_again() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    let (router, moved) = (Router::start(), Router::start());
    announcer
        .computer(computer("127.0.0.1:10", &["l0"]))
        .await
        .unwrap();
    for times in 1..=2 {
        announcer.router(router.legacy()).await.unwrap();
        eventually("told again", || router.log().len() == times).await;
    }
    let mut info = router.legacy();
    info.forwarding_table_endpoint = moved.legacy().forwarding_table_endpoint;
    announcer.router(info).await.unwrap();
    moved.shows(&["l0,127.0.0.1:10"]).await;
    controller.kill().await;
}

#[tokio::test]
async fn a_router_that_lost_its_table_gets_it_back() {
    for lease_ms in [0, LEASE] {
        let controller = start(quick()).await;
        let announcer = Announcer::to(controller.address());
        let router = Router::start();
        announcer.router(router.leased(lease_ms)).await.unwrap();
        let info = leased("127.0.0.1:10", &["l0", "l1"], LEASE);
        announcer.computer(info).await.unwrap();
        router.shows(&["l0,127.0.0.1:10", "l1,127.0.0.1:10"]).await;
        // It does not announce itself again.
        let router = Router::start_at(router.die(), &[]);
        router.shows(&["l0,127.0.0.1:10", "l1,127.0.0.1:10"]).await;
        controller.kill().await;
    }
}

#[tokio::test]
async fn a_router_that_was_away_is_told_what_it_missed() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    announcer.router(router.legacy()).await.unwrap();
    for at in ["127.0.0.1:10", "127.0.0.1:11"] {
        let info = leased(at, &["l0"], LEASE);
        announcer.computer(info).await.unwrap();
    }
    router.shows(&["l0,127.0.0.1:10", "l0,127.0.0.1:11"]).await;
    let address = router.die();
    let gone = leased("127.0.0.1:11", &[], LEASE);
    announcer.remove(gone).await.unwrap();
    let new = leased("127.0.0.1:12", &["l0"], LEASE);
    announcer.computer(new).await.unwrap();
    state_shows(&controller, "/routers/0/contact/kind", "fails".into()).await;
    has_tried_more_than(&controller, attempts(&controller).await).await;
    // It comes back with the table of before, as after a partition.
    let before = [("l0", "127.0.0.1:10"), ("l0", "127.0.0.1:11")];
    let router = Router::start_at(address, &before);
    router.shows(&["l0,127.0.0.1:10", "l0,127.0.0.1:12"]).await;
    state_shows(&controller, "/routers/0/contact/kind", "answers".into()).await;
    assert_eq!(router.entry("l0", "127.0.0.1:10"), Some((0.5, true)));
    controller.kill().await;
}

#[tokio::test]
async fn a_computer_removed_before_a_router_ever_answered_is_removed_from_it_all_the_same() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    let info = router.leased(LEASE);
    let address = router.die();
    announcer.router(info).await.unwrap();
    let gone = leased("127.0.0.1:11", &["l0"], LEASE);
    announcer.computer(gone.clone()).await.unwrap();
    announcer.remove(gone).await.unwrap();
    state_shows(&controller, "/routers/0/contact/kind", "fails".into()).await;
    // The pusher has seen the removal once it has tried again.
    has_tried_more_than(&controller, attempts(&controller).await).await;
    let router = Router::start_at(address, &[("l0", "127.0.0.1:11"), ("l0", "127.0.0.1:99")]);
    router.shows(&["l0,127.0.0.1:99"]).await;
    controller.kill().await;
}

#[tokio::test]
async fn a_frozen_router_delays_neither_announcements_nor_other_routers() {
    // Nothing that waited for it would end within the deadline of this test.
    let mut config = without_reconciliation();
    config.push.call_timeout = Duration::from_secs(3600);
    let controller = start(config).await;
    let announcer = Announcer::to(controller.address());
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let router = Router::start();
    let mut info = router.legacy();
    info.edge_server_endpoint = "127.0.0.1:2".to_owned();
    info.forwarding_table_endpoint = frozen.local_addr().unwrap().to_string();
    announcer.router(info).await.unwrap();
    announcer.router(router.leased(LEASE)).await.unwrap();
    for i in 10..20 {
        let at = format!("127.0.0.1:{i}");
        announcer.computer(computer(&at, &["l0"])).await.unwrap();
    }
    eventually("ten entries", || router.table().len() == 10).await;
    controller.kill().await;
}

#[tokio::test]
async fn entries_put_in_by_hand_stay_and_entries_of_removed_computers_go() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    router.set("l0", "127.0.0.1:99", 2.0, true);
    router.set("l9", "cloud.example:6473", 3.0, false);
    announcer.router(router.leased(LEASE)).await.unwrap();
    let info = leased("127.0.0.1:10", &["l0"], LEASE);
    announcer.computer(info.clone()).await.unwrap();
    let by_hand = ["l0,127.0.0.1:99", "l9,cloud.example:6473"];
    router
        .shows(&["l0,127.0.0.1:10", by_hand[0], by_hand[1]])
        .await;
    announcer.remove(info).await.unwrap();
    router.shows(&by_hand).await;
    router.is_compared().await;
    router.shows(&by_hand).await;
    assert_eq!(router.entry("l9", "cloud.example:6473"), Some((3.0, false)));
    controller.kill().await;
}

#[tokio::test]
async fn learnt_weights_survive_renewals_comparisons_and_a_restart_of_the_controller() {
    let router = Router::start();
    let info = leased("127.0.0.1:10", &["l0"], LEASE);
    for restarts in 0..2 {
        let controller = start(quick()).await;
        let announcer = Announcer::to(controller.address());
        announcer.router(router.leased(LEASE)).await.unwrap();
        announcer.computer(info.clone()).await.unwrap();
        router.shows(&["l0,127.0.0.1:10"]).await;
        if restarts == 0 {
            router.set("l0", "127.0.0.1:10", 0.003, true);
            router.clear_log();
        }
        for _ in 0..5 {
            announcer.router(router.leased(LEASE)).await.unwrap();
            announcer.computer(info.clone()).await.unwrap();
        }
        router.is_compared().await;
        controller.kill().await;
    }
    assert_eq!(router.log(), [""; 0]);
    assert_eq!(router.entry("l0", "127.0.0.1:10"), Some((0.003, true)));
}

#[tokio::test]
async fn an_entry_that_is_not_final_becomes_final_with_the_weight_that_it_has() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    router.set("l0", "127.0.0.1:10", 0.5, false);
    announcer.router(router.leased(LEASE)).await.unwrap();
    let info = leased("127.0.0.1:10", &["l0"], LEASE);
    announcer.computer(info).await.unwrap();
    eventually("final", || {
        router.entry("l0", "127.0.0.1:10") == Some((0.5, true))
    })
    .await;
    controller.kill().await;
}

#[tokio::test]
async fn large_tables_are_read_in_pages_without_missing_an_entry() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    router.show_pages_of(7);
    announcer.router(router.leased(LEASE)).await.unwrap();
    let lambdas: Vec<_> = (0..100).map(|i| format!("lambda{i:03}")).collect();
    let lambdas: Vec<_> = lambdas.iter().map(String::as_str).collect();
    let info = leased("127.0.0.1:10", &lambdas, LEASE);
    announcer.computer(info).await.unwrap();
    eventually("hundred entries", || router.table().len() == 100).await;
    router.set("lambda042", "127.0.0.1:10", 0.5, true);
    // The comparison under way may have begun before all entries were there.
    router.is_compared().await;
    router.clear_log();
    let pages = router.readings() + 60;
    eventually("compared", || router.readings() >= pages).await;
    assert_eq!(router.log(), [""; 0]);
    assert_eq!(router.entry("lambda042", "127.0.0.1:10"), Some((0.5, true)));
    // What is missing on a later page is noticed, too.
    router.lose("lambda077", "127.0.0.1:10");
    eventually("told", || !router.log().is_empty()).await;
    assert_eq!(router.log(), ["add lambda077,127.0.0.1:10,1,true"]);
    controller.kill().await;
}

#[tokio::test]
async fn a_router_that_shows_more_entries_at_once_than_any_has_is_set_aside_and_says_why() {
    let mut config = quick();
    config.push.call_timeout = Duration::from_secs(30);
    let controller = start(config).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    router.lie(MOST_AT_ONCE + 1);
    announcer.router(router.legacy()).await.unwrap();
    state_shows(&controller, "/routers/0/contact/kind", "fails".into()).await;
    let state = crate::support::state(&controller).await;
    let error = state.pointer("/routers/0/contact/error").unwrap();
    let error = error.as_str().unwrap();
    assert!(error.contains("entries in one answer"), "{error}");
    controller.kill().await;
}

#[tokio::test]
async fn an_entry_that_a_router_refuses_does_not_keep_the_others_out() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    router.refuse("l1");
    announcer.router(router.legacy()).await.unwrap();
    announcer
        .computer(computer("127.0.0.1:10", &["l0", "l1", "l2"]))
        .await
        .unwrap();
    router.shows(&["l0,127.0.0.1:10", "l2,127.0.0.1:10"]).await;
    router.is_compared().await;
    state_shows(&controller, "/routers/0/contact/kind", "answers".into()).await;
    let metrics = crate::support::page(&controller, "/metrics").await;
    let refused = r#"edge_controller_pushes_total{action="change",result="refused"}"#;
    assert!(metrics.contains(refused), "{metrics}");
    controller.kill().await;
}

#[tokio::test]
async fn a_shutdown_tells_the_routers_what_is_left_to_tell() {
    let controller = start(without_reconciliation()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start();
    announcer.router(router.legacy()).await.unwrap();
    let lambdas: Vec<_> = (0..500).map(|i| format!("l{i}")).collect();
    let lambdas: Vec<_> = lambdas.iter().map(String::as_str).collect();
    announcer
        .computer(computer("127.0.0.1:10", &lambdas))
        .await
        .unwrap();
    drop(announcer);
    assert!(controller.shutdown(Duration::from_secs(30)).await);
    assert_eq!(router.table().len(), 500);
}

#[tokio::test]
async fn a_router_is_told_when_its_table_is_complete_once_all_computers_are_known() {
    for (grace, end) in [
        (Duration::ZERO, Filling::Complete),
        (Duration::from_secs(3600), Filling::MoreFollow),
    ] {
        let mut config = quick();
        config.liveness.grace = grace;
        let controller = start(config).await;
        let announcer = Announcer::to(controller.address());
        let lambdas: Vec<_> = (0..100).map(|i| format!("l{i}")).collect();
        let lambdas: Vec<_> = lambdas.iter().map(String::as_str).collect();
        let info = leased("127.0.0.1:10", &lambdas, LEASE);
        announcer.computer(info).await.unwrap();
        let router = Router::start();
        announcer.router(router.leased(LEASE)).await.unwrap();
        eventually("all told", || router.fillings().len() >= 100).await;
        let mut expected = vec![Filling::MoreFollow; 99];
        expected.push(end);
        assert_eq!(router.fillings(), expected);
        controller.kill().await;
    }
}
