//! Answers: JSON with OpenWhisk's headers, and errors that its clients understand.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::{Body as _, Bytes};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::rows::Rows;
use super::sent::{Sent, held};
use crate::activation::ActivationId;

/// Nodes that a request has passed, between proxies and adapters; in an answer: why it was stopped.
pub(super) const HOPS: HeaderName = HeaderName::from_static("x-soe-hops");

/// Says which activation an answer is about.
const ACTIVATION_ID: HeaderName = HeaderName::from_static("x-openwhisk-activation-id");
/// Says which request it is about.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Bodies up to this size, in bytes, need no room: over HTTP/1 there is one of each connection.
const SMALL: usize = 16 << 10;
/// Over HTTP/2, where there is one of each stream.
const SMALL_OF_STREAM: usize = 1 << 10;

/// The first headers of all answers, whose values differ.
const PLACES: usize = 2;

/// What all answers have: scripts from anywhere may ask.
static ALWAYS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let constant = HeaderValue::from_static;
    let methods = "GET, DELETE, POST, PUT, HEAD";
    let headers = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent, \
                   X-Request-Id, Idempotency-Key";
    let exposed = "X-OpenWhisk-Activation-Id, X-Request-Id, Retry-After";
    let mut all = HeaderMap::with_capacity(12);
    // Their values differ; that they have places makes it cheaper to put those there.
    all.insert(REQUEST_ID, constant(""));
    all.insert(ACTIVATION_ID, constant(""));
    all.insert(CONTENT_TYPE, constant("application/json"));
    all.insert(ACCESS_CONTROL_ALLOW_ORIGIN, constant("*"));
    all.insert(ACCESS_CONTROL_ALLOW_METHODS, constant(methods));
    all.insert(ACCESS_CONTROL_ALLOW_HEADERS, constant(headers));
    all.insert(ACCESS_CONTROL_EXPOSE_HEADERS, constant(exposed));
    all
});

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Sent,
    /// `None`: JSON.
    content_type: Option<HeaderValue>,
    activation: Option<ActivationId>,
    more: Vec<(HeaderName, HeaderValue)>,
}

/// A request cannot be answered as it was meant.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    text: String,
    more: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// `value` as JSON.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("answers have a JSON form");
        Self::raw(status, body.into(), None)
    }

    /// JSON that is written already.
    pub(super) fn written(status: StatusCode, json: Bytes) -> Self {
        Self::raw(status, json, None)
    }

    pub(super) fn text(text: &'static str) -> Self {
        Self::raw(
            StatusCode::OK,
            Bytes::from_static(text.as_bytes()),
            Some(TEXT),
        )
    }

    pub(super) fn empty() -> Self {
        Self::raw(StatusCode::OK, Bytes::new(), Some(TEXT))
    }

    /// A list that is made while it is sent.
    pub(super) fn rows(rows: Rows) -> Self {
        Self {
            body: Sent::Rows(Box::new(rows)),
            ..Self::raw(StatusCode::OK, Bytes::new(), None)
        }
    }

    /// An invocation that goes on, or whose result is to be asked for.
    pub(super) fn accepted(id: ActivationId) -> Self {
        let body = format!("{{\"activationId\":\"{id}\"}}");
        Self::written(StatusCode::ACCEPTED, body.into()).of(id)
    }

    fn raw(status: StatusCode, body: Bytes, content_type: Option<HeaderValue>) -> Self {
        Self {
            status,
            body: Sent::Whole(body),
            content_type,
            activation: None,
            more: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn of(mut self, activation: ActivationId) -> Self {
        self.activation = Some(activation);
        self
    }

    /// Without its body, of which it says how long it would be, if that is known.
    #[must_use]
    pub(super) fn bare(mut self) -> Self {
        if let Some(length) = self.body.size_hint().exact() {
            self.more.push((CONTENT_LENGTH, length.into()));
        }
        Self {
            body: Sent::Whole(Bytes::new()),
            ..self
        }
    }

    /// Takes room for the body until it has been sent. If there is none, what an action has done is
    /// not to be lost for that: its client gets the id that it can ask with. Nor is the answer about a
    /// change, for which there was room when it began.
    ///
    /// # Errors
    /// If there is no room for what was read only.
    pub(super) fn hold(mut self, room: &Arc<Semaphore>, head: &Parts) -> Result<Self, Problem> {
        let Sent::Whole(body) = &mut self.body else {
            return Ok(self);
        };
        let small = if head.version < Version::HTTP_2 {
            SMALL
        } else {
            SMALL_OF_STREAM
        };
        if body.len() <= small {
            return Ok(self);
        }
        let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        match (room.clone().try_acquire_many_owned(bytes), self.activation) {
            (Ok(room), _) => {
                *body = held(std::mem::take(body), room);
                Ok(self)
            }
            (Err(_), Some(id)) => Ok(Self::accepted(id)),
            (Err(_), None) if head.method == Method::GET => Err(Problem::no_room()),
            (Err(_), None) => Ok(self),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer with all its headers. A process that ends wants its connections closed.
    pub(super) fn response(
        self,
        transaction: HeaderValue,
        version: Version,
        is_ending: bool,
    ) -> Response<Sent> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = ALWAYS.clone();
        let headers = response.headers_mut();
        let mut transaction = Some(transaction);
        let mut activation = self.activation.map(ActivationId::header);
        // They are the first, and need not be searched for.
        for (name, place) in headers.iter_mut().take(PLACES) {
            let value = if *name == REQUEST_ID {
                transaction.take()
            } else if *name == ACTIVATION_ID {
                activation.take()
            } else {
                None
            };
            if let Some(value) = value {
                *place = value;
            }
        }
        if self.activation.is_none() {
            headers.remove(ACTIVATION_ID);
        }
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.extend(self.more);
        if is_ending && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Problem {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            more: Vec::new(),
        }
    }

    pub(super) fn bad(text: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such trigger, package, …
    pub(super) fn not_found(what: &str) -> Self {
        let text = format!("The requested resource does not exist: there is no such {what}.");
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub(super) fn not_allowed(method: &Method, allowed: &str) -> Self {
        let text = format!("{method} is not possible here; there are {allowed}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW, allowed)
    }

    pub(super) fn unauthorized() -> Self {
        let text = "The supplied authentication is invalid.";
        Self::new(StatusCode::UNAUTHORIZED, text)
            .with(WWW_AUTHENTICATE, "Basic realm=\"OpenWhisk secure realm\"")
    }

    pub(super) fn forbidden(text: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub(super) fn not_implemented(text: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, text)
    }

    pub(super) fn no_room() -> Self {
        let text = "The proxy is busy: answers that their clients have not read yet take all the \
                    memory they may.";
        Self::busy(text, Duration::from_secs(1))
    }

    /// Come back later.
    pub(super) fn busy(text: &str, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text).after(retry_after)
    }

    /// Says when to come back, in whole seconds, from 1.
    #[must_use]
    pub(super) fn after(self, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        self.with(RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// Says that the request goes in circles, and how far it has come.
    #[must_use]
    pub(super) fn gone_round(self, hops: u32) -> Self {
        self.with(HOPS, &hops.to_string())
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.more.push((name, value));
        }
        self
    }

    /// As OpenWhisk's clients read it: they need both members.
    pub(super) fn reply(self, transaction: &str) -> Reply {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            code: &'a str,
        }
        let body = Body {
            error: &self.text,
            code: transaction,
        };
        Reply {
            more: self.more,
            ..Reply::json(self.status, &body)
        }
    }
}
