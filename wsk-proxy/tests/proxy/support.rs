//! A stack to test on, and a client that shows everything it gets.

mod client;
mod platform;

use std::time::{Duration, Instant};

use edge_broker::{Router, RouterHandle};
use edge_controller::Controller;
use edge_transport::Endpoint;
use wsk_proxy::{Config, Handle, Proxy};

pub(crate) use self::client::{Client, Request};
pub(crate) use self::platform::Platform;

/// Long enough for anything that is going to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let give_up = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < give_up, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn anywhere() -> Endpoint {
    Endpoint::new("127.0.0.1", 0)
}

/// A controller, a router, a computer that runs the functions of a [`Platform`], and a proxy.
pub(crate) struct Stack {
    pub(crate) proxy: Handle,
    pub(crate) client: Client,
    pub(crate) platform: Platform,
    pub(crate) router: RouterHandle,
    pub(crate) controller: edge_controller::Handle,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With a proxy whose configuration `change` has changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let controller = controller().await;
        let platform = Platform::announced_to(&controller).await;
        let router = router(anywhere(), anywhere(), &controller).await;
        let mut config = behind(&router);
        change(&mut config);
        let proxy = Proxy::start(config).await.unwrap();
        let client = Client::of(proxy.address());
        wait_for_table(&router).await;
        Self {
            proxy,
            client,
            platform,
            router,
            controller,
        }
    }
}

/// Waits until the router knows what the platform serves.
pub(crate) async fn wait_for_table(router: &RouterHandle) {
    let knows = async || {
        let destinations = router.destinations();
        let known = |lambda: &&str| destinations.iter().any(|route| route.lambda == **lambda);
        platform::LAMBDAS
            .iter()
            .filter(|lambda| known(lambda))
            .count()
            == platform::LAMBDAS.len()
    };
    eventually("the router knows the lambdas", knows).await;
}

pub(crate) async fn controller() -> edge_controller::Handle {
    let mut config = edge_controller::Config::default();
    config.server.endpoint = anywhere();
    config.admin.endpoint = "".parse().unwrap();
    Controller::start(config).await.unwrap()
}

pub(crate) async fn router(
    at: Endpoint,
    tables: Endpoint,
    controller: &edge_controller::Handle,
) -> RouterHandle {
    let mut config = edge_broker::Config::default();
    config.server.endpoint = at;
    config.tables.endpoint = tables;
    config.controller.endpoint = Some(controller.address().into());
    config.admin.endpoint = "".parse().unwrap();
    Router::start(config).await.unwrap()
}

/// The configuration of an open proxy in front of `router`.
pub(crate) fn behind(router: &RouterHandle) -> Config {
    let mut config = quiet();
    config.router.endpoints = Endpoint::from(router.lambda_address()).into();
    config.table.endpoints = Endpoint::from(router.table_address()).into();
    config
}

/// The configuration of an open proxy with ports of its own, in front of nothing.
pub(crate) fn quiet() -> Config {
    let mut config = Config::default();
    config.server.api_root = "http://127.0.0.1:0".parse().unwrap();
    config.server.num_threads = Some(1);
    config.auth.open = true;
    config.admin.endpoint = "".parse().unwrap();
    config.table.interval = Duration::from_millis(50);
    config.router.set_aside = Duration::from_millis(50);
    config
}
