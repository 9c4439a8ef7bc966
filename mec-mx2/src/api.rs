//! The interfaces of device applications over HTTP: the standard one and that of the C++
//! reference, over one state.

mod exchange;
mod legacy;
mod openapi;
mod released;
pub(crate) mod serve;
mod standard;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;

use crate::auth::Door;
use crate::model::Problem;
use crate::state::Mx2;
pub use tls::{Identity, TlsSetup};
pub(crate) use tls::{client as client_tls, server as server_tls, subject};

/// How long a request may take, its body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) state: Mx2,
    pub(crate) door: Door,
    pub(crate) max_body_bytes: usize,
    /// Requests that say what cannot be are refused.
    pub(crate) strict: bool,
    /// What the standard interface answers is wrapped.
    pub(crate) wrapped: bool,
    /// What comes before the path of a new context in its `Location`; empty where the
    /// server does not know how it is reached.
    pub(crate) base: String,
    /// The path of the API's root.
    pub(crate) prefix: String,
}

/// Both interfaces below the path of the root.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let prefix = &api.prefix;
    let not_found = |State(api): State<Arc<Api>>, request: Request| {
        std::future::ready(if is_legacy(&api, &request) {
            legacy::problem(&Problem::not_found("there is no such resource"))
        } else {
            exchange::problem(&Problem::not_found("there is no such resource"))
        })
    };
    let not_allowed = |State(api): State<Arc<Api>>, request: Request| {
        std::future::ready(if is_legacy(&api, &request) {
            // The reference knows no other way to say it.
            legacy::problem(&Problem::not_found("there is no such resource"))
        } else {
            let detail = "the resource has no such method";
            exchange::problem(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail))
        })
    };
    Router::new()
        .merge(standard::routes(prefix))
        .merge(legacy::routes(prefix))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(api.clone(), within_limits))
        .with_state(api)
}

fn is_legacy(api: &Api, request: &Request) -> bool {
    let path = request.uri().path();
    let path = path.strip_prefix(api.prefix.as_str()).unwrap_or(path);
    path.starts_with("/mx2/")
}

/// Ends what takes too long, and counts.
async fn within_limits(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let (interface, problem): (_, fn(&Problem) -> Response) = if is_legacy(&api, &request) {
        ("mx2", legacy::problem)
    } else {
        ("dev_app", exchange::problem)
    };
    let response = tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await;
    let response = response.unwrap_or_else(|_| {
        let detail = "the request took too long";
        problem(&Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    });
    api.state
        .metrics()
        .answered(interface, response.status().as_u16());
    response
}
