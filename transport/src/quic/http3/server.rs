//! The server's side of gRPC over HTTP/3: lambdas to the lambda service, all else to tonic's.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, SendStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::deadlines::Deadlines;
use super::super::heard::until_heard;
use super::super::held::Held;
use super::super::lasting::{Lasting, Ticks};
use super::super::native::LEAST_GIVEN_UP;
use super::super::places::Places;
use super::super::seen::Seen;
use super::super::unheard::Unheard;
use super::answer::{End, answer};
use super::code::{self, Fault};
use super::control::{self, Said, Side};
use super::frame;
use super::room::Room;
use crate::http2::budget::Budget;
use crate::polled::Polled;
use crate::server::{FAREWELL, Shared, number};
use crate::{Core, LambdaService, Peer};

/// Requests after which others get their turn.
const PER_TURN: usize = 64;

const TOO_MANY_GIVEN_UP: Fault = Fault::new(code::EXCESSIVE_LOAD, "too many requests are given up");
const NO_CONTROL: Fault = Fault::new(
    code::GENERAL_PROTOCOL_ERROR,
    "there is no room for our control stream",
);

/// Where the requests of one connection are answered.
pub(super) struct Place<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) connection: Connection,
    pub(super) core: Core,
    pub(super) address: SocketAddr,
    pub(super) peer: Peer,
    pub(super) held: Arc<Held>,
    pub(super) deadlines: Deadlines,
    pub(super) ticks: Ticks,
    pub(super) room: Room,
    pub(super) said: Said,
    /// Answers that the peer may not have yet.
    pub(super) unheard: Unheard,
    /// Requests for other services that are being answered, or whose answers are on their way.
    others: AtomicUsize,
    /// The same of lambdas, as far as they are not unheard.
    lambdas: AtomicUsize,
    /// How many more the peer may give up.
    given_up: Mutex<Budget>,
    /// Number of the next stream that comes.
    next: AtomicU64,
    /// Number of the first stream that is not taken.
    leaves_at: AtomicU64,
    /// Cancelled when the connection has ended.
    pub(super) gone: CancellationToken,
}

/// A request for another service that is being answered.
pub(super) struct Other<S>(pub(super) Arc<Place<S>>);

impl<S> Other<S> {
    pub(super) fn begin(place: Arc<Place<S>>) -> Self {
        place.others.fetch_add(1, Ordering::Relaxed);
        Self(place)
    }
}

impl<S> Drop for Other<S> {
    fn drop(&mut self) {
        self.0.others.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Place<S> {
    /// The peer has given a request up; it may not do so more often than anybody has reason to.
    pub(super) fn count_given_up(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if !given_up.take(Instant::now()) {
            TOO_MANY_GIVEN_UP.close(&self.connection);
        }
    }

    fn is_answering(&self) -> bool {
        let under_way = |requests: &AtomicUsize| requests.load(Ordering::Relaxed) > 0;
        under_way(&self.others) || under_way(&self.lambdas) || !self.unheard.is_empty()
    }
}

/// Serves one connection until its peer closes it or the server drains. Nothing is looked at before
/// `established` has ended with success: what came earlier may be a replay.
pub(in crate::quic) async fn serve<S: LambdaService>(
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
    let opening = control::open(connection, limits.max_header_bytes);
    let Some(ours) = super::super::within(limits.handshake_timeout, opening).await else {
        return NO_CONTROL.close(connection);
    };
    // Else the connection has ended.
    let Some(ours) = ours else { return };
    let place = Arc::new(Place {
        shared: shared.clone(),
        connection: connection.clone(),
        core: core.clone(),
        address: peer,
        peer: Peer {
            host: peer.ip().to_canonical(),
            connection: number(),
        },
        held: Arc::new(Held::new(limits)),
        deadlines: Deadlines::default(),
        ticks: Ticks::default(),
        room: Room::new(limits.max_header_bytes),
        said: Said::by(Side::Client),
        unheard: Unheard::default(),
        others: AtomicUsize::new(0),
        lambdas: AtomicUsize::new(0),
        given_up: Mutex::new(Budget::new(
            limits.max_concurrent_streams.max(LEAST_GIVEN_UP),
            Instant::now(),
        )),
        next: AtomicU64::new(0),
        leaves_at: AtomicU64::new(u64::MAX),
        gone: CancellationToken::new(),
    });
    // Nobody waits for answers on a connection that has ended.
    let _ends_all = place.gone.clone().drop_guard();
    // What seldom happens is not looked at with every request.
    let unwanted = control::unwanted(&ours);
    let heeding = control::heed(connection, &place.said, limits.max_header_bytes, || {});
    let minding = async {
        place.deadlines.mind().await;
        None
    };
    let seldom: [BoxFuture<'_, Option<Fault>>; 4] = [
        Box::pin(leave(&place, ours)),
        Box::pin(unwanted),
        Box::pin(heeding),
        Box::pin(minding),
    ];
    let mut seldom = FuturesUnordered::from_iter(seldom);
    tokio::select! {
        biased;
        () = requests(&place) => {}
        // Where one ends without a reason, so does the connection.
        Some(Some(fault)) = seldom.next() => fault.close(connection),
    }
}

/// Answers requests until the connection has ended.
async fn requests<S: LambdaService>(place: &Arc<Place<S>>) {
    let connection = &place.connection;
    let mut lambdas = Polled::new();
    let mut lasting = Lasting::new();
    let mut places = Places::new(place.shared.server.limits.max_concurrent_streams);
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
            let (mut send, mut receive) = match next.as_mut().poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(stream)) => stream,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            };
            next.set(connection.accept_bi());
            let number = send.id().index();
            if number >= place.leaves_at.load(Ordering::Relaxed) {
                // They fail where the stream has ended, which is all that is asked for.
                send.reset(code::REQUEST_REJECTED).ok();
                receive.stop(code::REQUEST_REJECTED).ok();
                continue;
            }
            place.next.store(number + 1, Ordering::Relaxed);
            let now = *now.get_or_insert_with(|| {
                seen.look(connection, &place.shared.server.quic_counters);
                Instant::now()
            });
            let number = lambdas.reserve();
            lambdas.begin(number, 0, || answer(place.clone(), send, receive, now));
            lasting.begin(number, &place.ticks);
        }
        places.suit(
            connection,
            lambdas.len() + place.others.load(Ordering::Relaxed),
        );
        lambdas.poll();
        lasting.poll(cx, &place.ticks, |number| lambdas.again(number));
        for (_, end) in lambdas.answers().drain(..) {
            if end == Some(End::GivenUp) {
                place.count_given_up();
            }
        }
        place.lambdas.store(lambdas.len(), Ordering::Relaxed);
        Poll::Pending
    })
    .await;
}

/// Ends when the server leaves and nothing is left to be done.
async fn leave<S: LambdaService>(place: &Place<S>, mut ours: SendStream) -> Option<Fault> {
    let connection = &place.connection;
    place.shared.drain.cancelled().await;
    let next = place.next.load(Ordering::Relaxed);
    place.leaves_at.store(next, Ordering::Relaxed);
    // Streams that clients open for requests have every fourth number.
    let good_bye = Bytes::from(frame::go_away(4 * next));
    if ours.write_chunk(good_bye).await.is_err() {
        // Somebody else has seen why.
        return std::future::pending().await;
    }
    sleep(FAREWELL).await;
    until_heard(connection, || place.is_answering()).await;
    // The peer closes when it has read the last answer; closing before would lose what is on its way.
    let _closed = timeout(FAREWELL, connection.closed()).await;
    Some(Fault::new(code::NO_ERROR, ""))
}
