//! Whom entries belong to: what a controller removes that it has not put in itself, and what not.

use std::net::TcpListener;
use std::time::Duration;

use edge_controller::Config;

use super::support::{
    Announcer, Router, computer, eventually, leased, quick, quick_with_probes, start, state,
    state_shows,
};
use serde_json::json;

const LEASE: u32 = 60_000;
/// Nobody listens there.
const DEAD: &str = "127.0.0.1:1";

fn named(owner: &str, mut config: Config) -> Config {
    config.controller.owner = owner.to_owned();
    config
}

#[tokio::test]
async fn a_computer_that_left_while_the_controller_was_away_is_removed() {
    let router = Router::start().with_owners();
    let stays = leased("127.0.0.1:10", &["l0"], LEASE);
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    announcer.router(router.leased(LEASE)).await.unwrap();
    announcer.computer(stays.clone()).await.unwrap();
    let gone = leased(DEAD, &["l0", "l1"], LEASE);
    announcer.computer(gone).await.unwrap();
    let both = ["l0,127.0.0.1:1", "l0,127.0.0.1:10", "l1,127.0.0.1:1"];
    router.shows(&both).await;
    let owner = router.owner("l1", DEAD);
    assert_eq!(owner.as_deref(), Some("edgecontroller"));
    router.set("l1", "127.0.0.1:99", 2.0, true);
    controller.kill().await;

    let controller = start(quick_with_probes()).await;
    let announcer = Announcer::to(controller.address());
    announcer.computer(stays).await.unwrap();
    announcer.router(router.leased(LEASE)).await.unwrap();
    let left = ["l0,127.0.0.1:10", "l1,127.0.0.1:99"];
    router.shows(&left).await;
    router.is_compared().await;
    router.shows(&left).await;
    controller.kill().await;
}

#[tokio::test]
async fn a_computer_that_has_not_come_back_yet_is_not_removed() {
    let router = Router::start().with_owners();
    let at_once = leased("127.0.0.1:10", &["l0"], LEASE);
    let later = leased(DEAD, &["l0"], LEASE);
    let both = ["l0,127.0.0.1:1", "l0,127.0.0.1:10"];
    let mut config = quick_with_probes();
    config.liveness.grace = Duration::from_secs(3600);
    let controller = start(config.clone()).await;
    let announcer = Announcer::to(controller.address());
    announcer.router(router.leased(LEASE)).await.unwrap();
    for info in [&at_once, &later] {
        announcer.computer(info.clone()).await.unwrap();
    }
    router.shows(&both).await;
    controller.kill().await;

    let controller = start(config).await;
    let announcer = Announcer::to(controller.address());
    announcer.router(router.leased(LEASE)).await.unwrap();
    announcer.computer(at_once).await.unwrap();
    state_shows(&controller, "/strangers", json!([DEAD])).await;
    // Far longer than it would take to withdraw a computer that does not answer.
    for _ in 0..10 {
        router.is_compared().await;
    }
    router.shows(&both).await;
    announcer.computer(later.clone()).await.unwrap();
    state_shows(&controller, "/strangers", json!([])).await;
    // Whoever says that it leaves does so at once.
    announcer.remove(later).await.unwrap();
    router.shows(&both[1..]).await;
    controller.kill().await;
}

#[tokio::test]
async fn a_computer_that_never_renews_keeps_its_entries_as_long_as_it_answers() {
    let router = Router::start().with_owners();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let entry = format!("l0,{at}");
    let controller = start(quick_with_probes()).await;
    let announcer = Announcer::to(controller.address());
    announcer.router(router.leased(LEASE)).await.unwrap();
    announcer.computer(computer(&at, &["l0"])).await.unwrap();
    router.shows(&[&entry]).await;
    controller.kill().await;

    // It does not announce itself to this one.
    let controller = start(quick_with_probes()).await;
    let announcer = Announcer::to(controller.address());
    announcer.router(router.leased(LEASE)).await.unwrap();
    state_shows(&controller, "/strangers", json!([at])).await;
    for _ in 0..10 {
        router.is_compared().await;
    }
    router.shows(&[&entry]).await;
    drop(listener);
    router.shows(&[]).await;
    assert_eq!(state(&controller).await["strangers"], json!([]));
    controller.kill().await;
}

#[tokio::test]
async fn a_router_whose_lease_ended_while_a_computer_left_loses_its_entries() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start().with_owners();
    let gone = leased("127.0.0.1:10", &["l0"], LEASE);
    announcer.computer(gone.clone()).await.unwrap();
    // The shortest lease there is, renewed until it has been told.
    while router.table().is_empty() {
        announcer.router(router.leased(1)).await.unwrap();
    }
    router.shows(&["l0,127.0.0.1:10"]).await;
    state_shows(&controller, "/routers", json!([])).await;
    announcer.remove(gone).await.unwrap();
    assert_eq!(router.table().len(), 1);
    announcer.router(router.leased(LEASE)).await.unwrap();
    router.shows(&[]).await;
    controller.kill().await;
}

#[tokio::test]
async fn controllers_with_different_names_leave_each_others_entries_alone() {
    let router = Router::start().with_owners();
    let mut running = Vec::new();
    for (name, at) in [("a", "127.0.0.1:10"), ("b", "127.0.0.1:11")] {
        let controller = start(named(name, quick_with_probes())).await;
        let announcer = Announcer::to(controller.address());
        announcer.router(router.leased(LEASE)).await.unwrap();
        let info = leased(at, &["l0"], LEASE);
        announcer.computer(info.clone()).await.unwrap();
        running.push((controller, announcer, info));
    }
    let both = ["l0,127.0.0.1:10", "l0,127.0.0.1:11"];
    router.shows(&both).await;
    router.is_compared().await;
    router.is_compared().await;
    router.shows(&both).await;
    let (other, _, others) = running.pop().unwrap();
    other.kill().await;
    router.is_compared().await;
    // Nor if it thinks that it knows the computer, and that it leaves.
    let (controller, announcer, own) = running.pop().unwrap();
    announcer.computer(others.clone()).await.unwrap();
    router.is_compared().await;
    for gone in [others, own] {
        announcer.remove(gone).await.unwrap();
    }
    router.shows(&both[1..]).await;
    router.is_compared().await;
    router.shows(&both[1..]).await;
    assert_eq!(router.owner("l0", "127.0.0.1:11").as_deref(), Some("b"));
    controller.kill().await;
}

#[tokio::test]
async fn an_entry_that_a_person_overwrites_is_theirs_from_then_on() {
    let controller = start(quick()).await;
    let announcer = Announcer::to(controller.address());
    let router = Router::start().with_owners();
    announcer.router(router.leased(LEASE)).await.unwrap();
    let info = leased("127.0.0.1:10", &["l0", "l1"], LEASE);
    announcer.computer(info.clone()).await.unwrap();
    eventually("two entries", || router.table().len() == 2).await;
    router.set("l0", "127.0.0.1:10", 7.0, false);
    router.is_compared().await;
    assert_eq!(router.entry("l0", "127.0.0.1:10"), Some((7.0, false)));
    announcer.remove(info).await.unwrap();
    router.shows(&["l0,127.0.0.1:10"]).await;
    router.is_compared().await;
    router.shows(&["l0,127.0.0.1:10"]).await;
    controller.kill().await;
}
