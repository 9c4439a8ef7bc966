//! The client's side of gRPC over HTTP/3.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use quinn::{Connection, ConnectionError, StreamId, VarInt, WriteError};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::super::calls::NotBegun;
use super::super::held::Held;
use super::super::watch::Watched;
use super::arriving::Arriving;
use super::ask::Asking;
use super::code::{self, Fault};
use super::control::{self, Said, Side};
use super::room::Room;
use super::streams::{Broken, Piece, Receiving, Sending};
use super::{frame, most_in_a_frame};
use crate::client::ConnectCause;
use crate::http2::hpack::Name;
use crate::http2::{Failure, Fields, head};
use crate::timeout::Text;
use crate::{Core, Endpoint, LambdaReply, Limits, Metadata};

/// A connection to a server that speaks HTTP/3.
#[derive(Debug)]
pub(crate) struct Http3 {
    connection: Connection,
    pub(in crate::quic) watched: Arc<Watched>,
    said: Arc<Said>,
    /// When it was ready: no call has been sent before.
    since: Instant,
    asking: Asking,
    held: Arc<Held>,
    room: Box<Room>,
    max_message: usize,
    max_frame: u64,
}

/// What is said on the stream of an answer.
enum Head {
    /// A message is to come, of so many bytes with what stands in front of it if they were announced.
    Good(Option<u64>),
    /// The answer is still to come.
    Informational,
}

impl Http3 {
    pub(in crate::quic) async fn new(
        connection: Connection,
        endpoint: &Endpoint,
        limits: &Limits,
        core: &Core,
    ) -> Result<Self, ConnectCause> {
        let max_header_bytes = limits.max_header_bytes;
        let Some(mut ours) = control::open(&connection, max_header_bytes).await else {
            let reason = connection.close_reason();
            let reason = reason.unwrap_or(ConnectionError::LocallyClosed);
            return Err(ConnectCause::Quic(reason.to_string()));
        };
        let watched: Arc<Watched> = Arc::default();
        let said = Arc::new(Said::by(Side::Server));
        let heeding = {
            let (connection, watched, said) = (connection.clone(), watched.clone(), said.clone());
            async move {
                let is_leaving = CancellationToken::new();
                let leaving = || {
                    watched.leave();
                    is_leaving.cancel();
                };
                let heed = control::heed(&connection, &said, max_header_bytes, leaving);
                let left = async {
                    is_leaving.cancelled().await;
                    watched.until_idle().await;
                    Some(Fault::new(code::NO_ERROR, ""))
                };
                let unwanted = control::unwanted(&ours);
                let ask = async {
                    loop {
                        watched.asks().await;
                        if ours.write_all(&frame::RESERVED).await.is_err() {
                            // Others see why.
                            return std::future::pending().await;
                        }
                    }
                };
                let fault = tokio::select! {
                    biased;
                    fault = heed => fault,
                    fault = unwanted => fault,
                    fault = left => fault,
                    fault = ask => fault,
                };
                if let Some(fault) = fault {
                    fault.close(&connection);
                }
            }
        };
        core.spawn(heeding);
        Ok(Self {
            connection,
            watched,
            said,
            since: Instant::now(),
            asking: Asking::new(endpoint),
            held: Arc::new(Held::new(limits)),
            room: Box::new(Room::new(max_header_bytes)),
            max_message: limits.max_message_bytes,
            max_frame: most_in_a_frame(max_header_bytes),
        })
    }

    /// Whether the connection takes no more calls.
    pub(crate) fn is_leaving(&self) -> bool {
        self.watched.is_leaving()
    }

    /// Sends a request and waits for its answer until `deadline`. Dropping the future cancels the
    /// call at the server.
    pub(crate) async fn call(
        &self,
        message: &[Bytes],
        metadata: &Metadata,
        now: Instant,
        deadline: Instant,
    ) -> Result<Result<LambdaReply, Failure>, NotBegun> {
        let Some(_under_way) = self.watched.begin() else {
            return Err(NotBegun);
        };
        if self.asking.size(metadata) > self.said.max_field_section() {
            let text = "the peer does not take so much metadata".to_owned();
            return Ok(Err(Failure::Invalid(text)));
        }
        // The caller may have waited for the connection after it looked at the clock.
        let mut now = now.max(self.since);
        let mut opening = pin!(self.connection.open_bi());
        let opened = match futures_util::poll!(opening.as_mut()) {
            // A place is free almost always.
            Poll::Ready(opened) => opened,
            Poll::Pending => {
                let Ok(opened) = timeout_at(deadline.into(), opening).await else {
                    return Ok(Err(Failure::Deadline));
                };
                now = Instant::now();
                opened
            }
        };
        let (send, receive) = opened.map_err(|_| NotBegun)?;
        let id = send.id();
        let mut sending = Sending::new(send, code::REQUEST_CANCELLED);
        let mut receiving = Receiving::new(receive, code::REQUEST_CANCELLED, self.max_frame);
        if !self.said.takes(id) {
            return Err(NotBegun);
        }
        let patience = Text::of(deadline.saturating_duration_since(now));
        let mut pieces = self.asking.request(message, metadata, patience);
        let answer = pin!(self.answer(id, &mut receiving));
        let answer = self.watched.deadlines.bound(deadline, answer);
        let mut answer = pin!(answer);
        let sent = sent_or_answered(sending.write(pieces.as_mut()), answer.as_mut()).await;
        match sent {
            Err(early) => return Ok(early.unwrap_or(Err(Failure::Deadline))),
            Ok(Ok(())) => sending.finish(),
            Ok(Err(WriteError::ConnectionLost(error))) => {
                return Ok(Err(self.lost(id, &error.to_string())));
            }
            Ok(Err(WriteError::Stopped(code::REQUEST_REJECTED))) => return Ok(Err(not_taken())),
            // The server does not want all of it; it says why on its side.
            Ok(Err(_)) => {}
        }
        drop(pieces);
        Ok(answer.await.unwrap_or(Err(Failure::Deadline)))
    }

    async fn answer(
        &self,
        id: StreamId,
        receiving: &mut Receiving,
    ) -> Result<LambdaReply, Failure> {
        let mut has_head = false;
        let mut trailers = Metadata::new();
        let mut answer = Arriving::new(&self.held, self.max_message);
        loop {
            let piece = receiving.next(&self.held).await;
            match piece.map_err(|broken| self.failure(id, broken))? {
                None => break,
                Some(Piece::Data(data)) => answer
                    .add(&data)
                    .map_err(|status| Failure::Invalid(status.message().to_owned()))?,
                Some(Piece::Fields(section)) if !has_head => {
                    let head = self.room.fields(&section, |fields| Ok(read_head(fields)));
                    if let Head::Good(announced) =
                        head.map_err(|broken| self.failure(id, broken))??
                    {
                        has_head = true;
                        receiving.begin(announced);
                    }
                }
                Some(Piece::Fields(section)) => {
                    let read = self.room.trailers(&section, read_trailers);
                    trailers = read.map_err(|broken| self.failure(id, broken))??;
                }
            }
        }
        match answer.end() {
            Ok(Some((message, _))) => Ok(LambdaReply { message, trailers }),
            Ok(None) => Err(Failure::Invalid("the answer has no message".to_owned())),
            Err(status) => Err(Failure::Invalid(status.message().to_owned())),
        }
    }

    fn failure(&self, id: StreamId, broken: Broken) -> Failure {
        match broken {
            Broken::Reset(code::REQUEST_REJECTED) => not_taken(),
            Broken::Reset(code) => self.lost(id, &given_up(code)),
            Broken::Lost(error) => self.lost(id, &error.to_string()),
            Broken::Fault(fault) => {
                fault.close(&self.connection);
                Failure::Lost(fault.to_string())
            }
            Broken::Malformed(text) => Failure::Invalid(text.to_owned()),
            Broken::Incomplete => Failure::Invalid("the stream ended without an answer".to_owned()),
            Broken::TooMuch => {
                Failure::Invalid("too much of other answers is held for this connection".to_owned())
            }
        }
    }

    fn lost(&self, id: StreamId, error: &str) -> Failure {
        // What stands above the number in a good-bye has not been looked at (RFC 9114, section 5.2).
        if !self.said.takes(id) {
            return not_taken();
        }
        Failure::Lost(self.watched.reason().unwrap_or(error).to_owned())
    }
}

impl Drop for Http3 {
    fn drop(&mut self) {
        // Nobody is left to ask anything, and no call is under way.
        self.connection.close(code::NO_ERROR, b"");
    }
}

/// Waits until all is sent. A server may answer before it has all of it, and need not say that it wants
/// no more (RFC 9114, section 4.1): its answer is the error.
async fn sent_or_answered<A: Future>(
    sending: impl Future<Output = Result<(), WriteError>>,
    mut answer: Pin<&mut A>,
) -> Result<Result<(), WriteError>, A::Output> {
    let mut sending = pin!(sending);
    poll_fn(|cx| {
        if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            return Poll::Ready(Ok(sent));
        }
        answer.as_mut().poll(cx).map(Err)
    })
    .await
}

fn not_taken() -> Failure {
    Failure::NotTaken("it rejects the request".to_owned())
}

fn given_up(code: VarInt) -> String {
    format!(
        "the server has given the stream up ({:#x})",
        code.into_inner()
    )
}

fn read_head(fields: &Fields) -> Result<Head, Failure> {
    let invalid = |text: &str| Failure::Invalid(text.to_owned());
    if fields.is_too_large() {
        return Err(invalid("the header fields are too large"));
    }
    let of_requests = [Name::Method, Name::Scheme, Name::Path, Name::Authority];
    let status = fields.get(Name::Status).and_then(head::status_code);
    let Some(status) = status.filter(|_| {
        !fields.is_malformed() && of_requests.iter().all(|name| fields.get(*name).is_none())
    }) else {
        return Err(invalid("the head of the answer is malformed"));
    };
    if status.is_informational() {
        return Ok(Head::Informational);
    }
    if status != StatusCode::OK {
        return Err(Failure::of_http(status));
    }
    if let Some(text) = head::other_content(fields) {
        return Err(Failure::Invalid(text));
    }
    if let Some(status) = head::grpc_status(fields) {
        return Err(Failure::Status(Box::new(status)));
    }
    let announced = head::announced(fields);
    announced
        .map(Head::Good)
        .map_err(|()| invalid("no length is such a text"))
}

fn read_trailers(fields: &Fields) -> Result<Metadata, Failure> {
    if let Some(status) = head::grpc_status(fields) {
        return Err(Failure::Status(Box::new(status)));
    }
    match fields.get(Name::GrpcStatus) {
        Some(_) => Ok(head::metadata(fields)),
        None => Err(Failure::Invalid(head::NO_STATUS.to_owned())),
    }
}
