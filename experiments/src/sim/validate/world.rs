//! The daemons of a scenario: simulated computers, routers, and a controller that brings them together.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_broker::{Router, RouterHandle};
use edge_computer::server::EdgeComputer;
use edge_computer::sim::PlatformConfig;
use edge_controller::Controller;
use edge_transport::Endpoint;
use serde_json::json;

use super::super::scenario::Scenario;

/// The lambda that everybody serves.
pub(super) const LAMBDA: &str = "work";
/// The lambda of a computer that has nothing else to do.
pub(super) const ALONE: &str = "alone";
/// How long a byte of input takes at speed 1.
pub(super) const SECONDS_PER_BYTE: f64 = 1e-4;

/// Operations per second of a core at speed 1.
const OPERATIONS: f64 = 1e9;
/// Longest time that starting may take, and stopping.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that runs.
pub(super) struct World {
    controller: edge_controller::Handle,
    routers: Vec<RouterHandle>,
    computers: Vec<edge_computer::server::Handle>,
}

impl World {
    pub(super) async fn start(scenario: &Scenario) -> anyhow::Result<Self> {
        let mut config = edge_controller::Config::default();
        config.server.endpoint = anywhere();
        config.admin.endpoint = "".parse()?;
        let controller = Controller::start(config).await.context("controller")?;
        let at = Endpoint::from(controller.address());

        let platforms = tempfile::tempdir().context("a folder for platform files")?;
        let mut computers = Vec::new();
        let working = (0..scenario.speeds.len()).map(|executor| {
            platform(
                LAMBDA,
                scenario.speeds[executor],
                scenario.workers_of(executor),
            )
        });
        let all = working.chain([platform(ALONE, 1.0, 1)]);
        for (number, platform) in all.enumerate() {
            let path = platforms.path().join(format!("{number}.json"));
            std::fs::write(&path, platform.to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
            let mut config = edge_computer::config::Config {
                platform: PlatformConfig::File { path },
                ..Default::default()
            };
            config.server.endpoint = anywhere();
            config.server.num_threads = Some(1);
            config.controller.endpoint = at.clone().into();
            config.utilization.endpoint = edge_computer::config::OptionalEndpoint::default();
            config.admin.0.endpoint = "".parse()?;
            computers.push(EdgeComputer::start(config).await.context("computer")?);
        }

        let mut routers = Vec::new();
        for _ in 0..scenario.routers {
            let mut config = edge_broker::Config::default();
            config.server.endpoint = anywhere();
            config.tables.endpoint = anywhere();
            config.controller.endpoint = Some(at.clone());
            config.admin.endpoint = "".parse()?;
            routers.push(Router::start(config).await.context("router")?);
        }
        let world = World {
            controller,
            routers,
            computers,
        };
        world.wait_for_tables().await?;
        Ok(world)
    }

    async fn wait_for_tables(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let knows_all = |router: &RouterHandle| {
            let routes = router.destinations();
            let ours = [LAMBDA, ALONE];
            let known = routes.iter().filter(|r| ours.contains(&&*r.lambda));
            known.count() == self.computers.len()
        };
        while !self.routers.iter().all(knows_all) {
            anyhow::ensure!(
                Instant::now() < deadline,
                "the controller did not fill the tables"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Where the routers are.
    pub(super) fn routers(&self) -> Vec<Endpoint> {
        let routers = self.routers.iter();
        routers
            .map(|router| Endpoint::from(router.lambda_address()))
            .collect()
    }

    /// Stops everything politely.
    pub(super) async fn stop(self) {
        for router in self.routers {
            router.shutdown(PATIENCE).await;
        }
        for computer in self.computers {
            computer.shutdown(PATIENCE).await;
        }
        self.controller.shutdown(PATIENCE).await;
    }
}

/// A processor with a core per worker, which executes one request on each.
fn platform(lambda: &str, speed: f64, workers: u32) -> serde_json::Value {
    json!({
        "version": "1.0",
        "processors": [{
            "name": "processor",
            "type": "GenericCpu",
            "speed": OPERATIONS * speed,
            "memory": 1e9,
            "cores": workers,
        }],
        "containers": [{
            "name": "container",
            "processor": "processor",
            "lambda": {
                "name": lambda,
                "output-type": "fixed",
                "output-value": "done",
                "requirements": "proportional",
                "op-coeff": OPERATIONS * SECONDS_PER_BYTE,
                "op-offset": 0,
                "mem-coeff": 0,
                "mem-offset": 0,
            },
            "num-workers": workers,
        }],
    })
}

fn anywhere() -> Endpoint {
    Endpoint::new("127.0.0.1", 0)
}
