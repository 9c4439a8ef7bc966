//! What brought whole sites to a standstill elsewhere, tried on ours. See `docs/faults.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::{Computer, PATIENCE, Site, anywhere, eventually, platform};
use edge_broker::Standing;
use edge_broker::config::EstimatorConfig;
use edge_computer::sim::PlatformConfig;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest};
use edge_transport::{Endpoint, control};
use tokio::task::JoinSet;

/// A computer that serves `lambda` alone.
async fn computer_of(site: &mut Site, lambda: &str) -> Computer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("platform.json");
    std::fs::write(&path, platform(lambda)).unwrap();
    site.computer(|config| config.platform = PlatformConfig::File { path })
        .await
}

/// Clients that ask for one lambda, one request after the other each.
struct Load {
    answers: Arc<AtomicUsize>,
    errors: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(site: &Arc<Site>, router: &Arc<edge_broker::RouterHandle>, lambda: &str) -> Self {
        const CLIENTS: usize = 8;
        let mut load = Self {
            answers: Arc::default(),
            errors: Arc::default(),
            stop: Arc::default(),
            clients: JoinSet::new(),
        };
        for _ in 0..CLIENTS {
            let (site, router) = (site.clone(), router.clone());
            let (answers, errors) = (load.answers.clone(), load.errors.clone());
            let stop = load.stop.clone();
            let request = LambdaRequest::new(lambda, "x");
            load.clients.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = site.ask(&router, &request).await;
                    let count = if answer.is_ok() { &answers } else { &errors };
                    count.fetch_add(1, Ordering::SeqCst);
                    // So that errors, which take no time, leave some for others.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
        load
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    fn errors(&self) -> usize {
        self.errors.load(Ordering::SeqCst)
    }

    /// Waits for more answers than there are clients, so that each gets one.
    async fn is_answered(&self, when: &str) {
        let before = self.answers();
        eventually(when, || self.answers() > before + 20).await;
    }

    /// Waits until all clients have ended, none of which may wait for ever.
    async fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let all = async { while self.clients.join_next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, all).await.unwrap();
    }
}

#[tokio::test]
async fn a_computer_that_is_killed_twice_under_load_wedges_neither_its_lambda_nor_others() {
    let mut site = Site::controller().await;
    let mut victim = computer_of(&mut site, "f").await;
    let _other = computer_of(&mut site, "g").await;
    let place = victim.endpoint().clone();
    // The limit that the pools of others ran out of.
    let router = site.router(|config| config.router.max_pending_clients = 2);
    let router = Arc::new(router.await);
    site.wait_for(&router, "f", 1).await;
    site.wait_for(&router, "g", 1).await;
    let site = Arc::new(site);
    let load = Load::start(&site, &router, "f");
    let others = Load::start(&site, &router, "g");
    load.is_answered("before the first death").await;
    let mut helper = Site::without_controller(site.controller_endpoint.clone());
    for death in 1..=2 {
        let before = load.errors();
        victim.kill().await;
        eventually("the death is felt", || load.errors() > before + 20).await;
        others.is_answered("while the computer is dead").await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("platform.json");
        std::fs::write(&path, platform("f")).unwrap();
        let configure = |config: &mut edge_computer::config::Config| {
            config.server.endpoint = place.clone();
            config.platform = PlatformConfig::File { path };
        };
        victim = helper.computer(configure).await;
        load.is_answered(&format!("after death {death}")).await;
    }
    assert_eq!(others.errors(), 0, "the other lambda never failed");
    load.end().await;
    others.end().await;
}

#[tokio::test]
async fn a_dispatcher_that_asks_first_survives_a_death_and_uses_whoever_comes_back() {
    let mut site = Site::controller().await;
    let (stays, dies) = (site.computer(|_| {}).await, site.computer(|_| {}).await);
    let place = dies.endpoint().clone();
    let estimator = EstimatorConfig::Probe {
        max_clients: 10,
        timeout: 1.0,
        output: None,
    };
    let dispatcher = site.dispatcher(estimator).await;
    site.wait_for(&dispatcher, "clambda0", 2).await;
    dies.kill().await;
    let request = LambdaRequest::new("clambda0", "x");
    for _ in 0..20 {
        let answer = site.ask(&dispatcher, &request).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.responder),
            ("OK", stays.endpoint().to_string())
        );
    }
    let back = site.computer(|config| config.server.endpoint = place).await;
    // Slower than the other, so that there is every reason to use that one.
    stays.set_speed_factor(0.05).unwrap();
    let (mut used, deadline) = (false, Instant::now() + PATIENCE);
    while !used && Instant::now() < deadline {
        let answer = site.ask(&dispatcher, &request).await;
        assert_eq!(answer.retcode, "OK");
        used = answer.responder == back.endpoint().to_string();
    }
    assert!(used, "the computer that came back is never used");
}

#[tokio::test]
async fn a_table_that_an_empty_message_wiped_is_filled_again() {
    let mut site = Site::controller().await;
    let _computer = site.computer(|_| {}).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 1).await;
    let tables = Endpoint::from(router.table_address());
    let mut anybody = EdgeRouterClient::new(control::channel(&tables, None, PATIENCE));
    let told = anybody.configure(EdgeRouterConf::default()).await.unwrap();
    assert_eq!(told.into_inner().msg, "OK");
    site.wait_for(&router, "clambda0", 1).await;
    let request = LambdaRequest::new("clambda0", "x");
    assert_eq!(site.ask(&router, &request).await.retcode, "OK");
}

#[tokio::test]
async fn a_router_that_restarts_in_its_place_is_filled_as_soon_as_it_says_so() {
    let mut config = edge_controller::Config::default();
    config.server.endpoint = anywhere();
    config.admin.endpoint = "".parse().unwrap();
    // Nobody looks after tables of their own accord.
    config.push.reconcile_interval = Duration::from_secs(3600);
    let controller = edge_controller::Controller::start(config).await.unwrap();
    let mut site = Site::without_controller(controller.address().into());
    let _computer = site.computer(|_| {}).await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 1).await;
    let lambda = Endpoint::from(router.lambda_address());
    let tables = Endpoint::from(router.table_address());
    router.kill().await;
    let same_place = |config: &mut edge_broker::Config| {
        config.server.endpoint = lambda;
        config.tables.endpoint = tables;
    };
    let router = site.router(same_place).await;
    site.wait_for(&router, "clambda0", 1).await;
    controller.kill().await;
}

#[tokio::test]
async fn hostile_requests_evict_nobody_and_cost_nobody_its_standing() {
    let mut site = Site::controller().await;
    let _computers = (site.computer(|_| {}).await, site.computer(|_| {}).await);
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 2).await;
    let request = LambdaRequest::new("clambda0", "x");
    let hostile = [
        LambdaRequest::new("", "x"),
        LambdaRequest::new("nowhere", "x"),
        LambdaRequest {
            hops: 255,
            ..request.clone()
        },
        LambdaRequest {
            hops: u32::MAX,
            ..request.clone()
        },
        LambdaRequest {
            callback: "not an end-point".into(),
            ..request.clone()
        },
        LambdaRequest {
            next_function_index: u32::MAX,
            chain: vec!["clambda0".into()],
            ..request.clone()
        },
        LambdaRequest {
            max_wait_us: 1,
            ..LambdaRequest::new("nowhere", "x")
        },
    ];
    for request in &hostile {
        for _ in 0..5 {
            let answer = site.ask(&router, request).await;
            assert_ne!(answer.retcode, "OK", "{request:?}");
        }
    }
    let standings = router.destinations();
    assert!(
        standings.iter().all(|d| d.standing == Standing::Healthy),
        "{standings:?}"
    );
    assert_eq!(site.ask(&router, &request).await.retcode, "OK");
}

/// Whether `source` defines the test, or the part of a script, `name`.
fn defines(source: &str, name: &str) -> bool {
    let rust = format!("fn {name}(");
    let script = format!("function {name} (");
    source.contains(&rust) || source.contains(&script)
}

#[test]
fn the_pages_name_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (page, least) in [
        ("docs/faults.md", 50),
        ("docs/openwhisk.md", 40),
        ("docs/mx2.md", 50),
    ] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let quoted = text.lines().filter(|line| line.starts_with("| "));
        let quoted = quoted.flat_map(|line| line.split('`').skip(1).step_by(2));
        let mut count = 0;
        for (file, name) in quoted.filter_map(|text| text.split_once("::")) {
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(defines(&source, name), "{page}: no {file}::{name}");
            count += 1;
        }
        assert!(count > least, "{page} names only {count} tests");
    }
}
