//! Calls to one OpenWhisk: pooled connections, deadlines, bounded answers, faults told apart.

use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode, header};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::value::RawValue;

use super::config::{BackendConfig, BackendError};
use super::name::ActionName;
use super::wire::{Accepted, Activation, Begun, ErrorBody, Summary};
use crate::runtime::explain;

/// How long a connection may take: name, TCP, TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long connections are kept that nobody uses; less than servers do.
const IDLE: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;
/// Actions that a page of a listing has.
const PAGE: usize = 200;
/// How often a listing is begun anew that changes while it is read.
const LISTINGS: u32 = 3;
/// How long a place may take to become free, if a platform that is overloaded does not say.
const PLACE_IN: Duration = Duration::from_secs(1);
/// The header that counts nodes passed, so that requests do not go in circles.
pub const HOPS: header::HeaderName = header::HeaderName::from_static("x-soe-hops");
/// The header of answers to calls that have begun an activation, whatever became of it.
const ACTIVATION_ID: header::HeaderName =
    header::HeaderName::from_static("x-openwhisk-activation-id");
/// OpenWhisk takes the identity of its transactions from here.
const REQUEST_ID: header::HeaderName = header::HeaderName::from_static("x-request-id");

/// Calls one platform.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// Ends in a slash.
    base: String,
    authorization: Option<HeaderValue>,
    wait: Option<Duration>,
}

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// The platform cannot be reached, is broken, or is no OpenWhisk.
    #[error("{text}")]
    Platform {
        text: String,
        /// Whether an action may have been executed.
        begun: bool,
    },
    /// It works, but is not for us.
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    /// The request is at fault.
    #[error("{0}")]
    Request(String),
    #[error("{text}")]
    Overloaded { text: String, place_in: Duration },
    #[error("the deadline has passed")]
    Deadline,
}

impl Fault {
    /// What it means if the platform has begun an activation before: the function may have been
    /// executed although the status alone would say that it was not.
    fn after_it_began(self) -> Self {
        match self {
            // Nobody tries elsewhere after these.
            Self::Request(_) | Self::Deadline => self,
            Self::Platform { text, .. }
            | Self::Forbidden(text)
            | Self::NotFound(text)
            | Self::Overloaded { text, .. } => Self::Platform { text, begun: true },
        }
    }
}

/// What a blocking call has come to.
#[derive(Debug)]
pub(super) enum Invoked {
    /// It has ended.
    Done(Box<Activation>),
    /// It has ended in a failure of which nothing but the answer is known.
    Failed(Box<RawValue>),
    /// It goes on under this identity.
    Pending(String),
}

/// What a call hands on of the request that it is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing<'a> {
    pub(super) uuid: &'a str,
    pub(super) hops: u32,
}

impl Client {
    pub(super) fn new(config: &BackendConfig) -> Result<Self, BackendError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.max_in_flight as usize)
            .user_agent(concat!("edgecomputerwsk/", env!("CARGO_PKG_VERSION")));
        if let Some(certificates) = config.certificates()? {
            builder = builder.tls_certs_only(certificates);
        }
        if config.insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(Self {
            http: builder.build().map_err(BackendError::Client)?,
            base: config.base()?,
            authorization: config.authorization()?,
            wait: config.wait,
        })
    }

    fn request(&self, method: Method, path: &str, deadline: Instant) -> RequestBuilder {
        let left = deadline.saturating_duration_since(Instant::now());
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.timeout(left);
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// All actions of `namespace`, at most `max` of them.
    ///
    /// Pages overlap by one action: if another one stands there, actions came or went in between,
    /// and it is begun anew, so that none is missed.
    pub(super) async fn list(
        &self,
        namespace: &str,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<Summary>, Fault> {
        let mut tries = 0;
        'anew: loop {
            tries += 1;
            let mut all: Vec<Summary> = Vec::new();
            loop {
                let skip = all.len().saturating_sub(1);
                let path = format!("namespaces/{namespace}/actions?limit={PAGE}&skip={skip}");
                let mut page = self.page(&path, deadline).await?;
                let last_page = page.len() < PAGE;
                if let Some(last) = all.last() {
                    let key = |action: &Summary| (action.namespace.clone(), action.name.clone());
                    let joins = page.first().is_some_and(|first| key(first) == key(last));
                    if !joins && tries < LISTINGS {
                        continue 'anew;
                    }
                    if joins {
                        page.remove(0);
                    }
                }
                all.append(&mut page);
                if all.len() > max {
                    let text = format!("it has more than {max} actions (max-actions)");
                    return Err(Fault::Request(text));
                }
                if last_page {
                    return Ok(all);
                }
            }
        }
    }

    async fn page(&self, path: &str, deadline: Instant) -> Result<Vec<Summary>, Fault> {
        let (status, text) = answer(self.request(Method::GET, path, deadline)).await?;
        if status != StatusCode::OK {
            return Err(refusal(status, &text, None));
        }
        serde_json::from_str(&text).map_err(|error| Fault::Platform {
            text: format!("the answer is no list of actions: {error}"),
            begun: false,
        })
    }

    /// Calls an action and waits, as long as the platform lets it.
    pub(super) async fn invoke(
        &self,
        action: &ActionName,
        params: &RawValue,
        passing: Passing<'_>,
        deadline: Instant,
    ) -> Result<Invoked, Fault> {
        let mut path = format!("{}?blocking=true&result=false", action.path());
        if let Some(wait) = self.wait {
            path += &format!("&timeout={}", wait.as_millis());
        }
        let mut request = self
            .request(Method::POST, &path, deadline)
            .header(header::CONTENT_TYPE, "application/json")
            .header(HOPS, passing.hops)
            .body(params.get().to_owned());
        if !passing.uuid.is_empty() && HeaderValue::try_from(passing.uuid).is_ok() {
            request = request.header(REQUEST_ID, passing.uuid);
        }
        let response = request.send().await.map_err(|error| fault(&error))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let goes_round = response.headers().contains_key(HOPS);
        let has_id = response.headers().contains_key(ACTIVATION_ID);
        let text = text(response).await?;
        if status == StatusCode::ACCEPTED {
            let accepted = serde_json::from_str::<Accepted>(&text);
            return match accepted {
                Ok(accepted) if is_activation_id(&accepted.activation_id) => {
                    Ok(Invoked::Pending(accepted.activation_id))
                }
                _ => Err(Fault::Platform {
                    text: "it accepted the call without saying its activation id".to_owned(),
                    begun: true,
                }),
            };
        }
        // Failures of functions come with statuses of errors, and with the record of the execution.
        if let Ok(activation) = serde_json::from_str::<Activation>(&text) {
            return Ok(Invoked::Done(Box::new(activation)));
        }
        if status == StatusCode::BAD_GATEWAY
            && let Ok(body) = serde_json::from_str::<ErrorBody>(&text)
            && body.code.is_none()
            && body.text().is_some()
            && let Ok(result) = RawValue::from_string(text.clone())
        {
            return Ok(Invoked::Failed(result));
        }
        if status.is_success() {
            return Err(Fault::Platform {
                text: format!("its answer ({status}) is no activation"),
                begun: true,
            });
        }
        let fault = refusal(status, &text, retry_after);
        if has_id || serde_json::from_str::<Begun>(&text).is_ok() {
            return Err(fault.after_it_began());
        }
        match fault {
            // Another broker's proxy has stopped it; nothing is wrong with the platform.
            Fault::Platform { text, .. } if goes_round => Err(Fault::Request(text)),
            fault => Err(fault),
        }
    }

    /// The record of an execution; `None` while there is none.
    pub(super) async fn activation(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Activation>, Fault> {
        let path = format!("namespaces/_/activations/{id}");
        let (status, text) = answer(self.request(Method::GET, &path, deadline)).await?;
        match status {
            StatusCode::OK => {
                let activation = serde_json::from_str(&text).map_err(|error| Fault::Platform {
                    text: format!("the answer is no activation: {error}"),
                    begun: true,
                })?;
                Ok(Some(activation))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refusal(status, &text, None)),
        }
    }
}

/// It becomes part of a path.
fn is_activation_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, String), Fault> {
    let response = request.send().await.map_err(|error| fault(&error))?;
    Ok((response.status(), text(response).await?))
}

async fn text(mut response: Response) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Err(Fault::Platform {
                text: format!("its answer has more than {MAX_ANSWER} bytes"),
                begun: true,
            });
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn fault(error: &reqwest::Error) -> Fault {
    if error.is_timeout() && !error.is_connect() {
        return Fault::Deadline;
    }
    Fault::Platform {
        text: explain(error),
        begun: !error.is_connect(),
    }
}

/// What it means that the platform does not do what it was asked for.
fn refusal(status: StatusCode, text: &str, retry_after: Option<Duration>) -> Fault {
    let said = serde_json::from_str::<ErrorBody>(text)
        .unwrap_or_default()
        .text();
    let text = match said {
        Some(said) => format!("{status}: {said}"),
        None => status.to_string(),
    };
    match status {
        StatusCode::NOT_FOUND => Fault::NotFound(text),
        StatusCode::TOO_MANY_REQUESTS => Fault::Overloaded {
            text,
            place_in: retry_after.unwrap_or(PLACE_IN),
        },
        StatusCode::FORBIDDEN => Fault::Forbidden(text),
        StatusCode::UNAUTHORIZED
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::NOT_IMPLEMENTED => Fault::Platform { text, begun: false },
        status if status.is_client_error() => Fault::Request(text),
        status => Fault::Platform {
            text,
            begun: !status.is_redirection(),
        },
    }
}
