//! All other methods: an adapter from streams of a connection to tonic's services and back.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;

use crate::http2::{Gone, Reason};
use crate::link::Shared;
use crate::timeout as grpc_timeout;
use crate::{DEFAULT_DEADLINE, services};

/// How long a peer may leave what was sent to it unread.
const STALLED: Duration = Duration::from_secs(60);

/// A stream of the peer, which ends when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Stream {
    link: Arc<Shared>,
    id: u32,
}

impl Stream {
    pub(super) fn new(link: Arc<Shared>, id: u32) -> Arc<Self> {
        Arc::new(Self { link, id })
    }

    async fn gone(&self) {
        poll_fn(|cx| self.link.lock().poll_gone(self.id, cx)).await;
    }

    fn respond(&self, head: &http::response::Parts, is_all: bool) {
        let status = head.status.as_u16();
        self.link
            .with(|connection| connection.respond(self.id, status, &head.headers, is_all));
    }

    /// Sends data, and waits until the peer has made room for it: a slow reader holds back the
    /// service instead of filling our memory. One that takes too long is given up.
    async fn send(&self, data: Bytes) -> Result<(), Gone> {
        self.link
            .with(|connection| connection.send_data(self.id, data));
        self.sent().await
    }

    /// Waits until all has left that was to be sent.
    async fn sent(&self) -> Result<(), Gone> {
        let sent = poll_fn(|cx| self.link.lock().poll_sent(self.id, cx));
        match timeout(STALLED, sent).await {
            Ok(sent) => sent,
            Err(_) => {
                self.give_up(Reason::CANCEL);
                Err(Gone)
            }
        }
    }

    fn end(&self, trailers: Option<&HeaderMap>) {
        self.link
            .with(|connection| connection.send_end(self.id, trailers));
    }

    fn give_up(&self, reason: Reason) {
        self.link
            .with(|connection| connection.release(self.id, reason));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.give_up(Reason::CANCEL);
    }
}

/// Answers one request of `peer` by `routes`, streaming in both directions. The
/// answer has to begin within the caller's deadline, or [`DEFAULT_DEADLINE`].
/// Ends early, dropping the service's work, when the caller resets the stream.
/// The service learns the peer's address from `Request::remote_addr`.
pub(super) async fn answer(
    routes: Routes,
    peer: SocketAddr,
    request: Request<()>,
    stream: Arc<Stream>,
    drain: CancellationToken,
) {
    let patience = grpc_timeout::of(request.headers()).unwrap_or(DEFAULT_DEADLINE);
    let path = request.uri().path().to_owned();
    let until = services::ends_with_the_server(&path).then_some(drain);
    let over = until.clone().map(CancellationToken::cancelled_owned);
    let mut request = request.map(|()| RequestBody {
        stream: stream.clone(),
        over: over.map(Box::pin),
        cut_short: false,
        is_done: false,
    });
    request.extensions_mut().insert(TcpConnectInfo {
        local_addr: None,
        remote_addr: Some(peer),
    });
    let answered = timeout(patience, routes.oneshot(request));
    let response = tokio::select! {
        biased;
        answered = answered => match answered {
            Ok(Ok(response)) => services::explained(response, &path),
            Err(_) => Status::deadline_exceeded("no answer within the deadline").into_http(),
        },
        () = stream.gone() => return,
    };
    // An error means that the caller is gone; nobody is left to be told.
    let _gone = send(response, &stream, until).await;
}

/// Sends an answer, the body of which ends early where `until` does.
async fn send(
    response: Response<tonic::body::Body>,
    stream: &Stream,
    until: Option<CancellationToken>,
) -> Result<(), Gone> {
    let (mut head, mut body) = response.into_parts();
    let signature = HeaderValue::from_static(crate::client::OURS);
    head.headers.insert(http::header::SERVER, signature);
    let is_all = body.is_end_stream();
    stream.respond(&head, is_all);
    if is_all {
        return Ok(());
    }
    let mut over = pin!(services::until(until));
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = stream.gone() => return Err(Gone),
            () = &mut over => {
                stream.end(Some(&services::leaving()));
                return stream.sent().await;
            }
        };
        match frame {
            None => {
                stream.end(None);
                return stream.sent().await;
            }
            Some(Err(status)) => {
                tracing::debug!(%status, "response body failed");
                stream.give_up(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => stream.send(data).await?,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        stream.end(Some(&trailers));
                        return stream.sent().await;
                    }
                }
            },
        }
    }
}

/// The body of a request as tonic wants it.
#[derive(Debug)]
struct RequestBody {
    stream: Arc<Stream>,
    /// Ends the body whatever the caller does; services may wait for its end.
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    cut_short: bool,
    is_done: bool,
}

impl RequestBody {
    fn is_cut_short(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(over) = &mut self.over
            && over.as_mut().poll(cx).is_ready()
        {
            self.over = None;
            self.cut_short = true;
        }
        self.cut_short
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        if self.is_done || self.is_cut_short(cx) {
            return Poll::Ready(None);
        }
        let Stream { link, id } = &*self.stream;
        let read = link.lock().poll_data(*id, cx);
        if let Some(read) = ready!(read) {
            return Poll::Ready(Some(read.map(Frame::data)));
        }
        let trailers = link.lock().take_trailers(*id);
        self.is_done = true;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}
