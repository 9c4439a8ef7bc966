//! The client's side of a native connection: one stream for each call.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::view::RequestView;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::held::Held;
use super::read::{Reader, Unread};
use super::watch::Watched;
use super::{code, wire};
use crate::http2::Failure;
use crate::{LambdaReply, Limits, Metadata};

/// How often a call is sent on one connection: before the handshake is complete, and after it.
const MOST_ATTEMPTS: usize = 2;

/// A connection to a server that speaks the native protocol.
#[derive(Debug)]
pub(crate) struct Native {
    pub(super) connection: Connection,
    pub(super) watched: Arc<Watched>,
    /// When it was ready: no call has been sent before.
    since: Instant,
    /// Cancelled once the handshake is complete; what leaves before can be replayed.
    pub(super) established: CancellationToken,
    /// Cancelled where the handshake takes so long that calls should go another way.
    doubted: CancellationToken,
    held: Held,
    max_message: usize,
    max_header: usize,
}

/// Whether a connection works on which calls were begun before that was known.
#[derive(Debug)]
pub(crate) struct Proof {
    connection: Connection,
    watched: Arc<Watched>,
    established: CancellationToken,
    doubted: CancellationToken,
}

impl Proof {
    /// Cancelled once the handshake is complete.
    pub(crate) fn established(&self) -> &CancellationToken {
        &self.established
    }

    /// Whether the handshake is complete `within` that time.
    pub(crate) async fn comes(&self, within: Duration) -> bool {
        let shaken = async {
            tokio::select! {
                biased;
                () = self.established.cancelled() => true,
                _ = self.connection.closed() => false,
            }
        };
        tokio::time::timeout(within, shaken).await.unwrap_or(false)
    }

    /// Sends calls another way: those to come, and those that wait for the handshake. Those that
    /// have been sent may still be answered, and stay.
    pub(crate) fn doubt(&self) {
        self.watched.leave();
        self.doubted.cancel();
    }
}

/// The call has not begun, as the connection takes none any more; or it may be repeated, and has left
/// by a connection that never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotBegun;

/// The stream of a call; given up if this is dropped before the answer has come.
#[derive(Debug)]
struct Stream {
    send: SendStream,
    receive: RecvStream,
    is_over: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_over {
            // They fail where the stream has ended, which is all that is asked for.
            self.send.reset(code::CANCELLED).ok();
            self.receive.stop(code::CANCELLED).ok();
        }
    }
}

/// What is to be sent, and how long its answer is waited for.
struct Asked<'a> {
    message: &'a [Bytes],
    metadata: &'a Metadata,
    deadline: Instant,
}

/// What becomes of one attempt.
enum Attempt {
    Over(Result<LambdaReply, Failure>),
    /// The server did not want it before the handshake was complete, or there was no handshake.
    NotEarly,
}

impl Native {
    pub(super) fn new(connection: Connection, limits: &Limits) -> Self {
        Self {
            connection,
            watched: Arc::default(),
            since: Instant::now(),
            established: CancellationToken::new(),
            doubted: CancellationToken::new(),
            held: Held::new(limits),
            max_message: limits.max_message_bytes,
            max_header: limits.max_header_bytes as usize,
        }
    }

    /// What tells whether the connection works; none where that is known.
    pub(crate) fn proof(&self) -> Option<Proof> {
        (!self.established.is_cancelled()).then(|| Proof {
            connection: self.connection.clone(),
            watched: self.watched.clone(),
            established: self.established.clone(),
            doubted: self.doubted.clone(),
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
        // The caller may have waited for the connection after it looked at the clock.
        let mut now = now.max(self.since);
        let is_established = self.established.is_cancelled();
        let mut is_early = !is_established && may_repeat(message);
        if !is_established && !is_early {
            if !self.until_established(deadline).await? {
                return Ok(Err(Failure::Deadline));
            }
            now = Instant::now();
        }
        let asked = Asked {
            message,
            metadata,
            deadline,
        };
        let mut attempts = 0;
        loop {
            let over = self.attempt(&asked, now, is_early).await?;
            attempts += 1;
            match over {
                Attempt::Over(answer) => return Ok(answer),
                Attempt::NotEarly if attempts == MOST_ATTEMPTS => return Err(NotBegun),
                Attempt::NotEarly => is_early = false,
            }
            if !self.until_established(deadline).await? {
                return Ok(Err(Failure::Deadline));
            }
            now = Instant::now();
        }
    }

    /// False if the deadline passes before the handshake is complete.
    async fn until_established(&self, deadline: Instant) -> Result<bool, NotBegun> {
        if self.established.is_cancelled() {
            return Ok(true);
        }
        let established = async {
            tokio::select! {
                biased;
                () = self.established.cancelled() => Ok(true),
                () = self.doubted.cancelled() => Err(NotBegun),
                _ = self.connection.closed() => Err(NotBegun),
            }
        };
        // Seldom, and in a box, so that it takes no room of calls that need not wait.
        let established = Box::pin(timeout_at(deadline.into(), established));
        established.await.unwrap_or(Ok(false))
    }

    async fn attempt(
        &self,
        asked: &Asked<'_>,
        mut now: Instant,
        is_early: bool,
    ) -> Result<Attempt, NotBegun> {
        let over = |failure| Ok(Attempt::Over(Err(failure)));
        let mut opening = pin!(self.connection.open_bi());
        let opened = match futures_util::poll!(opening.as_mut()) {
            // A place is free almost always.
            Poll::Ready(opened) => opened,
            Poll::Pending => {
                let opened = Box::pin(timeout_at(asked.deadline.into(), opening)).await;
                let Ok(opened) = opened else {
                    return over(Failure::Deadline);
                };
                now = Instant::now();
                opened
            }
        };
        let (send, receive) = opened.map_err(|_| NotBegun)?;
        let patience = asked.deadline.saturating_duration_since(now);
        let mut stream = Stream {
            send,
            receive,
            is_over: false,
        };
        let mut pieces = wire::request(asked.message, asked.metadata, patience, is_early);
        let writing = stream.send.write_all_chunks(pieces.as_mut());
        match super::until(asked.deadline, writing).await {
            None => return over(Failure::Deadline),
            Some(Ok(())) => {
                // It fails if the server does not want all of it; it says why on its side.
                stream.send.finish().ok();
            }
            Some(Err(WriteError::ZeroRttRejected)) => return Ok(Attempt::NotEarly),
            Some(Err(WriteError::ConnectionLost(error))) => return over(self.lost(&error)),
            Some(Err(WriteError::Stopped(code))) if code == code::NOT_TAKEN => {
                return over(not_taken());
            }
            Some(Err(WriteError::Stopped(_) | WriteError::ClosedStream)) => {}
        }
        let reader = Reader {
            stream: &mut stream.receive,
            max_message: self.max_message,
            deadline: asked.deadline,
            deadlines: &self.watched.deadlines,
        };
        let head = |bytes: &[u8]| wire::read_answer(bytes, self.max_header);
        let read = reader.read(&self.held, head, |_| None).await;
        let (head, message, _) = match read {
            Ok(read) => read,
            Err(Unread::Stream(ReadError::ZeroRttRejected)) => return Ok(Attempt::NotEarly),
            Err(unread) => return over(self.failure(unread)),
        };
        stream.is_over = true;
        if head.code != Code::Ok {
            let text = String::from_utf8_lossy(&message);
            return over(Failure::Status(Box::new(Status::new(head.code, text))));
        }
        Ok(Attempt::Over(Ok(LambdaReply {
            message,
            trailers: head.trailers,
        })))
    }

    fn failure(&self, unread: Unread) -> Failure {
        match unread {
            Unread::Late => Failure::Deadline,
            Unread::Stream(ReadError::Reset(code)) if code == code::NOT_TAKEN => not_taken(),
            Unread::Stream(ReadError::Reset(code)) => {
                Failure::Lost(format!("the server reset the stream with code {code}"))
            }
            Unread::Stream(ReadError::ConnectionLost(error)) => self.lost(&error),
            other => Failure::Invalid(other.to_string()),
        }
    }

    fn lost(&self, error: &ConnectionError) -> Failure {
        let reason = self.watched.reason();
        Failure::Lost(reason.map_or_else(|| error.to_string(), str::to_owned))
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // Nobody is left to ask anything, and no call is under way.
        self.connection.close(code::DONE, b"");
    }
}

fn not_taken() -> Failure {
    Failure::NotTaken("it takes no requests any more on this connection".to_owned())
}

/// Whether the request says that it may be executed more than once.
fn may_repeat(message: &[Bytes]) -> bool {
    let idempotent = |bytes: &[u8]| RequestView::parse(bytes).is_ok_and(|view| view.idempotent);
    match message {
        [whole] => idempotent(whole),
        pieces => idempotent(&pieces.concat()),
    }
}
