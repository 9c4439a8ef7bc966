//! One attempt: a POST, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};

use super::Settings;
use super::connect::connect;
use super::host::{Connection, Host};
use crate::model::CallbackUri;

/// What of the body of an answer is read, so that the connection can be used again, and how long
/// that may take: mostly it has come with the head, and nothing depends on it.
const MAX_BODY: usize = 16 << 10;
const BODY_WITHIN: Duration = Duration::from_millis(100);

/// What is to be sent, and on whose behalf.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) callback: &'a CallbackUri,
    pub(super) body: Bytes,
    /// The address that the context was created from.
    pub(super) address: &'a Arc<str>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// 2xx.
    Taken,
    /// 410: the context may go.
    Gone,
    /// Any other status. The receiver may not know its context yet, or be unwell.
    Refused(String),
    /// No answer.
    Failed(String),
    /// It is not to be sent there.
    Forbidden(String),
}

impl Answer {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Forbidden(_) => "forbidden",
        }
    }
}

impl Post<'_> {
    pub(super) async fn send(&self, host: &Host, settings: &Settings) -> Answer {
        // A connection that was kept may have been closed in the meantime: then a new one
        // is opened. Nothing is lost if a notification arrives twice.
        while let Some(connection) = host.take_idle() {
            let answer = self.send_on(connection, host).await;
            if !matches!(answer, Answer::Failed(_)) {
                return answer;
            }
        }
        match connect(self, host, settings).await {
            Ok(connection) => self.send_on(connection, host).await,
            Err(answer) => answer,
        }
    }

    async fn send_on(&self, mut connection: Connection, host: &Host) -> Answer {
        let keep = host.is_wanted();
        let request = match self.request(keep) {
            Ok(request) => request,
            Err(error) => return Answer::Forbidden(error.to_string()),
        };
        if let Err(error) = connection.ready().await {
            return Answer::Failed(error.to_string());
        }
        let response = match connection.send_request(request).await {
            Ok(response) => response,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let status = response.status();
        if keep {
            let body = Limited::new(response.into_body(), MAX_BODY);
            let rest = async { body.collect().await.is_ok() && connection.ready().await.is_ok() };
            if tokio::time::timeout(BODY_WITHIN, rest).await == Ok(true) {
                host.keep(connection);
            }
        }
        match status {
            status if status.is_success() => Answer::Taken,
            StatusCode::GONE => Answer::Gone,
            status => Answer::Refused(format!("the receiver answers {status}")),
        }
    }

    fn request(&self, keep: bool) -> http::Result<Request<Full<Bytes>>> {
        let uri = self.callback.uri();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let request = Request::post(path.parse::<Uri>()?)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("mec-mx2/", env!("CARGO_PKG_VERSION")),
            );
        let request = if keep {
            request
        } else {
            request.header(header::CONNECTION, "close")
        };
        request.body(Full::new(self.body.clone()))
    }
}
