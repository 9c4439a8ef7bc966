//! `/mx2/v1`, as the C++ reference speaks it: refusals are 403, problems that are no refusal
//! are wrapped, everything is `application/json`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::Api;
use super::exchange::{body, caller, no_content, with_hints};
use super::released::Released;
use super::standard::{check_callback, check_change, check_creation, named};
use crate::book::{Caller, ContextId};
use crate::model::{AppFilter, ContextRequest, Problem, Profile};

const BASE: &str = "/mx2/v1";

pub(super) fn routes(prefix: &str) -> Router<Arc<Api>> {
    let at = |path: &str| format!("{prefix}{BASE}{path}");
    Router::new()
        .route(&at("/app_list"), get(list))
        .route(&at("/app_contexts"), post(create))
        .route(&at("/app_contexts/{*id}"), put(update).delete(delete))
}

/// A problem in the shape that the reference gives it.
pub(super) fn problem(problem: &Problem) -> Response {
    let details = problem.to_json();
    let refusal = [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE];
    let value = if refusal.contains(&problem.status) {
        details
    } else {
        json!({"ProblemDetails": details})
    };
    with_hints(super::exchange::json(problem.status, &value), problem)
}

/// What is unknown is refused, here.
fn refusal(error: Problem, detail: &str) -> Problem {
    if error.status == StatusCode::NOT_FOUND {
        Problem::forbidden(detail)
    } else {
        error
    }
}

/// Queries are ignored, as there; or honoured, as version 1.1.1 of the standard wants it.
async fn list(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let listed = || {
        caller(&api, &parts)?;
        if api.strict {
            AppFilter::parse(parts.uri.query().unwrap_or_default())
        } else {
            Ok(AppFilter::default())
        }
    };
    match listed() {
        Ok(filter) => {
            let list = api.state.list(Profile::Legacy, &filter);
            super::exchange::json(StatusCode::OK, &list)
        }
        Err(error) => problem(&error),
    }
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> Response {
    let created = async {
        let (parts, content) = request.into_parts();
        let caller = caller(&api, &parts)?;
        let content = body(&api, &parts.headers, content).await?;
        let request = ContextRequest::parse(&content, Profile::Legacy)?;
        check_creation(&api, &request)?;
        check_callback(&api, request.callback.as_ref(), &caller.address)?;
        api.state.create(request, caller, content.len()).await
    };
    match created.await {
        Ok((held, answer)) => {
            let mut response = Response::new(Body::new(Released::new(answer.to_string(), held)));
            *response.status_mut() = StatusCode::CREATED;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(error) => problem(&error),
    }
}

async fn update(State(api): State<Arc<Api>>, request: Request) -> Response {
    let updated = async {
        let (parts, content) = request.into_parts();
        let caller = caller(&api, &parts)?;
        let content = body(&api, &parts.headers, content).await?;
        let request = ContextRequest::parse(&content, Profile::Legacy)?;
        check_callback(&api, request.callback.as_ref(), &caller.address)?;
        let known = find(&api, named(&parts), &request.device_app, &caller);
        let known = known.ok_or_else(|| Problem::forbidden("unknown or invalid context"))?;
        check_change(&api, known, &request, &caller)?;
        let done = api
            .state
            .update(known, request, &caller, content.len())
            .await;
        done.map_err(|error| refusal(error, "unknown or invalid context"))
    };
    match updated.await {
        Ok(()) => no_content(),
        Err(error) => problem(&error),
    }
}

/// The context that the path names; if it names none, the last one of the device
/// application, since the reference goes by that alone.
fn find(api: &Api, id: &str, device_app: &str, caller: &Caller) -> Option<ContextId> {
    let known = |id: &ContextId| api.state.has(*id, caller);
    ContextId::parse(id)
        .filter(known)
        .or_else(|| api.state.of_device_app(device_app, caller))
}

async fn delete(State(api): State<Arc<Api>>, request: Request) -> Response {
    let deleted = async {
        let (parts, _) = request.into_parts();
        let caller = caller(&api, &parts)?;
        let id = ContextId::parse(named(&parts)).ok_or_else(|| Problem::not_found(""))?;
        api.state.delete(id, &caller).await
    };
    match deleted.await {
        Ok(()) => no_content(),
        Err(error) => problem(&refusal(error, "unknown context")),
    }
}
