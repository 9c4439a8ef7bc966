//! All other methods: an adapter from streams to tonic's services and back.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use quinn::WriteError;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceExt as _;

use super::super::within;
use super::answer::STALLED;
use super::server::{Other, Place};
use super::streams::{Piece, Receiving, Sending};
use super::{code, say};
use crate::http2::head;
use crate::timeout as grpc_timeout;
use crate::{DEFAULT_DEADLINE, LambdaService, services};

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    CutOff,
}

/// The peer does not want the answer any more, or cannot be reached.
struct Gone;

impl From<WriteError> for Gone {
    fn from(_: WriteError) -> Self {
        Self
    }
}

/// Answers by tonic's services, streaming in both directions, as over HTTP/2, for as long as somebody
/// wants to know.
pub(super) async fn answer<S: LambdaService>(
    other: Other<S>,
    request: Request<()>,
    mut sending: Sending,
    receiving: Receiving,
) {
    let place = &other.0;
    let attended = async {
        let heard = sending.heard();
        let mut heard = pin!(heard);
        let end = tokio::select! {
            biased;
            answered = respond(place.clone(), request, &mut sending, receiving) => answered,
            () = &mut heard => Err(Gone),
        };
        match end {
            // Until the peer has all of it, a server that leaves would cut it off.
            Ok(End::Finished) => heard.await,
            Ok(End::CutOff) => {}
            Err(Gone) => {
                sending.cut_off(code::REQUEST_CANCELLED);
                place.count_given_up();
            }
        }
    };
    tokio::select! {
        biased;
        () = place.gone.cancelled() => {}
        () = attended => {}
    }
}

async fn respond<S: LambdaService>(
    place: std::sync::Arc<Place<S>>,
    request: Request<()>,
    sending: &mut Sending,
    receiving: Receiving,
) -> Result<End, Gone> {
    let patience = grpc_timeout::of(request.headers()).unwrap_or(DEFAULT_DEADLINE);
    let path = request.uri().path().to_owned();
    let ends = services::ends_with_the_server(&path);
    let until = ends.then(|| place.shared.drain.clone());
    let over = until.clone().map(CancellationToken::cancelled_owned);
    let routes = place.shared.server.routes.clone();
    let address = place.address;
    let mut request = request.map(|()| RequestBody {
        place,
        receiving,
        over: over.map(Box::pin),
        is_done: false,
    });
    request.extensions_mut().insert(TcpConnectInfo {
        local_addr: None,
        remote_addr: Some(address),
    });
    let response = match timeout(patience, routes.oneshot(request)).await {
        Ok(Ok(response)) => services::explained(response, &path),
        Err(_) => Status::deadline_exceeded("no answer within the deadline").into_http(),
    };
    send(response, sending, until).await
}

/// Sends an answer, the body of which ends early where `until` does.
async fn send(
    response: Response<tonic::body::Body>,
    sending: &mut Sending,
    until: Option<CancellationToken>,
) -> Result<End, Gone> {
    let (mut head, mut body) = response.into_parts();
    let signature = HeaderValue::from_static(crate::client::OURS);
    head.headers.insert(http::header::SERVER, signature);
    write(sending, [say::head(head.status, &head.headers)]).await?;
    let mut over = pin!(services::until(until));
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut over => {
                write(sending, [say::trailers(&services::leaving())]).await?;
                break;
            }
        };
        match frame {
            None => break,
            Some(Err(status)) => {
                tracing::debug!(%status, "response body failed");
                sending.cut_off(code::INTERNAL_ERROR);
                return Ok(End::CutOff);
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => write(sending, [say::data_head(data.len()), data]).await?,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        write(sending, [say::trailers(&trailers)]).await?;
                        break;
                    }
                }
            },
        }
    }
    sending.finish();
    Ok(End::Finished)
}

/// Waits until the peer has made room: a slow reader holds back the service instead of filling our
/// memory. One that takes too long is given up.
async fn write<const N: usize>(sending: &mut Sending, mut pieces: [Bytes; N]) -> Result<(), Gone> {
    let written = within(STALLED, sending.write(&mut pieces)).await;
    Ok(written.ok_or(Gone)??)
}

/// The body of a request as tonic wants it.
struct RequestBody<S> {
    place: std::sync::Arc<Place<S>>,
    receiving: Receiving,
    /// Ends the body whatever the caller does; services may wait for its end.
    over: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    is_done: bool,
}

/// The body of a request has ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request has not come as a whole")]
struct CutShort;

impl<S: LambdaService> Body for RequestBody<S> {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if let Some(over) = &mut self.over
            && over.as_mut().poll(cx).is_ready()
        {
            self.over = None;
            self.is_done = true;
        }
        if self.is_done {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let read = ready!(this.receiving.poll_next(cx, &this.place.held));
        let read = read.and_then(|piece| match piece {
            Some(Piece::Data(data)) => Ok(Some(Frame::data(data))),
            Some(Piece::Fields(section)) => {
                let trailers = self.place.room.trailers(&section, head::header_map)?;
                Ok(Some(Frame::trailers(trailers)))
            }
            None => Ok(None),
        });
        self.is_done = !matches!(read, Ok(Some(_)));
        Poll::Ready(match read {
            Ok(frame) => frame.map(Ok),
            Err(broken) => {
                let code = self.place.give_up(&broken);
                self.receiving.stop(code);
                Some(Err(CutShort))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}
