//! The connection to one destination: opened once for all that wait, replaced when broken.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header, uri};
use tokio::time::Instant;
use tonic::Status;

use super::connect::{connect, explain};
use super::keepalive::{Vitals, drive};
use super::{CallError, ClientOptions, ConnectError, OURS};
use crate::frame::{self, ReadError};
use crate::{Core, Endpoint, LambdaCall, LambdaReply, timeout};

/// A destination of one core.
#[derive(Debug)]
pub(super) struct Channel {
    endpoint: Endpoint,
    uri: Uri,
    core: Core,
    options: Arc<ClientOptions>,
    /// The working connection.
    live: Mutex<Option<Live>>,
    /// Held by the call that connects; the others wait for it here. Knows when
    /// and how the last attempt failed, so that they need not try one by one.
    connecting: tokio::sync::Mutex<Option<(Instant, ConnectError)>>,
}

/// A connection that worked when last looked at.
#[derive(Debug, Clone)]
struct Live {
    requests: SendRequest<Bytes>,
    vitals: Arc<Vitals>,
    ended: Arc<OnceLock<String>>,
}

impl Channel {
    pub(super) fn new(endpoint: Endpoint, core: Core, options: Arc<ClientOptions>) -> Self {
        let scheme = if options.tls.is_some() {
            uri::Scheme::HTTPS
        } else {
            uri::Scheme::HTTP
        };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(endpoint.to_string())
            .path_and_query(edge_proto::RUN_LAMBDA_PATH)
            .build()
            .expect("an end-point is a valid authority");
        Self {
            endpoint,
            uri,
            core,
            options,
            live: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn call(&self, call: &LambdaCall) -> Result<LambdaReply, CallError> {
        let mut live = self.live().await?;
        let requests = match live.requests.clone().ready().await {
            Ok(requests) => requests,
            // The peer said good-bye since the last call: one fresh attempt.
            Err(_) => {
                self.discard(&live);
                live = self.live().await?;
                live.requests
                    .clone()
                    .ready()
                    .await
                    .map_err(|error| self.not_taken(&error))?
            }
        };
        self.exchange(requests, &live, call).await
    }

    async fn exchange(
        &self,
        mut requests: SendRequest<Bytes>,
        live: &Live,
        call: &LambdaCall,
    ) -> Result<LambdaReply, CallError> {
        let _waiting = live.vitals.waiting();
        let (response, mut stream) = requests
            .send_request(self.request(call), false)
            .map_err(|e| self.not_taken(&e))?;
        frame::send(&mut stream, call.message.clone(), true)
            .map_err(|error| self.failed(&error, live))?;
        let response = response.await.map_err(|error| self.failed(&error, live))?;
        let ours = response.headers().get(header::SERVER) == Some(&OURS);
        live.vitals.answered(ours);
        let (head, mut body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(self.invalid(format!("HTTP status {}", head.status)));
        }
        if let Some(status) = frame::status(&head.headers) {
            return Err(self.status(status));
        }
        let message = match frame::read(&mut body, self.options.limits.max_message_bytes).await {
            Ok(message) => message,
            Err(ReadError::Frame(status)) => return Err(self.invalid(status.message().to_owned())),
            Err(ReadError::Stream(error)) => return Err(self.failed(&error, live)),
        };
        let trailers = body
            .trailers()
            .await
            .map_err(|error| self.failed(&error, live))?;
        let trailers = trailers.unwrap_or_default();
        if let Some(status) = frame::status(&trailers) {
            return Err(self.status(status));
        }
        let message = message.ok_or_else(|| self.invalid("no message".to_owned()))?;
        Ok(LambdaReply {
            message,
            trailers: frame::metadata(trailers),
        })
    }

    fn request(&self, call: &LambdaCall) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        *headers = call.metadata.clone();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        let left = call
            .deadline
            .saturating_duration_since(std::time::Instant::now());
        headers.insert(timeout::GRPC_TIMEOUT, timeout::format(left));
        request
    }

    /// The working connection, opened if there is none.
    async fn live(&self) -> Result<Live, ConnectError> {
        if let Some(live) = self.lock().clone() {
            return Ok(live);
        }
        let waiting_since = Instant::now();
        let mut last_failure = self.connecting.lock().await;
        if let Some(live) = self.lock().clone() {
            return Ok(live);
        }
        if let Some((_, error)) = last_failure.as_ref().filter(|(at, _)| *at >= waiting_since) {
            return Err(error.clone());
        }
        match connect(&self.endpoint, &self.options).await {
            Ok(connected) => {
                *last_failure = None;
                Ok(self.install(connected))
            }
            Err(cause) => {
                let error = ConnectError {
                    endpoint: self.endpoint.to_string(),
                    cause: Arc::new(cause),
                };
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn install(&self, connected: super::connect::Connected) -> Live {
        let live = Live {
            requests: connected.requests,
            vitals: Arc::default(),
            ended: Arc::default(),
        };
        *self.lock() = Some(live.clone());
        let (vitals, ended) = (live.vitals.clone(), live.ended.clone());
        let options = self.options.clone();
        self.core.spawn(async move {
            let reason = drive(connected.connection, connected.pings, &vitals, &options).await;
            // Nobody else sets it.
            drop(ended.set(reason));
        });
        live
    }

    /// Forgets `broken`, unless somebody has replaced it already.
    fn discard(&self, broken: &Live) {
        let mut live = self.lock();
        if live
            .as_ref()
            .is_some_and(|live| Arc::ptr_eq(&live.vitals, &broken.vitals))
        {
            *live = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_taken(&self, error: &h2::Error) -> CallError {
        CallError::NotTaken {
            endpoint: self.endpoint.clone(),
            reason: explain(error),
        }
    }

    /// A request that had left went wrong: whose fault, and was it looked at?
    ///
    /// `h2` reports a GOAWAY on a stream only if the stream is beyond the last
    /// one that the peer took; the others fail with the connection.
    fn failed(&self, error: &h2::Error, live: &Live) -> CallError {
        let refused = error.is_reset()
            && error.is_remote()
            && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        if refused || (error.is_go_away() && error.is_remote()) {
            if !refused {
                self.discard(live);
            }
            return self.not_taken(error);
        }
        if let (true, Some(h2::Reason::CANCEL)) = (error.is_remote(), error.reason()) {
            return self.status(Status::cancelled("the peer cancelled the call"));
        }
        if !error.is_reset() {
            self.discard(live);
        }
        let reason = live.ended.get().cloned().unwrap_or_else(|| explain(error));
        CallError::Lost {
            endpoint: self.endpoint.clone(),
            reason,
        }
    }

    fn status(&self, status: Status) -> CallError {
        CallError::Status {
            endpoint: self.endpoint.clone(),
            status: Box::new(status),
        }
    }

    fn invalid(&self, reason: String) -> CallError {
        CallError::Invalid {
            endpoint: self.endpoint.clone(),
            reason,
        }
    }
}
