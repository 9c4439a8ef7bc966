//! The LCM proxy that is managed: one of ours, or one of the C++ reference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use edge_proto::etsimec::ue_app_lcm_proxy_client::UeAppLcmProxyClient;
use edge_proto::etsimec::{AddressTuple, Lambda, Void};
use edge_proto::mx2::mx2_client::Mx2Client;
use edge_proto::mx2::{ListAppsRequest, SetLatencyRequest};
use edge_transport::control::Channel;
use edge_transport::tls::ClientConfig;
use edge_transport::{Endpoint, control};
use mec_mx2::model::{LAMBDA_PROVIDER, LAMBDA_VERSION};
use tonic::{Code, Status};

use super::orders::Order;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest table read, in bytes.
const MAX_TABLE_BYTES: usize = 256 << 20;

/// Routes, by application and client; the client empty for the default.
pub(crate) type Routes = BTreeMap<(String, String), String>;

/// A context: who asked for which application, and where it was told to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) client: String,
    pub(crate) app: String,
    /// Empty: nowhere.
    pub(crate) at: String,
}

/// What a proxy knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) routes: Routes,
    pub(crate) contexts: Vec<Context>,
    /// The lambdas in its list; `None` if it does not tell.
    pub(crate) apps: Option<BTreeSet<String>>,
    /// Of those, the ones whose sessions must survive a move.
    pub(crate) continuous: BTreeSet<String>,
}

/// A client of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    proxy: UeAppLcmProxyClient<Channel>,
    ours: Mx2Client<Channel>,
}

impl Proxy {
    pub(crate) fn at(endpoint: &Endpoint, tls: Option<Arc<ClientConfig>>) -> Self {
        let channel = control::channel(endpoint, tls, TIMEOUT);
        Self {
            proxy: UeAppLcmProxyClient::new(channel.clone())
                .max_decoding_message_size(MAX_TABLE_BYTES),
            ours: Mx2Client::new(channel),
        }
    }

    pub(crate) async fn known(&mut self) -> Result<Known, Status> {
        let table = self.proxy.table(Void {}).await?.into_inner().table;
        let contexts = self.proxy.contexts(Void {}).await?.into_inner().contexts;
        let mut known = Known {
            routes: table
                .into_iter()
                .map(|row| ((row.app_name, row.client), row.server))
                .collect(),
            contexts: contexts
                .into_iter()
                .map(|row| Context {
                    client: row.address,
                    app: row.app_name,
                    at: row.edge_router,
                })
                .collect(),
            ..Known::default()
        };
        match self.ours.list_apps(ListAppsRequest {}).await {
            Ok(apps) => {
                let mut names = BTreeSet::new();
                for app in apps.into_inner().apps {
                    if app.service_continuity {
                        known.continuous.insert(app.name.clone());
                    }
                    if app.provider == LAMBDA_PROVIDER && app.soft_version == LAMBDA_VERSION {
                        names.insert(app.name);
                    }
                }
                known.apps = Some(names);
            }
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(status) => return Err(status),
        }
        Ok(known)
    }

    pub(crate) async fn carry_out(&mut self, order: Order) -> Result<(), Status> {
        match order {
            Order::AddLambda(value) => drop(self.proxy.add_lambda(Lambda { value }).await?),
            Order::RemoveLambda(value) => drop(self.proxy.del_lambda(Lambda { value }).await?),
            Order::Associate {
                client,
                app,
                server,
            } => {
                let tuple = AddressTuple {
                    client,
                    app_name: app,
                    server,
                };
                self.proxy.associate_address(tuple).await?;
            }
            Order::Dissociate { client, app } => {
                let tuple = AddressTuple {
                    client,
                    app_name: app,
                    server: String::new(),
                };
                self.proxy.remove_address(tuple).await?;
            }
        }
        Ok(())
    }

    /// Says what round trip is measured, to a proxy that can be told.
    pub(crate) async fn set_latency(&mut self, app: &str, latency_ms: u32) -> Result<(), Status> {
        let request = SetLatencyRequest {
            app: app.to_owned(),
            latency_ms,
        };
        self.ours.set_latency(request).await.map(drop)
    }
}
