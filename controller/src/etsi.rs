//! ETSI MEC beside the routers: device applications learn from an LCM proxy which computer to call.
//!
//! [`File`](crate::ControllerType::EtsiFile) serves the interface itself, with routes from a
//! file; the controller only says which lambdas there are.
//! [`Balanced`](crate::ControllerType::EtsiBalanced) manages the routes, too, of a proxy
//! elsewhere or of its own: it spreads the contexts over the computers by the latencies
//! that the routers measure, again with each change and every few seconds.

mod balancer;
mod catalogue;
mod orders;
mod proxy;
mod view;
mod weights;

use std::sync::Arc;
use std::time::Duration;

use edge_transport::Endpoint;
use edge_transport::tls::ClientConfig;
use mec_mx2::ApiRoot;

use crate::config::{Config, ControllerType, EtsiConfig};
use crate::fleet::Fleet;
pub(crate) use view::View;

/// What runs beside the controller.
#[derive(Debug)]
pub(crate) struct Etsi {
    server: Option<mec_mx2::Handle>,
}

impl Etsi {
    /// Starts what the configuration says.
    pub(crate) async fn start(
        config: &Config,
        fleet: &Arc<Fleet>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, mec_mx2::StartError> {
        let etsi = &config.etsi;
        let server = match (config.controller.r#type, &etsi.balanced_endpoint) {
            (ControllerType::Plain, _) => return Ok(Self { server: None }),
            (ControllerType::EtsiBalanced, Some(endpoint)) => {
                balance(fleet, endpoint, etsi, tls);
                return Ok(Self { server: None });
            }
            _ => mec_mx2::Server::start(embedded(config)).await?,
        };
        match config.controller.r#type {
            ControllerType::EtsiBalanced => {
                let own = Endpoint::from(server.management_address());
                balance(fleet, &own, etsi, tls);
            }
            _ => fleet.spawn(catalogue::keep(fleet.clone(), server.state().clone())),
        }
        Ok(Self {
            server: Some(server),
        })
    }

    /// Where device applications ask, if it is here.
    pub(crate) fn root(&self) -> Option<&ApiRoot> {
        self.server.as_ref().map(mec_mx2::Handle::root)
    }

    /// Where the proxy is managed, if it is here.
    pub(crate) fn management_address(&self) -> Option<std::net::SocketAddr> {
        self.server
            .as_ref()
            .map(mec_mx2::Handle::management_address)
    }

    pub(crate) async fn shutdown(self, patience: Duration) -> bool {
        match self.server {
            Some(server) => server.shutdown(patience).await,
            None => true,
        }
    }

    pub(crate) async fn kill(self) {
        if let Some(server) = self.server {
            server.kill().await;
        }
    }
}

fn balance(
    fleet: &Arc<Fleet>,
    endpoint: &Endpoint,
    etsi: &EtsiConfig,
    tls: Option<Arc<ClientConfig>>,
) {
    let proxy = proxy::Proxy::at(endpoint, tls);
    fleet.spawn(balancer::keep(fleet.clone(), proxy, etsi.balanced_period));
}

/// The configuration of a server of our own.
fn embedded(config: &Config) -> mec_mx2::Config {
    let etsi = &config.etsi;
    let mut embedded = mec_mx2::Config {
        drain: config.drain.clone(),
        log: config.log.clone(),
        ..mec_mx2::Config::default()
    };
    embedded.api.root = etsi.api_root.clone();
    embedded.server.endpoint = etsi.management_endpoint.clone();
    embedded.routes.file = match config.controller.r#type {
        ControllerType::EtsiFile => etsi.file.clone(),
        _ => None,
    };
    embedded.state.folder = etsi.state_folder.clone();
    embedded.auth.tokens_file = etsi.tokens_file.clone();
    embedded.notifications.allow = etsi.notify_networks.clone();
    embedded.tls.control = config.tls.control;
    if etsi.api_root.is_secure() {
        embedded.tls.api = mec_mx2::ApiTls::Server;
    }
    // What it counts is on the controller's own admin endpoint or nowhere.
    embedded.admin.endpoint = edge_daemon::admin::AdminEndpoint::default();
    embedded
}
