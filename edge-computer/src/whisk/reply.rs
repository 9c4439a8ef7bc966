//! Answers: JSON with the headers that all have, and errors in the form that clients go by.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

/// Names the execution that an answer belongs to.
pub(super) const ACTIVATION_ID: header::HeaderName =
    header::HeaderName::from_static("x-openwhisk-activation-id");

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: String,
    activation_id: Option<String>,
}

impl Reply {
    /// With `value` as its body.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_string(value).unwrap_or_default();
        Self::text(status, body)
    }

    /// With a body that is JSON already.
    pub(super) fn text(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body,
            activation_id: None,
        }
    }

    /// Names the execution.
    pub(super) fn of(self, activation_id: &str) -> Self {
        Self {
            activation_id: Some(activation_id.to_owned()),
            ..self
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, "application/json");
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, DELETE, POST, PUT, HEAD",
        );
        set(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
        );
        if self.status == StatusCode::UNAUTHORIZED {
            set(
                header::WWW_AUTHENTICATE,
                "Basic realm=\"OpenWhisk secure realm\"",
            );
        }
        if let Some(id) = self
            .activation_id
            .and_then(|id| HeaderValue::try_from(id).ok())
        {
            headers.insert(ACTIVATION_ID, id);
        }
        response
    }
}

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn missing() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "The requested resource does not exist.",
        )
    }

    pub(super) fn method() -> Self {
        let text = "HTTP method not allowed for this resource.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, text)
    }

    /// As the answer to the transaction `code`.
    pub(super) fn reply(self, code: &str) -> Reply {
        Reply::json(self.status, &json!({ "error": self.text, "code": code }))
    }
}
