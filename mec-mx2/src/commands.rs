//! The line commands of the management: what `ueapplcmproxyclient` understands.

use edge_daemon::escaped;
use edge_proto::etsimec::ue_app_lcm_proxy_client::UeAppLcmProxyClient;
use edge_proto::etsimec::{AddressTuple, Lambda, Void};
use edge_proto::mx2::context_event::Kind;
use edge_proto::mx2::mx2_client::Mx2Client;
use edge_proto::mx2::{
    DeleteContextRequest, ListAppsRequest, SetLocationRequest, WatchContextsRequest,
};
use edge_transport::control;
use edge_transport::control::Channel;

/// What is answered to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To be printed.
    Text(String),
    /// What was asked for was not done, for this reason.
    Failure(String),
    /// Nothing.
    Silence,
    /// The end was asked for.
    Quit,
}

const INVALID: &str = "Invalid command";

const HELP: &str = "\
help               print this
associate C A S    clients C (* for any) reach application A at S
remove C A         take that away
add-lambda X       add application X to the list
del-lambda X       take it from the list
num-contexts       how many contexts there are
table              who reaches what where
contexts           contexts: address, application, end-point
apps               applications: name, provider, version, round trip in ms
locate S JSON      the computer at S is there (LocationConstraints); - forgets it
watch              contexts in full: id, device application, address, application, end-point, state
delete ID          delete a context and tell its device application
quit               end";

/// A client of one proxy.
#[derive(Debug, Clone)]
pub struct Commands {
    proxy: UeAppLcmProxyClient<Channel>,
    mx2: Mx2Client<Channel>,
}

impl Commands {
    /// Of the proxy that `channel` leads to.
    pub fn new(channel: Channel) -> Self {
        Self {
            proxy: UeAppLcmProxyClient::new(channel.clone()),
            mx2: Mx2Client::new(channel),
        }
    }

    /// Carries out one line.
    pub async fn run(&mut self, line: &str) -> Answer {
        match self.carry_out(line).await {
            Ok(answer) => answer,
            Err(status) => {
                let reason = control::explain(&status);
                Answer::Failure(format!("error: {}", escaped(&reason)))
            }
        }
    }

    async fn carry_out(&mut self, line: &str) -> Result<Answer, tonic::Status> {
        let words: Vec<_> = line.split_whitespace().collect();
        let ok = || Answer::Text("OK".to_owned());
        let any_in = |client: &str| {
            if client == "*" {
                String::new()
            } else {
                client.to_owned()
            }
        };
        Ok(match *words.as_slice() {
            [] => Answer::Silence,
            ["quit"] => Answer::Quit,
            ["help"] => Answer::Text(HELP.to_owned()),
            ["associate", client, app, server] => {
                let tuple = AddressTuple {
                    client: any_in(client),
                    app_name: app.to_owned(),
                    server: server.to_owned(),
                };
                self.proxy.associate_address(tuple).await?;
                ok()
            }
            ["remove", client, app] => {
                let tuple = AddressTuple {
                    client: any_in(client),
                    app_name: app.to_owned(),
                    server: String::new(),
                };
                self.proxy.remove_address(tuple).await?;
                ok()
            }
            ["add-lambda", name] => {
                self.proxy
                    .add_lambda(Lambda {
                        value: name.to_owned(),
                    })
                    .await?;
                ok()
            }
            ["del-lambda", name] => {
                self.proxy
                    .del_lambda(Lambda {
                        value: name.to_owned(),
                    })
                    .await?;
                ok()
            }
            ["num-contexts"] => {
                let number = self.proxy.num_contexts(Void {}).await?.into_inner();
                Answer::Text(number.value.to_string())
            }
            ["table"] => {
                let rows = self
                    .proxy
                    .table(Void {})
                    .await?
                    .into_inner()
                    .table
                    .into_iter();
                lines(
                    rows.map(|row| {
                        format!("{} {} {}", any_out(&row.client), row.app_name, row.server)
                    }),
                )
            }
            ["contexts"] => {
                let rows = self
                    .proxy
                    .contexts(Void {})
                    .await?
                    .into_inner()
                    .contexts
                    .into_iter();
                lines(rows.map(|row| {
                    format!(
                        "{} {} {}",
                        any_out(&row.address),
                        row.app_name,
                        row.edge_router
                    )
                }))
            }
            ["apps"] => {
                let apps = self
                    .mx2
                    .list_apps(ListAppsRequest {})
                    .await?
                    .into_inner()
                    .apps
                    .into_iter();
                lines(apps.map(|app| {
                    format!(
                        "{} {} {} {}",
                        app.name, app.provider, app.soft_version, app.latency_ms
                    )
                }))
            }
            ["locate", server, ..] if words.len() > 2 => {
                let location = words[2..].join(" ");
                let request = SetLocationRequest {
                    endpoint: server.to_owned(),
                    location: if location == "-" {
                        String::new()
                    } else {
                        location
                    },
                    apps: Vec::new(),
                };
                self.mx2.set_location(request).await?;
                ok()
            }
            ["watch"] => self.contexts_in_full().await?,
            ["delete", id] => {
                let request = DeleteContextRequest {
                    context_id: id.to_owned(),
                };
                self.mx2.delete_context(request).await?;
                ok()
            }
            _ => Answer::Text(INVALID.to_owned()),
        })
    }

    async fn contexts_in_full(&mut self) -> Result<Answer, tonic::Status> {
        let request = WatchContextsRequest { once: true };
        let mut events = self.mx2.watch_contexts(request).await?.into_inner();
        let mut rows = Vec::new();
        while let Some(event) = events.message().await? {
            if event.kind() == Kind::Present {
                let endpoint = if event.endpoint.is_empty() {
                    "-"
                } else {
                    &event.endpoint
                };
                rows.push(format!(
                    "{} {} {} {} {endpoint} {}",
                    event.context_id, event.device_app, event.address, event.app, event.state
                ));
            }
        }
        rows.sort_unstable();
        Ok(lines(rows.into_iter()))
    }
}

fn any_out(client: &str) -> &str {
    if client.is_empty() { "*" } else { client }
}

/// Rows are made of what device applications and others have sent: each stays one line.
fn lines(rows: impl Iterator<Item = String>) -> Answer {
    let rows: Vec<_> = rows.map(|row| escaped(&row).into_owned()).collect();
    if rows.is_empty() {
        Answer::Silence
    } else {
        Answer::Text(rows.join("\n"))
    }
}
