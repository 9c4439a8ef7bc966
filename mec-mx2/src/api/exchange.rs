//! What all requests of the standard interface have in common: who asks, media types, bodies,
//! problems.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::Api;
use crate::auth::Peer;
use crate::book::Caller;
use crate::model::Problem;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Who asks.
pub(super) fn caller(api: &Api, parts: &Parts) -> Result<Caller, Problem> {
    let unknown = || {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the connection has no peer",
        )
    };
    let peer = parts.extensions.get::<Peer>().ok_or_else(unknown)?;
    api.door.caller(peer, &parts.headers)
}

/// That the client takes JSON.
pub(super) fn acceptable(headers: &HeaderMap) -> Result<(), Problem> {
    let mut accepts = headers.get_all(header::ACCEPT).into_iter().peekable();
    if accepts.peek().is_none() {
        return Ok(());
    }
    let takes = accepts.any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.trim().is_empty() || text.split(',').any(admits_json)
    });
    if takes {
        return Ok(());
    }
    let detail = "answers are application/json";
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail))
}

fn admits_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        let weight = parameter
            .strip_prefix("q=")
            .or_else(|| parameter.strip_prefix("Q="));
        weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
    });
    !refused && [JSON, "application/*", "*/*"].contains(&kind.as_str())
}

/// That what the client sends is JSON. A body of no type is taken for it.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = value
        .to_str()
        .unwrap_or("?")
        .split(';')
        .next()
        .unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    let detail = "bodies have to be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// That the body is as it is meant: what has been compressed is not unpacked here.
fn is_uncoded(headers: &HeaderMap) -> Result<(), Problem> {
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| {
            let codings = value.to_str().unwrap_or("?").split(',').map(str::trim);
            let mut real = codings.filter(|coding| !coding.is_empty());
            real.any(|coding| !coding.eq_ignore_ascii_case("identity"))
        });
    if !coded {
        return Ok(());
    }
    let detail = "bodies are taken without a Content-Encoding only";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// The body, up to the limit.
pub(super) async fn body(api: &Api, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    is_uncoded(headers)?;
    let limited = Limited::new(body, api.max_body_bytes);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("bodies may have at most {} bytes", api.max_body_bytes);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(_) => Err(Problem::malformed("the body ends too early")),
    }
}

/// An answer with a body.
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    with_type(status, value, JSON)
}

/// An answer without one.
pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An answer that says why not.
pub(super) fn problem(problem: &Problem) -> Response {
    with_hints(
        with_type(problem.status, &problem.to_json(), PROBLEM),
        problem,
    )
}

/// What goes into the head of an answer that says why not.
pub(super) fn with_hints(mut response: Response, problem: &Problem) -> Response {
    let headers = response.headers_mut();
    if problem.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"mx2\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if problem.status == StatusCode::PAYLOAD_TOO_LARGE {
        // The rest of the body is still on its way.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn with_type(status: StatusCode, value: &Value, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings_that_change_nothing_are_taken() {
        for (coding, good) in [
            ("", true),
            ("identity", true),
            ("Identity, identity", true),
            ("gzip", false),
            ("identity, gzip", false),
            ("x-nobody-knows", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert_eq!(is_uncoded(&headers).is_ok(), good, "{coding}");
        }
        assert!(is_uncoded(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn media_ranges_are_understood() {
        for (accept, good) in [
            ("application/json", true),
            ("*/*", true),
            ("text/html, application/*;q=0.5", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(acceptable(&headers).is_ok(), good, "{accept}");
        }
        assert!(acceptable(&HeaderMap::new()).is_ok());
    }
}
