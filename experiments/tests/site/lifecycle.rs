//! Coming, going, dying and coming back, in any order: nobody has to restart anybody else.

use super::support::{Computer, Site, controller_at, eventually, reserved};
use edge_broker::RouterHandle;
use edge_proto::rpc::LambdaRequest;
use edge_transport::Endpoint;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Controller,
    Computer,
    Router,
}

/// Starts the three parts in the given order; then a request has to work.
async fn starts_in(order: [Part; 3]) {
    let place = reserved();
    let mut site = Site::without_controller(place.clone());
    let (mut computer, mut router): (Option<Computer>, Option<RouterHandle>) = (None, None);
    for part in order {
        match part {
            Part::Controller => site.controller = Some(controller_at(&place).await),
            Part::Computer => computer = Some(site.computer(|_| {}).await),
            Part::Router => router = Some(site.router(|_| {}).await),
        }
    }
    let (computer, router) = (computer.unwrap(), router.unwrap());
    site.wait_for(&router, "clambda0", 1).await;
    let answer = site
        .ask(&router, &LambdaRequest::new("clambda0", "x"))
        .await;
    assert_eq!(
        (answer.retcode.as_str(), answer.responder),
        ("OK", computer.endpoint().to_string())
    );
}

#[tokio::test]
async fn any_order_of_starting_works() {
    use Part::{Computer, Controller, Router};
    tokio::join!(
        starts_in([Controller, Computer, Router]),
        starts_in([Controller, Router, Computer]),
        starts_in([Computer, Controller, Router]),
        starts_in([Computer, Router, Controller]),
        starts_in([Router, Controller, Computer]),
        starts_in([Router, Computer, Controller]),
    );
}

#[tokio::test]
async fn a_router_that_died_is_filled_again() {
    let mut site = Site::controller().await;
    let computer = site.computer(|_| {}).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 1).await;
    let lambda = Endpoint::from(router.lambda_address());
    router.kill().await;
    // The same place for lambdas, another one for tables.
    let router = site.router(|config| config.server.endpoint = lambda).await;
    site.wait_for(&router, "clambda0", 1).await;
    let answer = site
        .ask(&router, &LambdaRequest::new("clambda0", "x"))
        .await;
    assert_eq!(
        (answer.retcode.as_str(), answer.responder),
        ("OK", computer.endpoint().to_string())
    );
}

#[tokio::test]
async fn a_controller_that_died_learns_everything_again() {
    let mut site = Site::controller().await;
    let _first = site.computer(|_| {}).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 1).await;
    site.controller.take().unwrap().kill().await;
    assert_eq!(
        site.ask(&router, &LambdaRequest::new("clambda0", "x"))
            .await
            .retcode,
        "OK",
        "requests do not need the controller"
    );
    let place = site.controller_endpoint.clone();
    site.controller = Some(controller_at(&place).await);
    let _second = site.computer(|_| {}).await;
    site.wait_for(&router, "clambda0", 2).await;
    let fresh = site.router(|_| {}).await;
    site.wait_for(&fresh, "clambda0", 2).await;
}

#[tokio::test]
async fn a_computer_that_leaves_is_withdrawn_and_one_that_dies_too() {
    let mut site = Site::controller().await;
    let (leaves, dies) = (site.computer(|_| {}).await, site.computer(|_| {}).await);
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 2).await;
    assert!(leaves.shutdown(crate::support::PATIENCE).await);
    site.wait_for(&router, "clambda0", 1).await;
    dies.kill().await;
    // No good-bye: its lease has to run out.
    eventually("withdrawn", || router.destinations().is_empty()).await;
}

#[tokio::test]
async fn a_computer_that_died_and_came_back_is_used_again() {
    let mut site = Site::controller().await;
    let (stays, dies) = (site.computer(|_| {}).await, site.computer(|_| {}).await);
    let place = dies.endpoint().clone();
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 2).await;
    dies.kill().await;
    for _ in 0..20 {
        let answer = site
            .ask(&router, &LambdaRequest::new("clambda0", "x"))
            .await;
        assert_eq!(
            (answer.retcode.as_str(), answer.responder),
            ("OK", stays.endpoint().to_string())
        );
    }
    let back = site.computer(|config| config.server.endpoint = place).await;
    // Faster than the other, so that there is every reason to use it.
    stays.set_speed_factor(0.05).unwrap();
    let mut used = false;
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while !used && std::time::Instant::now() < deadline {
        let answer = site
            .ask(&router, &LambdaRequest::new("clambda0", "x"))
            .await;
        assert_eq!(answer.retcode, "OK");
        used = answer.responder == back.endpoint().to_string();
    }
    assert!(used, "the computer that came back is never used");
}

#[tokio::test]
async fn one_poison_request_leaves_all_tables_as_they_are() {
    let mut site = Site::controller().await;
    let _computers = (site.computer(|_| {}).await, site.computer(|_| {}).await);
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 2).await;
    let poison = [
        LambdaRequest {
            callback: "127.0.0.1:1".into(),
            ..LambdaRequest::new("clambda0", "x")
        },
        LambdaRequest {
            chain: vec!["clambda0".into(), "glambda0".into()],
            ..LambdaRequest::new("clambda0", "x")
        },
    ];
    for request in &poison {
        for _ in 0..3 {
            let answer = site.ask(&router, request).await;
            assert_ne!(answer.retcode, "OK", "{request:?}");
        }
    }
    site.wait_for(&router, "clambda0", 2).await;
    let all = router.destinations();
    assert!(
        all.iter()
            .all(|d| d.standing == edge_broker::Standing::Healthy),
        "{all:?}"
    );
    assert_eq!(
        site.ask(&router, &LambdaRequest::new("clambda0", "x"))
            .await
            .retcode,
        "OK"
    );
}
