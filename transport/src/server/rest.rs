//! All other methods: an adapter from `h2` streams to tonic's services and back.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;

use crate::{DEFAULT_DEADLINE, frame, services, timeout};

/// How long a peer may leave what was sent to it unread.
const STALLED: Duration = Duration::from_secs(60);

/// Answers one request of `peer` by `routes`, streaming in both directions. The
/// answer has to begin within the caller's deadline, or [`DEFAULT_DEADLINE`].
/// Ends early, dropping the service's work, when the caller resets the stream.
/// The service learns the peer's address from `Request::remote_addr`.
pub(super) async fn answer(
    routes: Routes,
    peer: SocketAddr,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    drain: CancellationToken,
) {
    let patience = timeout::parse(request.headers()).unwrap_or(DEFAULT_DEADLINE);
    let until = services::ends_with_the_server(request.uri().path()).then_some(drain);
    let over = until.clone().map(CancellationToken::cancelled_owned);
    let mut request = request.map(|stream| RequestBody {
        stream,
        over: over.map(Box::pin),
        cut_short: false,
        data_done: false,
    });
    request.extensions_mut().insert(TcpConnectInfo {
        local_addr: None,
        remote_addr: Some(peer),
    });
    let answered = tokio::time::timeout(patience, routes.oneshot(request));
    let response = tokio::select! {
        biased;
        answered = answered => match answered {
            Ok(Ok(response)) => response,
            Err(_) => Status::deadline_exceeded("no answer within the deadline").into_http(),
        },
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    // An error means that the caller is gone; nobody is left to be told.
    drop(send(response, respond, until).await);
}

/// Sends an answer, the body of which ends early where `until` does.
async fn send(
    response: Response<tonic::body::Body>,
    mut respond: SendResponse<Bytes>,
    until: Option<CancellationToken>,
) -> Result<(), h2::Error> {
    let (mut head, mut body) = response.into_parts();
    head.headers
        .insert(http::header::SERVER, crate::client::OURS);
    let head = Response::from_parts(head, ());
    if body.is_end_stream() {
        return respond.send_response(head, true).map(drop);
    }
    let mut stream = respond.send_response(head, false)?;
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
            reset = poll_fn(|cx| stream.poll_reset(cx)) => return reset.map(drop),
            () = &mut over => return stream.send_trailers(leaving()),
        };
        match frame {
            None => return stream.send_data(Bytes::new(), true),
            Some(Err(status)) => {
                tracing::debug!(%status, "response body failed");
                stream.send_reset(h2::Reason::INTERNAL_ERROR);
                return Ok(());
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let stalled = Instant::now() + STALLED;
                    frame::send_as_read(&mut stream, data, stalled).await?;
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return stream.send_trailers(trailers);
                    }
                }
            },
        }
    }
}

/// What a stream ends with that outlasts the server.
fn leaving() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // It fits: there are no details in it.
    let _added = Status::unavailable("the server is leaving").add_header(&mut trailers);
    trailers
}

/// The body of a request as tonic wants it.
#[derive(Debug)]
struct RequestBody {
    stream: RecvStream,
    /// Ends the body whatever the caller does; services may wait for its end.
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    cut_short: bool,
    data_done: bool,
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
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.is_cut_short(cx) {
            return Poll::Ready(None);
        }
        if !self.data_done {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.stream.flow_control().release_capacity(data.len())?;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_done = true,
            }
        }
        let trailers: Option<HeaderMap> = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data_done && self.stream.is_end_stream()
    }
}
