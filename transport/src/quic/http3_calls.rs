//! The client's side of gRPC over HTTP/3.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use h3::client::SendRequest;
use h3::error::{Code as H3Code, StreamError};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use quinn::Connection;
use tokio::time::timeout_at;
use tonic::{Code, Status};

use super::calls::NotBegun;
use super::held::{Booked, Held};
use super::http3::{framed, headers_of, metadata};
use super::http3_places::Places;
use super::http3_streams::{Opener, Streams};
use super::watch::Watched;
use crate::client::{ConnectCause, OURS};
use crate::http2::Failure;
use crate::http2::message::Message;
use crate::timeout as grpc_timeout;
use crate::{Core, Endpoint, LambdaReply, Limits, Metadata};

/// A connection to a server that speaks HTTP/3.
pub(crate) struct Http3 {
    connection: Connection,
    requests: SendRequest<Opener, Bytes>,
    places: Places,
    pub(super) watched: Arc<Watched>,
    held: Held,
    authority: http::uri::Authority,
    max_message: usize,
}

impl std::fmt::Debug for Http3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http3")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl Http3 {
    pub(super) async fn new(
        connection: Connection,
        endpoint: &Endpoint,
        limits: &Limits,
        core: &Core,
    ) -> Result<Self, ConnectCause> {
        let mut builder = h3::client::builder();
        builder
            .max_field_section_size(limits.max_header_bytes.into())
            .send_grease(false);
        let streams = Streams::new(connection.clone(), limits);
        let places = streams.places();
        let (mut driver, requests) = builder
            .build(streams)
            .await
            .map_err(|error| ConnectCause::Quic(error.to_string()))?;
        core.spawn(async move { driver.wait_idle().await });
        Ok(Self {
            connection,
            requests,
            places,
            watched: Arc::default(),
            held: Held::new(limits),
            authority: endpoint
                .authority()
                .parse()
                .expect("an end-point is a valid authority"),
            max_message: limits.max_message_bytes,
        })
    }

    /// Whether the connection takes no more calls.
    pub(crate) fn is_leaving(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Sends a request and waits for its answer until `deadline`. Dropping the future cancels the
    /// call at the server.
    pub(crate) async fn call(
        &self,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Result<LambdaReply, Failure>, NotBegun> {
        let Some(_under_way) = self.watched.begin() else {
            return Err(NotBegun);
        };
        let asking = self.ask(message, metadata, deadline);
        match timeout_at(deadline.into(), asking).await {
            Ok(answered) => answered,
            Err(_) => Ok(Err(Failure::Deadline)),
        }
    }

    async fn ask(
        &self,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Result<LambdaReply, Failure>, NotBegun> {
        let Ok(place) = self.connection.open_bi().await else {
            return Err(NotBegun);
        };
        // It may have taken a while until there was a place.
        let patience = deadline.saturating_duration_since(Instant::now());
        let patience = grpc_timeout::Text::of(patience);
        let uri = http::Uri::builder()
            .scheme("https")
            .authority(self.authority.clone())
            .path_and_query(edge_proto::RUN_LAMBDA_PATH)
            .build()
            .expect("its parts are valid");
        let mut request = Request::post(uri).body(()).expect("its parts are valid");
        let headers = request.headers_mut();
        *headers = headers_of(metadata);
        headers.insert("te", HeaderValue::from_static("trailers"));
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert(http::header::CONTENT_TYPE, grpc);
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(OURS));
        if let Ok(patience) = HeaderValue::from_bytes(patience.as_bytes()) {
            headers.insert(grpc_timeout::GRPC_TIMEOUT, patience);
        }
        self.places.put(place);
        let sent = self.requests.clone().send_request(request).await;
        if sent.is_err() {
            self.places.give_up();
        }
        let mut stream = match sent {
            Ok(stream) => stream,
            Err(StreamError::RemoteClosing { .. } | StreamError::ConnectionError { .. }) => {
                return Err(NotBegun);
            }
            Err(error) => return Ok(Err(self.failure(&error))),
        };
        for piece in framed(message) {
            match stream.send_data(piece).await {
                Ok(()) => {}
                // The server does not want all of it; it says why on its side.
                Err(StreamError::RemoteTerminate { .. }) => break,
                Err(error) => return Ok(Err(self.failure(&error))),
            }
        }
        // It fails where the server wants no more.
        stream.finish().await.ok();
        let head = match stream.recv_response().await {
            Ok(head) => head,
            Err(error) => return Ok(Err(self.failure(&error))),
        };
        if head.status() != StatusCode::OK {
            let code = head.status();
            return Ok(Err(Failure::Invalid(format!("HTTP status {code}"))));
        }
        if let Some(status) = Status::from_header_map(head.headers()) {
            return Ok(refused(status));
        }
        let mut answer = Message::default();
        let mut booked = Booked::nothing(&self.held);
        let read = loop {
            match stream.recv_data().await {
                Err(error) => break Err(self.failure(&error)),
                Ok(None) => break Ok(()),
                Ok(Some(mut data)) => {
                    let more = data.remaining();
                    if !booked.more(more) {
                        break Err(Failure::Invalid("too much is on its way".to_owned()));
                    }
                    if let Err(status) = answer.add(&data.copy_to_bytes(more), self.max_message) {
                        break Err(Failure::Invalid(status.message().to_owned()));
                    }
                }
            }
        };
        drop(booked);
        if let Err(failure) = read {
            return Ok(Err(failure));
        }
        let trailers = match stream.recv_trailers().await {
            Ok(trailers) => trailers.unwrap_or_default(),
            Err(error) => return Ok(Err(self.failure(&error))),
        };
        Ok(reply(answer, &trailers))
    }

    fn failure(&self, error: &StreamError) -> Failure {
        match error {
            StreamError::RemoteTerminate { code, .. } if *code == H3Code::H3_REQUEST_REJECTED => {
                Failure::NotTaken("it rejects the request".to_owned())
            }
            StreamError::HeaderTooBig { .. } => Failure::Invalid(error.to_string()),
            _ => {
                let reason = self.watched.reason();
                Failure::Lost(reason.map_or_else(|| error.to_string(), str::to_owned))
            }
        }
    }
}

impl Drop for Http3 {
    fn drop(&mut self) {
        // Nobody is left to ask anything, and no call is under way.
        self.connection.close(
            quinn::VarInt::from_u32(H3Code::H3_NO_ERROR.value() as u32),
            b"",
        );
    }
}

fn refused(status: Status) -> Result<LambdaReply, Failure> {
    match status.code() {
        Code::Ok => Err(Failure::Invalid("the answer has no message".to_owned())),
        _ => Err(Failure::Status(Box::new(status))),
    }
}

fn reply(answer: Message, trailers: &HeaderMap) -> Result<LambdaReply, Failure> {
    match Status::from_header_map(trailers) {
        None => return Err(Failure::Invalid("the answer has no grpc-status".to_owned())),
        Some(status) if status.code() != Code::Ok => return refused(status),
        Some(_) => {}
    }
    match answer.end() {
        Ok(Some(message)) => Ok(LambdaReply {
            message,
            trailers: metadata(trailers),
        }),
        Ok(None) => Err(Failure::Invalid("the answer has no message".to_owned())),
        Err(status) => Err(Failure::Invalid(status.message().to_owned())),
    }
}
