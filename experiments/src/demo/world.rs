//! The daemons of the demo, started through the same door as their programs.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_balance::PolicyConfig;
use edge_broker::{Router, RouterHandle};
use edge_computer::server::EdgeComputer;
use edge_controller::Controller;
use edge_transport::Endpoint;

/// The lambda that everybody serves.
pub(crate) const LAMBDA: &str = "clambda0";

/// Positions of the computers.
pub(crate) const FAST: usize = 0;
/// The one in the middle.
pub(crate) const MEDIUM: usize = 1;

/// Names and speeds, beside the simulated board at full speed (1.04 ms for
/// 100 bytes of input).
const COMPUTERS: [(&str, f64); 3] = [("fast", 0.26), ("medium", 0.13), ("slow", 0.065)];

/// Longest time that starting may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that runs.
pub(crate) struct World {
    controller: edge_controller::Handle,
    router: RouterHandle,
    computers: Vec<Member>,
}

struct Member {
    label: &'static str,
    speed: f64,
    endpoint: Endpoint,
    handle: Option<edge_computer::server::Handle>,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut config = edge_controller::Config::default();
        config.server.endpoint = anywhere();
        config.admin.endpoint = "".parse()?;
        let controller = Controller::start(config).await.context("controller")?;
        let at = Endpoint::from(controller.address());

        let mut computers = Vec::new();
        for (label, speed) in COMPUTERS {
            let handle = computer(anywhere(), &at, speed).await?;
            let endpoint = handle.endpoint().clone();
            computers.push(Member {
                label,
                speed,
                endpoint,
                handle: Some(handle),
            });
        }

        let mut config = edge_broker::Config::default();
        config.server.endpoint = anywhere();
        config.tables.endpoint = anywhere();
        config.controller.endpoint = Some(at);
        config.admin.endpoint = "".parse()?;
        let router = Router::start(config).await.context("router")?;
        let world = Self {
            controller,
            router,
            computers,
        };
        world.wait_for_table().await?;
        Ok(world)
    }

    async fn wait_for_table(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let routes = self.router.destinations();
            let known = routes.iter().filter(|route| route.lambda == LAMBDA).count();
            if known == COMPUTERS.len() {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the controller did not fill the table"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Says who is there.
    pub(crate) fn introduce(&self) {
        println!("  controller {}", self.controller.address());
        for computer in &self.computers {
            let milliseconds = 1.04 / computer.speed;
            println!(
                "  computer   {} \"{}\", {milliseconds:.0} ms per request",
                computer.endpoint, computer.label
            );
        }
        println!(
            "  router     {}, policy {}\n",
            self.router.lambda_address(),
            PolicyConfig::default()
        );
    }

    pub(crate) fn router(&self) -> &RouterHandle {
        &self.router
    }

    pub(crate) fn router_endpoint(&self) -> Endpoint {
        Endpoint::from(self.router.lambda_address())
    }

    pub(crate) fn label(&self, computer: usize) -> &'static str {
        self.computers[computer].label
    }

    /// End-point and label of each computer.
    pub(crate) fn names(&self) -> Vec<(String, &'static str)> {
        self.computers
            .iter()
            .map(|c| (c.endpoint.to_string(), c.label))
            .collect()
    }

    pub(crate) fn slow_down(&mut self, computer: usize, times: f64) -> anyhow::Result<()> {
        let member = &mut self.computers[computer];
        member.speed /= times;
        if let Some(handle) = &member.handle {
            handle.set_speed_factor(member.speed)?;
        }
        Ok(())
    }

    /// Ends a computer as a crash does.
    pub(crate) async fn kill(&mut self, computer: usize) {
        if let Some(handle) = self.computers[computer].handle.take() {
            handle.kill().await;
        }
    }

    /// Starts a computer again, where it was.
    pub(crate) async fn revive(&mut self, index: usize) -> anyhow::Result<()> {
        let member = &mut self.computers[index];
        let controller = Endpoint::from(self.controller.address());
        member.handle = Some(computer(member.endpoint.clone(), &controller, member.speed).await?);
        Ok(())
    }

    /// Stops everything politely.
    pub(crate) async fn stop(self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        self.router.shutdown(PATIENCE).await;
        for member in self.computers {
            if let Some(handle) = member.handle {
                handle.shutdown(PATIENCE).await;
            }
        }
        self.controller.shutdown(PATIENCE).await;
    }
}

/// A computer like the default one, at a fraction of its speed.
async fn computer(
    endpoint: Endpoint,
    controller: &Endpoint,
    speed: f64,
) -> anyhow::Result<edge_computer::server::Handle> {
    let mut config = edge_computer::config::Config::default();
    config.server.endpoint = endpoint;
    config.server.num_threads = Some(1);
    config.controller.endpoint = controller.clone().into();
    config.utilization.endpoint = edge_computer::config::OptionalEndpoint::default();
    config.admin.0.endpoint = "".parse()?;
    let handle = EdgeComputer::start(config).await.context("computer")?;
    handle.set_speed_factor(speed)?;
    Ok(handle)
}

fn anywhere() -> Endpoint {
    Endpoint::new("127.0.0.1", 0)
}
