//! The body of a request: no larger than allowed, no slower than reasonable, within the memory that
//! there is.
//!
//! A client that is answered before it has sent all of it may not look for the answer until it has. The
//! end of a connection of HTTP/1 would take the answer away from it; that of a stream of HTTP/2 should
//! not, but does with some. So what is left of a body is read all the same, within bounds, once the
//! answer is on its way.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::reply::Problem;
use crate::lane::Lane;
use crate::shared::Shared;

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// How much of a body that nobody wants is read all the same, and for how long.
const READ_ANYWAY: usize = 16 << 20;
const READ_ANYWAY_WITHIN: Duration = Duration::from_secs(10);
/// How many of those at the same time.
pub(crate) const MOST_UNWANTED: usize = 1000;

/// A body, as far as nobody has read it.
#[derive(Debug)]
pub(super) struct Arriving {
    incoming: Incoming,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Its client may not have been told to send it.
    Untouched,
    Begun,
    TooSlow,
}

/// A body, and the room that it takes as long as it lives.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// It was there with the head.
    pub(super) at_once: bool,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl From<Incoming> for Arriving {
    fn from(incoming: Incoming) -> Self {
        let progress = Progress::Untouched;
        Self { incoming, progress }
    }
}

/// Reads a body to its end.
///
/// # Errors
/// If it is too large or too slow, or there is no room.
pub(super) async fn read(shared: &Shared, body: &mut Arriving) -> Result<Received, Problem> {
    if let Some(read) = arrive(shared, body).await {
        return read;
    }
    body.progress = Progress::TooSlow;
    let text = format!(
        "The body did not arrive within {} seconds.",
        ARRIVES_WITHIN.as_secs()
    );
    Err(Problem::new(StatusCode::REQUEST_TIMEOUT, text))
}

/// `None` if it takes too long.
async fn arrive(shared: &Shared, body: &mut Arriving) -> Option<Result<Received, Problem>> {
    let mut collecting = pin!(collect(shared, body));
    // Mostly it has come with the head, and needs no timer.
    let at_once = poll_fn(|cx| Poll::Ready(collecting.as_mut().poll(cx)));
    if let Poll::Ready(read) = at_once.await {
        let at_once = true;
        return Some(read.map(|read| Received { at_once, ..read }));
    }
    let arrived = Box::pin(tokio::time::timeout(ARRIVES_WITHIN, collecting)).await;
    arrived.ok()
}

async fn collect(shared: &Shared, body: &mut Arriving) -> Result<Received, Problem> {
    let most = shared.config.limits.max_body_bytes;
    let announced = body.incoming.size_hint().lower();
    if announced > most as u64 {
        return Err(too_large(announced, most));
    }
    let mut received = Received {
        bytes: Bytes::new(),
        at_once: false,
        room: None,
    };
    let mut more = Vec::new();
    body.progress = Progress::Begun;
    while let Some(frame) = body.incoming.frame().await {
        let broken = |_| Problem::bad("the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        received.take_room(shared, data.len())?;
        let length = received.bytes.len() + more.len() + data.len();
        if length > most {
            return Err(too_large(length as u64, most));
        }
        // Mostly there is one frame only, which needs no copy.
        if received.bytes.is_empty() && more.is_empty() {
            received.bytes = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut received.bytes));
            }
            more.extend_from_slice(&data);
        }
    }
    if !more.is_empty() {
        received.bytes = more.into();
    }
    Ok(received)
}

impl Arriving {
    /// Lets what has not been read of it come, so that its client gets to see the answer.
    pub(super) fn leave(self, lane: &Arc<Lane>, head: &Parts) {
        if self.incoming.is_end_stream() {
            return;
        }
        let waits = head.headers.contains_key(header::EXPECT);
        let comes = match self.progress {
            Progress::Untouched => !waits,
            Progress::Begun => true,
            Progress::TooSlow => false,
        };
        if !comes {
            return;
        }
        let Ok(place) = lane.shared.unwanted.clone().try_acquire_owned() else {
            return;
        };
        let most = READ_ANYWAY.max(lane.shared.config.limits.max_body_bytes);
        let discarding = async move {
            let discarding = discard(self.incoming, most);
            // Whoever is slower than that sees the end of the connection.
            let _in_time = tokio::time::timeout(READ_ANYWAY_WITHIN, discarding).await;
            drop(place);
        };
        lane.core.spawn(discarding);
    }
}

impl Received {
    fn take_room(&mut self, shared: &Shared, bytes: usize) -> Result<(), Problem> {
        let busy = || {
            let text = "The proxy is busy: the requests under way take all the memory they may.";
            Problem::busy(text, Duration::from_secs(1))
        };
        let bytes = u32::try_from(bytes).map_err(|_| busy())?;
        let room = shared
            .room
            .clone()
            .try_acquire_many_owned(bytes)
            .map_err(|_| busy())?;
        match &mut self.room {
            Some(held) => held.merge(room),
            None => self.room = Some(room),
        }
        Ok(())
    }
}

async fn discard(mut body: Incoming, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(length);
        if left == 0 {
            return;
        }
    }
}

fn too_large(actual: u64, allowed: usize) -> Problem {
    let text = format!("The request is larger than allowed: {actual} > {allowed} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}
