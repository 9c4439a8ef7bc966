//! `/dev_app/v1`: MEC 016, version 2.2.1.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::exchange::{acceptable, body, caller, is_json, json, no_content, problem};
use super::released::Released;
use super::{Api, openapi};
use crate::book::{Caller, ContextId};
use crate::model::{
    AppFilter, AvailabilityRequest, CallbackUri, ContextRequest, Fault, Problem, Profile,
};

/// The path of the interface below that of the root.
pub(super) const BASE: &str = "/dev_app/v1";

pub(super) fn routes(prefix: &str) -> Router<Arc<Api>> {
    let at = |path: &str| format!("{prefix}{BASE}{path}");
    Router::new()
        .route(&at("/app_list"), get(list))
        .route(&at("/app_contexts"), post(create))
        .route(&at("/app_contexts/{id}"), put(update).delete(delete))
        .route(&at("/obtain_app_loc_availability"), post(availability))
        .route(&at("/openapi.json"), get(document))
}

async fn list(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let listed = || {
        caller(&api, &parts)?;
        acceptable(&parts.headers)?;
        AppFilter::parse(parts.uri.query().unwrap_or_default())
    };
    match listed() {
        Ok(filter) => {
            let list = api.state.list(Profile::Standard, &filter);
            json(StatusCode::OK, &wrapped(&api, "ApplicationList", list))
        }
        Err(error) => problem(&error),
    }
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> Response {
    let created = async {
        let (parts, content) = request.into_parts();
        let caller = caller(&api, &parts)?;
        acceptable(&parts.headers)?;
        is_json(&parts.headers)?;
        let content = body(&api, &parts.headers, content).await?;
        let request = ContextRequest::parse(&content, Profile::Standard)?;
        check_creation(&api, &request)?;
        check_callback(&api, request.callback.as_ref(), &caller.address)?;
        api.state.create(request, caller, content.len()).await
    };
    match created.await {
        Ok((held, answer)) => {
            let location = format!(
                "{}{}{BASE}/app_contexts/{}",
                api.base,
                api.prefix,
                held.id()
            );
            let answer = wrapped(&api, "AppContext", answer).to_string();
            let mut response = Response::new(Body::new(Released::new(answer, held)));
            *response.status_mut() = StatusCode::CREATED;
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            if let Ok(location) = HeaderValue::try_from(location) {
                headers.insert(header::LOCATION, location);
            }
            response
        }
        Err(error) => problem(&error),
    }
}

/// Tells at once where notifications will never get; names are checked when they are
/// resolved.
pub(super) fn check_callback(
    api: &Api,
    callback: Option<&CallbackUri>,
    creator: &str,
) -> Result<(), Problem> {
    let host = callback.and_then(|callback| callback.uri().host());
    let address = host.and_then(|host| {
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        host.parse().ok()
    });
    let targets = api.state.notifier().targets();
    match address {
        Some(address) if !targets.admit(address, creator.parse().ok()) => {
            let reason = "notifications may not go to that address from here";
            Err(fault("/callbackReference", reason))
        }
        _ => Ok(()),
    }
}

/// Where that is to be refused, that nobody gives an identifier which is ours to give.
pub(super) fn check_creation(api: &Api, request: &ContextRequest) -> Result<(), Problem> {
    if api.strict && request.context_id.is_some() {
        return Err(fault("/contextId", "is given by the server"));
    }
    Ok(())
}

/// Where that is to be refused, that a change is none of what cannot change.
pub(super) fn check_change(
    api: &Api,
    id: ContextId,
    request: &ContextRequest,
    caller: &Caller,
) -> Result<(), Problem> {
    if !api.strict {
        return Ok(());
    }
    let faults = api.state.unchangeable(id, request, caller)?;
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

fn fault(name: &str, reason: &str) -> Problem {
    Problem::invalid(vec![Fault {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }])
}

/// An answer as it is, or in the name of its type.
fn wrapped(api: &Api, name: &str, answer: Value) -> Value {
    if !api.wrapped {
        return answer;
    }
    Value::Object(Map::from_iter([(name.to_owned(), answer)]))
}

/// What the path names. Identifiers need no decoding: they are hexadecimal.
pub(super) fn named(parts: &Parts) -> &str {
    parts.uri.path().rsplit('/').next().unwrap_or_default()
}

fn context_id(parts: &Parts) -> Result<ContextId, Problem> {
    let unknown = || Problem::not_found("there is no such context");
    ContextId::parse(named(parts)).ok_or_else(unknown)
}

async fn update(State(api): State<Arc<Api>>, request: Request) -> Response {
    let updated = async {
        let (parts, content) = request.into_parts();
        let caller = caller(&api, &parts)?;
        is_json(&parts.headers)?;
        let content = body(&api, &parts.headers, content).await?;
        let request = ContextRequest::parse(&content, Profile::Standard)?;
        match &request.context_id {
            Some(inner) if inner != named(&parts) => {
                return Err(fault("/contextId", "is not that of the resource"));
            }
            None if api.strict => return Err(fault("/contextId", "is required")),
            _ => {}
        }
        check_callback(&api, request.callback.as_ref(), &caller.address)?;
        let id = context_id(&parts)?;
        check_change(&api, id, &request, &caller)?;
        api.state.update(id, request, &caller, content.len()).await
    };
    match updated.await {
        Ok(()) => no_content(),
        Err(error) => problem(&error),
    }
}

async fn delete(State(api): State<Arc<Api>>, request: Request) -> Response {
    let deleted = async {
        let (parts, _) = request.into_parts();
        let caller = caller(&api, &parts)?;
        api.state.delete(context_id(&parts)?, &caller).await
    };
    match deleted.await {
        Ok(()) => no_content(),
        Err(error) => problem(&error),
    }
}

async fn availability(State(api): State<Arc<Api>>, request: Request) -> Response {
    let answered = async {
        let (parts, content) = request.into_parts();
        caller(&api, &parts)?;
        acceptable(&parts.headers)?;
        is_json(&parts.headers)?;
        let content = body(&api, &parts.headers, content).await?;
        let request = AvailabilityRequest::parse(&content)?;
        Ok(api.state.availability(&request))
    };
    match answered.await {
        Ok(answer) => {
            let answer = wrapped(&api, "ApplicationLocationAvailability", answer);
            json(StatusCode::OK, &answer)
        }
        Err(error) => problem(&error),
    }
}

/// Needs no token: it says nothing that is not public.
async fn document() -> Response {
    let mut response = Response::new(Body::from(openapi::TEXT));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
