//! Management over gRPC: that of the C++ reference, and what it has no word for.

use edge_proto::etsimec::contexts::ContextTuple;
use edge_proto::etsimec::ue_app_lcm_proxy_server::UeAppLcmProxy;
use edge_proto::etsimec::{AddressTuple, Contexts, Lambda, Number, Table, Void};
use edge_proto::mx2::context_event::Kind;
use edge_proto::mx2::mx2_server;
use edge_proto::mx2::{
    App, ContextEvent, DeleteContextRequest, DeleteContextResponse, ListAppsRequest,
    ListAppsResponse, SetLatencyRequest, SetLatencyResponse, SetLocationRequest,
    SetLocationResponse, WatchContextsRequest,
};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;
use tonic::{Request, Response, Status};

use crate::book::{ContextView, Event, Place, RouteError};
use crate::model::{LAMBDA_PROVIDER, LAMBDA_VERSION, LocationConstraints, Problem, Reference};
use crate::state::Mx2;

/// Both services.
#[derive(Debug, Clone)]
pub(crate) struct Management(pub(crate) Mx2);

impl From<RouteError> for Status {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Full => Self::resource_exhausted(error.to_string()),
            _ => Self::invalid_argument(error.to_string()),
        }
    }
}

fn status(problem: &Problem) -> Status {
    match problem.status {
        http::StatusCode::NOT_FOUND => Status::not_found(problem.to_string()),
        http::StatusCode::SERVICE_UNAVAILABLE => Status::resource_exhausted(problem.to_string()),
        _ => Status::invalid_argument(problem.to_string()),
    }
}

#[tonic::async_trait]
impl UeAppLcmProxy for Management {
    async fn associate_address(
        &self,
        request: Request<AddressTuple>,
    ) -> Result<Response<Void>, Status> {
        let AddressTuple {
            client,
            app_name,
            server,
        } = request.into_inner();
        self.0.associate(&client, &app_name, &server)?;
        Ok(Response::new(Void {}))
    }

    async fn remove_address(
        &self,
        request: Request<AddressTuple>,
    ) -> Result<Response<Void>, Status> {
        let AddressTuple {
            client,
            app_name,
            server,
        } = request.into_inner();
        if app_name.is_empty() {
            return Err(RouteError::NoApp.into());
        }
        if !server.is_empty() {
            return Err(RouteError::Server.into());
        }
        if !self.0.dissociate(&client, &app_name) {
            tracing::warn!(
                client,
                app = app_name,
                "a route is removed that is not there"
            );
        }
        Ok(Response::new(Void {}))
    }

    async fn add_lambda(&self, request: Request<Lambda>) -> Result<Response<Void>, Status> {
        let name = request.into_inner().value;
        let app = crate::model::AppInfo::lambda(&name).ok_or_else(|| {
            Status::invalid_argument("the name of an application has from 1 to 32 characters")
        })?;
        self.0.add_app(app).map_err(|problem| status(&problem))?;
        Ok(Response::new(Void {}))
    }

    async fn del_lambda(&self, request: Request<Lambda>) -> Result<Response<Void>, Status> {
        let name = request.into_inner().value;
        if !self.0.remove_app(&name, LAMBDA_PROVIDER, LAMBDA_VERSION) {
            tracing::warn!(lambda = name, "an application is removed that is not there");
        }
        Ok(Response::new(Void {}))
    }

    async fn num_contexts(&self, _: Request<Void>) -> Result<Response<Number>, Status> {
        let value = u32::try_from(self.0.num_contexts()).unwrap_or(u32::MAX);
        Ok(Response::new(Number { value }))
    }

    async fn table(&self, _: Request<Void>) -> Result<Response<Table>, Status> {
        let routes = self.0.routes().into_iter();
        let table = routes.map(|route| AddressTuple {
            client: route.client,
            app_name: route.app,
            server: route.reference.to_string(),
        });
        Ok(Response::new(Table {
            table: table.collect(),
        }))
    }

    async fn contexts(&self, _: Request<Void>) -> Result<Response<Contexts>, Status> {
        let mut contexts: Vec<_> = self.0.contexts();
        contexts.sort_by(|a, b| (&a.address, &a.app, a.id).cmp(&(&b.address, &b.app, b.id)));
        let contexts = contexts.into_iter().map(|context| ContextTuple {
            address: context.address.to_string(),
            app_name: context.app.to_string(),
            edge_router: context.endpoint.to_string(),
        });
        Ok(Response::new(Contexts {
            contexts: contexts.collect(),
        }))
    }
}

#[tonic::async_trait]
impl mx2_server::Mx2 for Management {
    async fn list_apps(
        &self,
        _: Request<ListAppsRequest>,
    ) -> Result<Response<ListAppsResponse>, Status> {
        let apps = self.0.apps().into_iter().map(|(app, latency_ms)| App {
            app_d_id: app.d_id,
            name: app.name,
            provider: app.provider,
            soft_version: app.soft_version,
            description: app.description,
            latency_ms,
            service_continuity: app.characteristics.service_continuity,
        });
        Ok(Response::new(ListAppsResponse {
            apps: apps.collect(),
        }))
    }

    async fn set_location(
        &self,
        request: Request<SetLocationRequest>,
    ) -> Result<Response<SetLocationResponse>, Status> {
        let SetLocationRequest {
            endpoint,
            location,
            apps,
        } = request.into_inner();
        let reference = Reference::parse(&endpoint).ok_or(RouteError::NoServer)?;
        if location.is_empty() {
            self.0.remove_place(reference.endpoint());
            return Ok(Response::new(SetLocationResponse {}));
        }
        let value = serde_json::from_str(&location).map_err(|error| {
            Status::invalid_argument(format!("the location is no JSON: {error}"))
        })?;
        let location =
            LocationConstraints::from_json(&value).map_err(|problem| status(&problem))?;
        let place = Place {
            reference,
            location,
            apps,
        };
        self.0
            .set_place(place)
            .map_err(|problem| status(&problem))?;
        Ok(Response::new(SetLocationResponse {}))
    }

    async fn set_latency(
        &self,
        request: Request<SetLatencyRequest>,
    ) -> Result<Response<SetLatencyResponse>, Status> {
        let SetLatencyRequest { app, latency_ms } = request.into_inner();
        self.0.set_latency(&app, latency_ms);
        Ok(Response::new(SetLatencyResponse {}))
    }

    async fn delete_context(
        &self,
        request: Request<DeleteContextRequest>,
    ) -> Result<Response<DeleteContextResponse>, Status> {
        if self.0.withdraw(&request.into_inner().context_id) {
            Ok(Response::new(DeleteContextResponse {}))
        } else {
            Err(Status::not_found("there is no such context"))
        }
    }

    type WatchContextsStream = BoxStream<'static, Result<ContextEvent, Status>>;

    async fn watch_contexts(
        &self,
        request: Request<WatchContextsRequest>,
    ) -> Result<Response<Self::WatchContextsStream>, Status> {
        let (contexts, events) = self.0.watch();
        let now = stream::iter(contexts).map(|context| Ok(present(&context)));
        let all = stream::iter([Ok(ContextEvent {
            kind: Kind::Current.into(),
            ..ContextEvent::default()
        })]);
        let now = now.chain(all);
        if request.into_inner().once {
            return Ok(Response::new(now.boxed()));
        }
        let changes = stream::unfold(Some(events), |events| async {
            let mut events = events?;
            match events.recv().await {
                Ok(Event::Present(context)) => Some((Ok(present(&context)), Some(events))),
                Ok(Event::Gone(id)) => {
                    let gone = ContextEvent {
                        kind: Kind::Gone.into(),
                        context_id: id.to_string(),
                        ..ContextEvent::default()
                    };
                    Some((Ok(gone), Some(events)))
                }
                Err(RecvError::Lagged(_)) => {
                    let behind = Status::resource_exhausted("the watcher is too slow; watch again");
                    Some((Err(behind), None))
                }
                Err(RecvError::Closed) => None,
            }
        });
        Ok(Response::new(now.chain(changes).boxed()))
    }
}

fn present(context: &ContextView) -> ContextEvent {
    ContextEvent {
        kind: Kind::Present.into(),
        context_id: context.id.to_string(),
        device_app: context.device_app.to_string(),
        address: context.address.to_string(),
        subject: context.subject.as_deref().unwrap_or_default().to_owned(),
        app: context.app.to_string(),
        endpoint: context.endpoint.to_string(),
        state: context.state.to_owned(),
        last_error: context.last_error.to_string(),
    }
}
