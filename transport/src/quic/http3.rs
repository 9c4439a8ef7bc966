//! The server's side of gRPC over HTTP/3: lambdas to the lambda service, all else to tonic's.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use h3::error::{Code, StreamError};
use h3::server::{RequestResolver, RequestStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use quinn::Connection;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;

use super::heard::until_heard;
use super::held::{Booked, Held};
use super::http3_streams::{Receiving, Sending, Stopped, Stream, Streams};
use super::native::LEAST_GIVEN_UP;
use super::seen::Seen;
use crate::http2::budget::Budget;
use crate::http2::hpack::Name;
use crate::http2::message::{Message, PREFIX};
use crate::server::{FAREWELL, Shared, number};
use crate::timeout as grpc_timeout;
use crate::{
    Core, DEFAULT_DEADLINE, LambdaCall, LambdaReply, LambdaService, Metadata, Peer, services,
};

/// How long a peer may leave what was sent to it unread.
const STALLED: Duration = Duration::from_secs(60);
/// Longest deadline that is told from "never", so that sums do not overflow.
const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Messages up to this size leave in one piece with what stands in front of them.
const ONE_PIECE: usize = 2 << 10;

type Resolver = RequestResolver<Streams, Bytes>;
type Both = RequestStream<Stream, Bytes>;

/// Serves one connection until its peer closes it or the server drains. Nothing is looked at before
/// `established` has ended with success: what came earlier may be a replay.
pub(super) async fn serve<S: LambdaService>(
    connection: &Connection,
    established: impl Future<Output = bool>,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    if !established.await {
        return;
    }
    let limits = &shared.server.limits;
    let mut builder = h3::server::builder();
    builder
        .max_field_section_size(limits.max_header_bytes.into())
        .send_grease(false);
    let streams = Streams::new(connection.clone(), limits);
    let interest = streams.interest();
    let building = builder.build(streams);
    let Ok(Ok(mut requests)) = timeout(limits.handshake_timeout, building).await else {
        return;
    };
    let place = Arc::new(Place {
        shared: shared.clone(),
        core: core.clone(),
        address: peer,
        peer: Peer {
            host: peer.ip().to_canonical(),
            connection: number(),
        },
        held: Held::new(limits),
        running: AtomicUsize::new(0),
        given_up: Mutex::new(Budget::new(
            limits.max_concurrent_streams.max(LEAST_GIVEN_UP),
            Instant::now(),
        )),
        gone: CancellationToken::new(),
    });
    // Nobody waits for answers on a connection that has ended.
    let _ends_all = place.gone.clone().drop_guard();
    let mut seen = Seen::at(connection);
    // The library waits for the peer to leave, too, which it need not do.
    let mut left = pin!(async {
        shared.drain.cancelled().await;
        sleep(FAREWELL).await;
        until_heard(connection, || place.running.load(Ordering::Relaxed) > 0).await;
    });
    let mut is_leaving = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.drain.cancelled(), if !is_leaving => {
                is_leaving = true;
                // It says GOAWAY; who cannot be told is gone.
                if requests.shutdown(0).await.is_err() {
                    return;
                }
                continue;
            }
            () = &mut left => break,
            accepted = requests.accept() => accepted,
        };
        match accepted {
            Ok(Some(resolver)) => {
                seen.look(connection, &shared.server.quic_counters);
                let running = Running::begin(&place);
                let (stopped, connection) = (interest.take(), connection.clone());
                core.spawn(async move {
                    let given_up = running.0.attend(resolver, stopped).await.is_err();
                    if given_up && !running.0.may_give_up() {
                        let code = Code::H3_EXCESSIVE_LOAD.value() as u32;
                        connection.close(code.into(), b"too many requests are given up");
                    }
                });
            }
            Ok(None) => break,
            Err(_) => return,
        }
    }
    // The peer closes when it has read the last answer; closing before would lose what is on its way.
    let _closed = timeout(FAREWELL, connection.closed()).await;
}

/// Where the requests of one connection are answered.
struct Place<S> {
    shared: Arc<Shared<S>>,
    core: Core,
    address: SocketAddr,
    peer: Peer,
    held: Held,
    /// Requests that are being answered, or whose answers are on their way.
    running: AtomicUsize,
    /// How many more the peer may give up.
    given_up: Mutex<Budget>,
    /// Cancelled when the connection has ended.
    gone: CancellationToken,
}

/// A request that is being answered.
struct Running<S>(Arc<Place<S>>);

impl<S> Running<S> {
    fn begin(place: &Arc<Place<S>>) -> Self {
        place.running.fetch_add(1, Ordering::Relaxed);
        Self(place.clone())
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    CutOff,
}

/// The peer does not want the answer any more, or cannot be reached.
struct Gone;

impl From<StreamError> for Gone {
    fn from(_: StreamError) -> Self {
        Self
    }
}

impl<S: LambdaService> Place<S> {
    /// Answers, for as long as somebody wants to know.
    async fn attend(&self, resolver: Resolver, stopped: Option<Stopped>) -> Result<(), Gone> {
        let attended = async {
            let Some(mut stopped) = stopped else {
                return self.answer(resolver).await.map(drop);
            };
            let end = tokio::select! {
                biased;
                answered = self.answer(resolver) => answered?,
                _ = &mut stopped => return Err(Gone),
            };
            if end == End::Finished {
                // Until the peer has all of it, a server that leaves would cut it off.
                let _heard = stopped.await;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Ok(()),
            attended = attended => attended,
        }
    }

    async fn answer(&self, resolver: Resolver) -> Result<End, Gone> {
        // What is no request is answered by the library, if at all.
        let Ok(Ok((request, stream))) = timeout(DEFAULT_DEADLINE, resolver.resolve_request()).await
        else {
            return Err(Gone);
        };
        match &self.shared.server.lambda {
            Some(lambda) if request.uri().path() == S::METHOD => {
                self.lambda(lambda, &request, stream).await?;
                Ok(End::Finished)
            }
            _ => self.other(request, stream).await,
        }
    }

    /// False if the peer has given up more than anybody has reason to.
    fn may_give_up(&self) -> bool {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.take(Instant::now())
    }

    async fn lambda(
        &self,
        lambda: &Arc<S>,
        request: &Request<()>,
        mut stream: Both,
    ) -> Result<(), Gone> {
        if let Err(code) = check(request) {
            let mut response = Response::new(());
            *response.status_mut() = code;
            stream.send_response(response).await?;
            return Ok(stream.finish().await?);
        }
        let patience = grpc_timeout::of(request.headers()).unwrap_or(DEFAULT_DEADLINE);
        let deadline = Instant::now() + patience.min(MAX_PATIENCE);
        let message = timeout_at(deadline.into(), self.message(&mut stream)).await;
        let message = message.unwrap_or_else(|_| {
            Ok(Err(Status::deadline_exceeded(
                "the request did not arrive in time",
            )))
        })?;
        let answer = match message {
            Err(status) => Err(status),
            // What was booked for it is kept until the answer is there.
            Ok((message, _booked)) => {
                let call = LambdaCall {
                    message,
                    metadata: metadata(request.headers()),
                    deadline,
                };
                lambda.run(&self.core, self.peer, call).await
            }
        };
        super::within(STALLED, say(&mut stream, answer))
            .await
            .unwrap_or(Err(Gone))
    }

    /// The only message of a unary call.
    async fn message(
        &self,
        stream: &mut Both,
    ) -> Result<Result<(Bytes, Booked<'_>), Status>, Gone> {
        let limit = self.shared.server.limits.max_message_bytes;
        let mut message = Message::default();
        let mut booked = Booked::nothing(&self.held);
        loop {
            let Some(mut data) = stream.recv_data().await? else {
                return Ok(message.end().and_then(|message| {
                    let message =
                        message.ok_or_else(|| Status::internal("the request has no message"))?;
                    Ok((message, booked.come()))
                }));
            };
            let more = data.remaining();
            if !booked.more(more) {
                let text = "too much of other messages is held for this connection";
                return Ok(Err(Status::resource_exhausted(text)));
            }
            if let Err(status) = message.add(&data.copy_to_bytes(more), limit) {
                return Ok(Err(status));
            }
        }
    }

    /// Answers by tonic's services, streaming in both directions, as over HTTP/2.
    async fn other(&self, request: Request<()>, stream: Both) -> Result<End, Gone> {
        let patience = grpc_timeout::of(request.headers()).unwrap_or(DEFAULT_DEADLINE);
        let drain = &self.shared.drain;
        let ends = services::ends_with_the_server(request.uri().path());
        let until = ends.then(|| drain.clone());
        let (sending, receiving) = stream.split();
        let over = until.clone().map(CancellationToken::cancelled_owned);
        let mut request = request.map(|()| RequestBody {
            stream: receiving,
            over: over.map(Box::pin),
            is_done: false,
        });
        request.extensions_mut().insert(TcpConnectInfo {
            local_addr: None,
            remote_addr: Some(self.address),
        });
        let routes = self.shared.server.routes.clone();
        let response = match timeout(patience, routes.oneshot(request)).await {
            Ok(Ok(response)) => response,
            Err(_) => Status::deadline_exceeded("no answer within the deadline").into_http(),
        };
        send(response, sending, until).await
    }
}

/// What the gRPC specification asks of every request.
fn check(request: &Request<()>) -> Result<(), StatusCode> {
    if request.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(())
}

/// Metadata that travels on: all but what belongs to one hop or to the frame.
pub(super) fn metadata(headers: &HeaderMap) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in headers {
        let name = name.as_str().as_bytes();
        if Name::of(name) == Name::Other {
            metadata.push(name, value.as_bytes());
        }
    }
    metadata
}

/// A message with what stands in front of it, in one piece if it is small.
pub(super) fn framed(pieces: &[Bytes]) -> Vec<Bytes> {
    let size: usize = pieces.iter().map(Bytes::len).sum();
    let together = size <= ONE_PIECE;
    let mut first = Vec::with_capacity(PREFIX + if together { size } else { 0 });
    first.push(0);
    // Messages are far from 4 GB.
    first.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    if together {
        pieces
            .iter()
            .for_each(|piece| first.extend_from_slice(piece));
        return vec![first.into()];
    }
    let mut framed = vec![first.into()];
    framed.extend(pieces.iter().cloned());
    framed
}

async fn say(stream: &mut Both, answer: Result<LambdaReply, Status>) -> Result<(), Gone> {
    let signature = HeaderValue::from_static(crate::client::OURS);
    let reply = match answer {
        Ok(reply) => reply,
        Err(status) => {
            let mut response = status.into_http::<()>();
            response
                .headers_mut()
                .insert(http::header::SERVER, signature);
            stream.send_response(response).await?;
            return Ok(stream.finish().await?);
        }
    };
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(http::header::SERVER, signature);
    stream.send_response(response).await?;
    for piece in framed(&[reply.message]) {
        stream.send_data(piece).await?;
    }
    let mut trailers = headers_of(&reply.trailers);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers).await?;
    Ok(stream.finish().await?)
}

/// Metadata as header fields.
pub(super) fn headers_of(metadata: &Metadata) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in metadata.iter() {
        // They were checked when they came.
        if let (Ok(name), Ok(value)) = (
            name.parse::<http::HeaderName>(),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

/// Sends an answer, the body of which ends early where `until` does.
async fn send(
    response: Response<tonic::body::Body>,
    mut stream: RequestStream<Sending, Bytes>,
    until: Option<CancellationToken>,
) -> Result<End, Gone> {
    let (mut head, mut body) = response.into_parts();
    let signature = HeaderValue::from_static(crate::client::OURS);
    head.headers.insert(http::header::SERVER, signature);
    stream.send_response(Response::from_parts(head, ())).await?;
    let over = async {
        match &until {
            Some(until) => until.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let mut over = pin!(over);
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut over => {
                let mut trailers = HeaderMap::new();
                // It fits: there are no details in it.
                let _added = Status::unavailable("the server is leaving").add_header(&mut trailers);
                stream.send_trailers(trailers).await?;
                break;
            }
        };
        match frame {
            None => break,
            Some(Err(status)) => {
                tracing::debug!(%status, "response body failed");
                stream.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
                return Ok(End::CutOff);
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let sent = super::within(STALLED, stream.send_data(data)).await;
                    sent.ok_or(Gone)??;
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        stream.send_trailers(trailers).await?;
                        break;
                    }
                }
            },
        }
    }
    stream.finish().await?;
    Ok(End::Finished)
}

/// The body of a request as tonic wants it.
struct RequestBody {
    stream: RequestStream<Receiving, Bytes>,
    /// Ends the body whatever the caller does; services may wait for its end.
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    is_done: bool,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        if let Some(over) = &mut self.over
            && over.as_mut().poll(cx).is_ready()
        {
            self.over = None;
            self.is_done = true;
        }
        if self.is_done {
            return Poll::Ready(None);
        }
        let read = ready!(self.stream.poll_recv_data(cx));
        let read = read.map(|data| data.map(|mut data| data.copy_to_bytes(data.remaining())));
        self.is_done = !matches!(read, Ok(Some(_)));
        Poll::Ready(read.transpose().map(|read| read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}
