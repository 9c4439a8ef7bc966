//! The server's side of a native connection: one stream for each lambda, all on one task.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::view::RequestView;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ReadError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::deadlines::Deadlines;
use super::heard::until_heard;
use super::held::Held;
use super::lasting::{Lasting, Ticks};
use super::places::Places;
use super::read::{Reader, Unread};
use super::seen::Seen;
use super::unheard::{Stream, Unheard};
use super::wire::{Malformed, RequestHead};
use super::{Counters, LEAVING, code, wire};
use crate::http2::budget::Budget;
use crate::polled::Polled;
use crate::server::{FAREWELL, Shared, number};
use crate::{Core, DEFAULT_DEADLINE, LambdaCall, LambdaService, Peer};

/// How long a peer may leave what was sent to it unread.
const STALLED: Duration = Duration::from_secs(60);
/// Requests after which others get their turn.
const PER_TURN: usize = 64;
/// Requests that a peer may give up per second, and at once, if it may not open more.
pub(super) const LEAST_GIVEN_UP: u32 = 1000;
/// Longest deadline that is told from "never", so that sums do not overflow.
const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the requests of one connection are answered.
#[derive(Debug)]
struct Place<S> {
    lambda: Option<Arc<S>>,
    core: Core,
    peer: Peer,
    established: CancellationToken,
    counters: Arc<Counters>,
    held: Held,
    deadlines: Deadlines,
    ticks: Ticks,
    max_message: usize,
    max_header: usize,
    /// Requests that are being answered.
    running: AtomicUsize,
    /// Answers that the peer may not have yet.
    unheard: Unheard,
    /// No more requests are taken.
    is_closed: AtomicBool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Said,
    /// The peer has lost interest.
    GivenUp,
}

/// Serves one connection until its peer closes it or the server drains. `established` ends with the
/// handshake, and says whether it has succeeded.
pub(super) async fn serve<S: LambdaService>(
    connection: &Connection,
    established: impl Future<Output = bool> + Send,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    let limits = &shared.server.limits;
    let place = Arc::new(Place {
        // There is no other method in this protocol.
        lambda: shared
            .server
            .lambda
            .clone()
            .filter(|_| S::METHOD == edge_proto::RUN_LAMBDA_PATH),
        core: core.clone(),
        peer: Peer {
            host: peer.ip().to_canonical(),
            connection: number(),
        },
        established: CancellationToken::new(),
        counters: shared.server.quic_counters.clone(),
        held: Held::new(limits),
        deadlines: Deadlines::default(),
        ticks: Ticks::default(),
        max_message: limits.max_message_bytes,
        max_header: limits.max_header_bytes as usize,
        running: AtomicUsize::new(0),
        unheard: Unheard::default(),
        is_closed: AtomicBool::new(false),
    });
    let shaken = async {
        if established.await {
            place.established.cancel();
            std::future::pending::<()>().await;
        }
    };
    let leaving = async {
        leave(connection, &place, &shared.drain).await;
        connection.close(code::DONE, b"");
    };
    // What seldom happens is not looked at with every request.
    let seldom: [BoxFuture<'_, ()>; 3] = [
        Box::pin(leaving),
        Box::pin(shaken),
        Box::pin(place.deadlines.mind()),
    ];
    let mut seldom = FuturesUnordered::from_iter(seldom);
    tokio::select! {
        biased;
        () = requests(connection, &place, limits.max_concurrent_streams) => {}
        Some(()) = seldom.next() => {}
    }
}

/// Answers requests until the connection has ended.
async fn requests<S: LambdaService>(
    connection: &Connection,
    place: &Arc<Place<S>>,
    max_streams: u32,
) {
    let mut lambdas = Polled::new();
    let mut lasting = Lasting::new();
    let mut places = Places::new(max_streams);
    let most_given_up = max_streams.max(LEAST_GIVEN_UP);
    let mut given_up = Budget::new(most_given_up, Instant::now());
    let mut next = Box::pin(connection.accept_bi());
    let mut seen = Seen::at(connection);
    poll_fn(|cx| {
        lambdas.watch(cx);
        let mut now = None;
        for turn in 0.. {
            if turn == PER_TURN {
                cx.waker().wake_by_ref();
                break;
            }
            let (send, receive) = match next.as_mut().poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(stream)) => stream,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            };
            next.set(connection.accept_bi());
            let stream = Stream {
                send,
                receive: Some(receive),
                is_over: false,
            };
            if place.is_closed.load(Ordering::Relaxed) {
                stream.refuse();
                continue;
            }
            let now = *now.get_or_insert_with(|| {
                seen.look(connection, &place.counters);
                Instant::now()
            });
            let number = lambdas.reserve();
            lambdas.begin(number, 0, || answer(place.clone(), stream, now));
            lasting.begin(number, &place.ticks);
        }
        places.suit(connection, lambdas.len());
        lambdas.poll();
        lasting.poll(cx, &place.ticks, |number| lambdas.again(number));
        for (_, end) in lambdas.answers().drain(..) {
            if end == Some(End::GivenUp) && !given_up.take(Instant::now()) {
                connection.close(code::EXCESS, b"too many requests are given up");
            }
        }
        place.running.store(lambdas.len(), Ordering::Relaxed);
        Poll::Pending
    })
    .await;
}

/// Ends when the server leaves and nothing is left to be done.
async fn leave<S>(connection: &Connection, place: &Place<S>, drain: &CancellationToken) {
    drain.cancelled().await;
    let told = async {
        let mut stream = connection.open_uni().await.ok()?;
        stream.write_all(&[LEAVING]).await.ok()?;
        stream.finish().ok()?;
        stream.stopped().await.ok()
    };
    // Requests on their way are taken until the peer knows. A frozen one never does.
    let _told = timeout(FAREWELL, told).await;
    place.is_closed.store(true, Ordering::Relaxed);
    // Until the peer has all of them, a server that leaves would cut them off.
    let is_answering = || place.running.load(Ordering::Relaxed) > 0 || !place.unheard.is_empty();
    until_heard(connection, is_answering).await;
    // The peer closes when it has read the last answer; closing before would lose what is on its way.
    let _closed = timeout(FAREWELL, connection.closed()).await;
}

/// Reads, executes and answers the request of one stream.
async fn answer<S: LambdaService>(place: Arc<Place<S>>, mut stream: Stream, now: Instant) -> End {
    let begun = place.ticks.begin();
    let Some(receive) = &mut stream.receive else {
        return End::Said;
    };
    let is_early = receive.is_0rtt();
    let reader = Reader {
        stream: receive,
        max_message: place.max_message,
        deadline: now + DEFAULT_DEADLINE,
        deadlines: &place.deadlines,
    };
    let head = |bytes: &[u8]| wire::read_request(bytes, place.max_header);
    let seen = |head: &RequestHead| Some(now + patience(head));
    let (head, message, booked) = match reader.read(&place.held, head, seen).await {
        Ok(read) => read,
        Err(Unread::Stream(ReadError::Reset(_))) => {
            stream.end(code::CANCELLED);
            return End::GivenUp;
        }
        Err(Unread::Stream(_)) => return End::Said,
        Err(unread) => return place.say(stream, &status(&unread)).await,
    };
    stream.receive = None;
    let deadline = now + patience(&head);
    if is_early && !place.may_run_early(&head, &message, deadline).await {
        stream.end(code::NOT_TAKEN);
        return End::Said;
    }
    let Some(lambda) = &place.lambda else {
        let nothing = Status::unimplemented("no lambdas here");
        return place.say(stream, &nothing).await;
    };
    let call = LambdaCall {
        message,
        metadata: head.metadata,
        deadline,
    };
    let answered = {
        let mut running = pin!(lambda.run(&place.core, place.peer, call));
        let mut stopped = pin!(None);
        poll_fn(|cx| {
            if let Poll::Ready(answered) = running.as_mut().poll(cx) {
                return Poll::Ready(Some(answered));
            }
            if stopped.is_none() && place.ticks.lasts(begun) {
                stopped.set(Some(stream.send.stopped()));
            }
            match stopped.as_mut().as_pin_mut() {
                Some(stopped) => stopped.poll(cx).map(|_| None),
                None => Poll::Pending,
            }
        })
        .await
    };
    drop(booked);
    match answered {
        None => {
            stream.end(code::CANCELLED);
            End::GivenUp
        }
        Some(Err(status)) => place.say(stream, &status).await,
        Some(Ok(reply)) => {
            let mut pieces = wire::answer(reply.message, &reply.trailers);
            place.write(stream, &mut pieces).await
        }
    }
}

impl<S> Place<S> {
    /// Whether a request that came before the handshake was complete may be begun: at once if it may
    /// be repeated, as whoever has recorded it can send it again; else with the handshake, which
    /// nobody can complete but who has begun it.
    async fn may_run_early(&self, head: &RequestHead, message: &[u8], deadline: Instant) -> bool {
        self.counters.count_early_offered();
        let idempotent = RequestView::parse(message).is_ok_and(|view| view.idempotent);
        if head.may_repeat && idempotent {
            self.counters.count_early_accepted();
            return true;
        }
        self.counters.count_early_postponed();
        let established = self.established.cancelled();
        tokio::time::timeout_at(deadline.into(), established)
            .await
            .is_ok()
    }

    async fn say(&self, stream: Stream, status: &Status) -> End {
        let mut pieces = [wire::status(status, self.max_header)];
        self.write(stream, &mut pieces).await
    }

    /// Answers, and forgets about the rest of the request, if there is more.
    async fn write(&self, mut stream: Stream, pieces: &mut [Bytes]) -> End {
        let written = super::within(STALLED, stream.send.write_all_chunks(pieces)).await;
        if !matches!(written, Some(Ok(()))) {
            stream.end(code::CANCELLED);
            return End::GivenUp;
        }
        stream.is_over = true;
        // They fail where the peer has lost interest, or where all has been read.
        stream.send.finish().ok();
        if let Some(mut receive) = stream.receive.take() {
            receive.stop(code::DONE).ok();
        }
        self.unheard.add(stream);
        End::Said
    }
}

fn patience(head: &RequestHead) -> Duration {
    head.patience.unwrap_or(DEFAULT_DEADLINE).min(MAX_PATIENCE)
}

/// What is wrong with a request that could not be read.
fn status(unread: &Unread) -> Status {
    let text = unread.to_string();
    match unread {
        Unread::Malformed(Malformed::Version(_)) => Status::unimplemented(text),
        Unread::Malformed(Malformed::TooLarge(_)) | Unread::TooLarge(_) | Unread::TooMuch => {
            Status::resource_exhausted(text)
        }
        Unread::Late => Status::deadline_exceeded("the request did not arrive in time"),
        Unread::Malformed(_) | Unread::Stream(_) => Status::internal(text),
    }
}
