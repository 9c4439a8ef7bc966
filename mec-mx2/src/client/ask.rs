//! One question to a server, on a connection of its own: they are few.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ClientError, Options};
use crate::api::client_tls;
use crate::model::{AppInfo, ContextRequest, Profile, Reply};

/// Longest list that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

/// Asks one server.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    options: Options,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Asker {
    pub(super) fn new(options: Options) -> Result<Self, ClientError> {
        let tls = if options.root.is_secure() {
            let tls = client_tls(options.ca_file.as_deref(), options.identity.as_ref());
            Some(tls.map_err(|error| ClientError::Tls(Arc::new(error)))?)
        } else {
            None
        };
        Ok(Self { options, tls })
    }

    pub(super) async fn app_list(&self) -> Result<(Profile, Vec<AppInfo>), ClientError> {
        let mut last = None;
        for profile in [Profile::Standard, Profile::Legacy] {
            let answer = self
                .ask(Method::GET, &path(profile, "app_list"), None)
                .await?;
            match answer {
                (StatusCode::OK, body) => {
                    let apps = AppInfo::read_list(&body);
                    return Ok((profile, apps.map_err(|problem| self.nonsense(problem))?));
                }
                other => last = Some(self.refused(other)),
            }
            if !matches!(&last, Some(ClientError::Refused { status, .. }) if *status == StatusCode::NOT_FOUND)
            {
                break;
            }
        }
        Err(last.unwrap_or_else(|| self.unreachable("nothing was asked")))
    }

    pub(super) async fn create(&self, request: &ContextRequest) -> Result<Reply, ClientError> {
        let path = path(request.profile, "app_contexts");
        match self
            .ask(Method::POST, &path, Some(&request.to_json()))
            .await?
        {
            (StatusCode::CREATED, body) => {
                Reply::parse(&body).map_err(|problem| self.nonsense(problem))
            }
            other => Err(self.refused(other)),
        }
    }

    /// Says again where we are notified. Returns whether the context is still there.
    pub(super) async fn update(
        &self,
        id: &str,
        request: &ContextRequest,
    ) -> Result<bool, ClientError> {
        let path = path(request.profile, &format!("app_contexts/{id}"));
        let mut body = request.to_json();
        if request.profile == Profile::Standard {
            // Required there, if the server is strict about it.
            body["contextId"] = id.into();
        }
        match self.ask(Method::PUT, &path, Some(&body)).await? {
            (status, _) if status.is_success() => Ok(true),
            (StatusCode::NOT_FOUND | StatusCode::FORBIDDEN, _) => Ok(false),
            other => Err(self.refused(other)),
        }
    }

    pub(super) async fn delete(&self, profile: Profile, id: &str) -> Result<(), ClientError> {
        let path = path(profile, &format!("app_contexts/{id}"));
        match self.ask(Method::DELETE, &path, None).await? {
            (status, _) if status.is_success() => Ok(()),
            other => Err(self.refused(other)),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let timeout: Duration = self.options.timeout;
        let asked = tokio::time::timeout(timeout, self.exchange(method, path, body)).await;
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable(&format!("nothing within {timeout:?}"))),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the caller has a time-out")]
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let root = &self.options.root;
        let endpoint = root.endpoint();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", root.path()))
            .header(header::HOST, endpoint.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.options.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body
            .map(|value| Bytes::from(value.to_string()))
            .unwrap_or_default();
        let request = request.body(Full::new(body))?;
        let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return send(TokioIo::new(stream), request).await;
        };
        let name = ServerName::try_from(endpoint.host().to_owned())?;
        let stream = TlsConnector::from(tls.clone())
            .connect(name, stream)
            .await?;
        send(TokioIo::new(stream), request).await
    }

    fn unreachable(&self, reason: &str) -> ClientError {
        ClientError::Unreachable {
            root: self.options.root.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn refused(&self, (status, body): (StatusCode, Bytes)) -> ClientError {
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let details = value.get("ProblemDetails").unwrap_or(&value);
        let detail = details.get("detail").and_then(Value::as_str);
        ClientError::Refused {
            root: self.options.root.to_string(),
            status,
            detail: detail.unwrap_or("without a reason").to_owned(),
        }
    }

    fn nonsense(&self, problem: crate::model::Problem) -> ClientError {
        ClientError::Nonsense {
            root: self.options.root.to_string(),
            problem: Box::new(problem),
        }
    }

    pub(super) fn no_app(&self, app: &str) -> ClientError {
        ClientError::NoApp {
            root: self.options.root.to_string(),
            app: app.to_owned(),
        }
    }
}

fn path(profile: Profile, resource: &str) -> String {
    match profile {
        Profile::Standard => format!("/dev_app/v1/{resource}"),
        Profile::Legacy => format!("/mx2/v1/{resource}"),
    }
}

async fn send<I>(
    io: I,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut requests, connection) = http1::handshake(io).await?;
    // Ends with the answer: the request asks for that.
    tokio::spawn(connection);
    let response = requests.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY)
        .collect()
        .await?;
    Ok((status, body.to_bytes()))
}
