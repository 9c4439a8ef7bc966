//! A lambda that an ETSI MEC server says the place of.

use std::num::NonZeroU64;
use std::time::Duration;

use edge_client::Config;
use edge_client::config::EtsiConfig;
use edge_client::load::{self, Progress};
use edge_daemon::lifecycle::Shutdown;
use edge_transport::Endpoint;
use mec_mx2::model::AppInfo;
use mec_mx2::{ApiRoot, Handle, Server};

use crate::support::{Computer, PATIENCE};

/// A server that sends everybody to `computer`.
async fn server(computer: &Computer) -> Handle {
    let anywhere = || Endpoint::new("127.0.0.1", 0);
    let mut config = mec_mx2::Config::default();
    config.api.root = ApiRoot::plain(anywhere());
    config.server.endpoint = anywhere();
    config.admin.endpoint = "".parse().unwrap();
    let server = Server::start(config).await.unwrap();
    let state = server.state();
    state.add_app(AppInfo::lambda("clambda0").unwrap()).unwrap();
    let endpoint = computer.endpoint().to_string();
    state.associate("", "clambda0", &endpoint).unwrap();
    server
}

#[tokio::test]
async fn answers_count_for_the_end_point_that_was_called() {
    let computer = Computer::echo(Duration::ZERO);
    let server = server(&computer).await;
    for callback_endpoint in [None, Some(Endpoint::new("127.0.0.1", 0))] {
        let config = Config {
            etsi: EtsiConfig {
                api_root: Some(server.root().clone()),
                notification_uri: ApiRoot::plain(Endpoint::new("127.0.0.1", 0)),
                ..EtsiConfig::default()
            },
            max_requests: NonZeroU64::new(3),
            callback_endpoint,
            ..Config::default()
        };
        let report = load::run(&config, &Shutdown::new(), Progress::Silent).await;
        let destinations = report.unwrap().tally.destinations;
        let responders: Vec<_> = destinations.into_keys().collect();
        assert_eq!(responders, [computer.endpoint().to_string()]);
    }
    server.shutdown(PATIENCE).await;
}
