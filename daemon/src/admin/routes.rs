//! The pages of the admin endpoint, and the limits that hold for all.

use std::{sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};

use super::Readiness;

/// How long a page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
pub(super) struct Version {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

/// A value as a JSON document, for pages that programs add; 500 if it has no such form.
pub fn json_response<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut text) => {
            text.push(b'\n');
            ([(CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(error) => {
            let text = format!("this page has no representation in JSON: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// Whose turn it is to make a page: however many are asked for, one processor does it.
static TURN: Semaphore = Semaphore::const_new(1);

/// As [`json_response`], but takes the snapshot and writes it on a thread of its own, one page at a
/// time: neither other pages nor the end of the process wait for a large one.
pub async fn json_page<T: Serialize>(snapshot: impl FnOnce() -> T + Send + 'static) -> Response {
    let turn = TURN.acquire().await.expect("nobody closes it");
    let (done, made) = oneshot::channel();
    let making = thread::Builder::new()
        .name("admin-page".to_owned())
        .spawn(move || {
            let page = json_response(&snapshot());
            drop(turn);
            // Whoever asked may not want to wait any longer.
            let _gone = done.send(page);
        });
    if let Err(error) = making {
        let text = format!("there is no thread to make this page: {error}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    made.await.unwrap_or_else(|_| {
        let text = "this page could not be made\n";
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    })
}

pub(super) fn healthz() -> MethodRouter {
    get(|| async { "alive\n" })
}

pub(super) fn readyz(readiness: Readiness) -> MethodRouter {
    get(move || async move {
        match readiness.why_not() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {reason}\n"),
            ),
        }
    })
}

pub(super) fn metrics(registry: Registry) -> MethodRouter {
    let registry = Arc::new(registry);
    get(move || async move {
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Err(_) => {
                let text = "a metric could not be encoded\n";
                (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
            }
        }
    })
}

/// Answers what has no page, and methods that a page does not have.
pub(super) fn with_fallbacks(router: Router, paths: &[String]) -> Router {
    let mut pages = paths.to_vec();
    pages.sort_unstable();
    let pages = pages.join(" ");
    let not_found = move |request: Request| {
        let text = format!("no page {}; there are: {pages}\n", request.uri().path());
        std::future::ready((StatusCode::NOT_FOUND, text))
    };
    let not_allowed = |request: Request| {
        let text = format!(
            "{} does not take {}\n",
            request.uri().path(),
            request.method()
        );
        std::future::ready((StatusCode::METHOD_NOT_ALLOWED, text))
    };
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
}

/// Refuses requests that carry a body, and answers for pages that take too long.
pub(super) fn with_limits(router: Router) -> Router {
    router.layer(from_fn(limits))
}

async fn limits(request: Request<Body>, next: Next) -> Response {
    if !request.body().is_end_stream() {
        let text = "requests to this endpoint have no body\n";
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    }
    match tokio::time::timeout(PAGE_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let text = format!("this page took more than {} s\n", PAGE_LIMIT.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}
