//! QUIC as the HTTP/3 library wants it.
//!
//! In place of `h3-quinn`, as that does not tell when a peer has lost interest in an answer
//! (STOP_SENDING), leaves unfinished streams with codes that mean nothing in HTTP/3, and reads frames
//! of any size.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{Connection, ConnectionError, ReadError, StoppedError, VarInt, WriteError};
use tokio_util::sync::ReusableBoxFuture;

use super::http3_frames::{Frames, TooLarge};
use super::http3_places::Places;
use crate::Limits;

pub(super) type Both = (quinn::SendStream, quinn::RecvStream);

/// Ends when the peer does not want any more of what a stream has to say, or cannot be told.
pub(super) type Stopped =
    Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>;

/// The streams of a connection.
pub(super) struct Streams {
    connection: Arc<Connection>,
    /// Largest frame without data.
    max_frame: u64,
    opener: Opener,
    next: ReusableBoxFuture<'static, Result<Both, ConnectionError>>,
    next_one_way: ReusableBoxFuture<'static, Result<quinn::RecvStream, ConnectionError>>,
    interest: Interest,
}

/// Tells when the peer loses interest in the stream that was accepted last.
#[derive(Clone, Default)]
pub(super) struct Interest(Arc<Mutex<Option<Stopped>>>);

impl Interest {
    /// That of the stream that was accepted last; once for each.
    pub(super) fn take(&self) -> Option<Stopped> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Stopped>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    pub(super) fn new(connection: Connection, limits: &Limits) -> Self {
        // Those that are a bit too large are left to the library, which says so.
        let max_frame = 2 * u64::from(limits.max_header_bytes);
        let shared = Arc::new(connection.clone());
        Self {
            opener: Opener::new(shared.clone(), Places::default(), max_frame),
            next: ReusableBoxFuture::new(accept(connection.clone())),
            next_one_way: ReusableBoxFuture::new(accept_one_way(connection)),
            connection: shared,
            max_frame,
            interest: Interest::default(),
        }
    }

    /// Where streams are put that the library is to take for requests.
    pub(super) fn places(&self) -> Places {
        self.opener.places.clone()
    }

    /// What tells of the streams that are accepted.
    pub(super) fn interest(&self) -> Interest {
        self.interest.clone()
    }
}

async fn accept(connection: Connection) -> Result<Both, ConnectionError> {
    connection.accept_bi().await
}

async fn accept_one_way(connection: Connection) -> Result<quinn::RecvStream, ConnectionError> {
    connection.accept_uni().await
}

impl quic::Connection<Bytes> for Streams {
    type RecvStream = Receiving;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receiving, ConnectionErrorIncoming>> {
        let accepted = ready!(self.next_one_way.poll(cx));
        self.next_one_way
            .set(accept_one_way(Connection::clone(&self.connection)));
        let stream = accepted.map_err(lost)?;
        Poll::Ready(Ok(Receiving::new(
            stream,
            Code::H3_NO_ERROR,
            Frames::of_one_way(self.max_frame),
            &self.connection,
        )))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionErrorIncoming>> {
        let accepted = ready!(self.next.poll(cx));
        self.next.set(accept(Connection::clone(&self.connection)));
        let (send, receive) = accepted.map_err(lost)?;
        *self.interest.lock() = Some(Box::pin(send.stopped()));
        Poll::Ready(Ok(Stream {
            // The library answers what is no request, and leaves it at that.
            send: Sending::new(send, None),
            // Whoever has been answered need not say the rest (RFC 9114, section 4.1).
            receive: Receiving::new(
                receive,
                Code::H3_NO_ERROR,
                Frames::of_request(self.max_frame),
                &self.connection,
            ),
        }))
    }

    fn opener(&self) -> Opener {
        self.opener.clone()
    }
}

impl quic::OpenStreams<Bytes> for Streams {
    type BidiStream = Stream;
    type SendStream = Sending;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, StreamErrorIncoming>> {
        self.opener.poll_open_bidi(cx)
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sending, StreamErrorIncoming>> {
        self.opener.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opener.close(code, reason);
    }
}

/// Opens streams.
pub(super) struct Opener {
    connection: Arc<Connection>,
    places: Places,
    max_frame: u64,
    opening: Option<ReusableBoxFuture<'static, Result<Both, ConnectionError>>>,
    opening_one_way: Option<ReusableBoxFuture<'static, Result<quinn::SendStream, ConnectionError>>>,
}

impl Opener {
    fn new(connection: Arc<Connection>, places: Places, max_frame: u64) -> Self {
        Self {
            connection,
            places,
            max_frame,
            opening: None,
            opening_one_way: None,
        }
    }
}

impl Opener {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Both, ConnectionError>> {
        let opening = self.opening.get_or_insert_with(|| {
            let connection = self.connection.clone();
            ReusableBoxFuture::new(async move { connection.open_bi().await })
        });
        let opened = ready!(opening.poll(cx));
        self.opening = None;
        Poll::Ready(opened)
    }
}

impl Clone for Opener {
    /// What the other one waits for remains its own.
    fn clone(&self) -> Self {
        Self::new(self.connection.clone(), self.places.clone(), self.max_frame)
    }
}

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = Stream;
    type SendStream = Sending;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, StreamErrorIncoming>> {
        let (send, receive) = match self.places.take() {
            Some(stream) => stream,
            None => ready!(self.poll_open(cx)).map_err(lost_stream)?,
        };
        Poll::Ready(Ok(Stream {
            send: Sending::new(send, Some(Code::H3_REQUEST_CANCELLED)),
            receive: Receiving::new(
                receive,
                Code::H3_REQUEST_CANCELLED,
                Frames::of_request(self.max_frame),
                &self.connection,
            ),
        }))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sending, StreamErrorIncoming>> {
        let opening = self.opening_one_way.get_or_insert_with(|| {
            let connection = self.connection.clone();
            ReusableBoxFuture::new(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.poll(cx));
        self.opening_one_way = None;
        // Those of the library live as long as the connection.
        Poll::Ready(Ok(Sending::new(opened.map_err(lost_stream)?, None)))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.connection.close(number(code.value()), reason);
    }
}

/// A stream in both directions.
pub(super) struct Stream {
    send: Sending,
    receive: Receiving,
}

impl quic::BidiStream<Bytes> for Stream {
    type SendStream = Sending;
    type RecvStream = Receiving;

    fn split(self) -> (Sending, Receiving) {
        (self.send, self.receive)
    }
}

impl quic::RecvStream for Stream {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.receive.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receive.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.receive.recv_id()
    }
}

impl quic::SendStream<Bytes> for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.send.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

/// What we say on a stream.
pub(super) struct Sending {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
    /// What it is cut off with where it is dropped before it was finished; none: it ends there.
    unfinished: Option<Code>,
}

impl Sending {
    fn new(stream: quinn::SendStream, unfinished: Option<Code>) -> Self {
        Self {
            stream,
            writing: None,
            unfinished,
        }
    }
}

impl quic::SendStream<Bytes> for Sending {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        if let Some(data) = &mut self.writing {
            while data.has_remaining() {
                let written = Pin::new(&mut self.stream).poll_write(cx, data.chunk());
                data.advance(ready!(written).map_err(unwritten)?);
            }
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        if self.writing.is_some() {
            let text = "what was to be sent before has not left yet".to_owned();
            return Err(StreamErrorIncoming::ConnectionErrorIncoming {
                connection_error: ConnectionErrorIncoming::InternalError(text),
            });
        }
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.unfinished = None;
        let finished = self.stream.finish();
        Poll::Ready(finished.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, code: u64) {
        self.unfinished = None;
        // It fails where the stream has ended, which is all that is asked for.
        self.stream.reset(number(code)).ok();
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(code) = self.unfinished {
            quic::SendStream::reset(self, code.value());
        }
    }
}

/// What the peer says on a stream; it is told to stop where this is dropped before the end.
pub(super) struct Receiving {
    stream: quinn::RecvStream,
    /// What it is told to stop with, if it is.
    unread: Option<Code>,
    frames: Frames,
    /// What has been read, and belongs to later frames.
    later: Bytes,
    connection: Arc<Connection>,
}

impl Receiving {
    fn new(
        stream: quinn::RecvStream,
        unread: Code,
        frames: Frames,
        connection: &Arc<Connection>,
    ) -> Self {
        Self {
            stream,
            unread: Some(unread),
            frames,
            later: Bytes::new(),
            connection: connection.clone(),
        }
    }

    /// Ends the connection, by which the peer would have us keep what has no end.
    fn refuse(&self, error: TooLarge) -> StreamErrorIncoming {
        let text = error.to_string();
        let code = number(Code::H3_EXCESSIVE_LOAD.value());
        self.connection.close(code, text.as_bytes());
        lost_stream(ConnectionError::LocallyClosed)
    }
}

impl quic::RecvStream for Receiving {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.later.is_empty() {
            // The stream remembers who waits; nothing is lost with the future.
            match ready!(pin!(self.stream.read_chunk(usize::MAX, true)).poll(cx)) {
                Ok(Some(chunk)) => self.later = chunk.bytes,
                read => {
                    self.unread = None;
                    return Poll::Ready(read.map(|_| None).map_err(unread));
                }
            }
        }
        Poll::Ready(match self.frames.piece(&self.later) {
            Ok(length) => Ok(Some(self.later.split_to(length))),
            Err(error) => Err(self.refuse(error)),
        })
    }

    fn stop_sending(&mut self, code: u64) {
        self.unread = None;
        // It fails where the stream has ended, which is all that is asked for.
        self.stream.stop(number(code)).ok();
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(code) = self.unread {
            quic::RecvStream::stop_sending(self, code.value());
        }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Streams").field(&self.connection).finish()
    }
}

fn id(id: quinn::StreamId) -> StreamId {
    let number = u64::from(VarInt::from(id));
    StreamId::try_from(number).expect("both are integers of 62 bits")
}

pub(super) fn number(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(closed) => ConnectionErrorIncoming::ApplicationClose {
            error_code: closed.error_code.into(),
        },
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}

fn lost_stream(error: ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming {
        connection_error: lost(error),
    }
}

fn unread(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        ReadError::ConnectionLost(error) => lost_stream(error),
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}

fn unwritten(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated {
            error_code: code.into_inner(),
        },
        WriteError::ConnectionLost(error) => lost_stream(error),
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}
