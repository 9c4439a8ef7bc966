//! A site on free ports: one controller, and what the tests put around it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its part; a failing helper is a failing test"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_broker::config::{DispatcherConfig, EstimatorConfig};
use edge_broker::{Dispatcher, Router, RouterHandle};
use edge_computer::server::EdgeComputer;
use edge_controller::Controller;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::{ClientOptions, Core, Endpoint, LambdaCall, LambdaClient};
use prost::Message as _;

/// Long enough for anything that is going to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Computer = edge_computer::server::Handle;

/// A controller and a client.
pub struct Site {
    pub controller: Option<edge_controller::Handle>,
    pub controller_endpoint: Endpoint,
    pub client: LambdaClient,
}

impl Site {
    /// With a controller.
    pub async fn controller() -> Self {
        let controller = controller_at(&anywhere()).await;
        let endpoint = Endpoint::from(controller.address());
        Self {
            controller: Some(controller),
            ..Self::without_controller(endpoint)
        }
    }

    /// Without one, but with the place where it is going to be.
    pub fn without_controller(controller_endpoint: Endpoint) -> Self {
        let client = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
        Self {
            controller: None,
            controller_endpoint,
            client,
        }
    }

    pub async fn computer(
        &mut self,
        configure: impl FnOnce(&mut edge_computer::config::Config),
    ) -> Computer {
        let mut config = edge_computer::config::Config::default();
        config.server.endpoint = anywhere();
        config.server.num_threads = Some(1);
        config.controller.endpoint = self.controller_endpoint.clone().into();
        config.utilization.endpoint = edge_computer::config::OptionalEndpoint::default();
        config.admin.0.endpoint = "".parse().unwrap();
        configure(&mut config);
        EdgeComputer::start(config).await.unwrap()
    }

    pub async fn router(
        &mut self,
        configure: impl FnOnce(&mut edge_broker::Config),
    ) -> RouterHandle {
        let mut config = edge_broker::Config::default();
        config.server.endpoint = anywhere();
        config.tables.endpoint = anywhere();
        config.controller.endpoint = Some(self.controller_endpoint.clone());
        config.admin.endpoint = "".parse().unwrap();
        configure(&mut config);
        Router::start(config).await.unwrap()
    }

    pub async fn dispatcher(&mut self, estimator: EstimatorConfig) -> RouterHandle {
        let mut config = DispatcherConfig {
            estimator,
            ..DispatcherConfig::default()
        };
        config.server.endpoint = anywhere();
        config.tables.endpoint = anywhere();
        config.controller.endpoint = Some(self.controller_endpoint.clone());
        config.admin.endpoint = "".parse().unwrap();
        Dispatcher::start(config).await.unwrap()
    }

    /// Waits until `router` has so many destinations for `lambda`.
    pub async fn wait_for(&self, router: &RouterHandle, lambda: &str, count: usize) {
        let known = || {
            router
                .destinations()
                .iter()
                .filter(|d| d.lambda == lambda)
                .count()
        };
        eventually("the table is filled", || known() == count).await;
    }

    pub async fn ask(&self, router: &RouterHandle, request: &LambdaRequest) -> LambdaResponse {
        let call = LambdaCall {
            message: Bytes::from(request.encode_to_vec()),
            metadata: edge_transport::Metadata::new(),
            deadline: Instant::now() + PATIENCE,
        };
        let endpoint = Endpoint::from(router.lambda_address());
        let reply = self.client.call(&endpoint, &call).await.unwrap();
        LambdaResponse::decode(reply.message).unwrap()
    }
}

pub async fn controller_at(endpoint: &Endpoint) -> edge_controller::Handle {
    let mut config = edge_controller::Config::default();
    config.server.endpoint = endpoint.clone();
    config.admin.endpoint = "".parse().unwrap();
    Controller::start(config).await.unwrap()
}

/// A free port of the loopback interface.
pub fn anywhere() -> Endpoint {
    Endpoint::new("127.0.0.1", 0)
}

/// A port that was free a moment ago, for servers that others have to know beforehand.
pub fn reserved() -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Endpoint::from(listener.local_addr().unwrap())
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The computer of the rows: 20 cores of 4e9 operations per second, two workers.
pub fn platform(function: &str) -> String {
    format!(
        r#"{{
  "version": "1.0",
  "processors": [
    {{"name": "cpu", "type": "GenericCpu", "speed": 4e9, "memory": 1e9, "cores": 20}}
  ],
  "containers": [
    {{"name": "container", "processor": "cpu", "num-workers": 2, "lambda": {{
      "name": "{function}", "requirements": "proportional",
      "op-coeff": 1e6, "op-offset": 4e6, "mem-coeff": 100, "mem-offset": 0
    }}}}
  ]
}}"#
    )
}
