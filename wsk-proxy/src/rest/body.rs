//! The body of a request: no larger than allowed, no slower than reasonable, within the memory that
//! there is.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::reply::Problem;
use crate::shared::Shared;

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read all the same, so that its sender gets to see the
/// answer.
const READ_ANYWAY: usize = 16 << 20;

/// A body, and the room that it takes as long as it lives.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// It was there with the head.
    pub(super) at_once: bool,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end.
///
/// # Errors
/// If it is too large or too slow, or there is no room.
pub(super) async fn read(shared: &Shared, body: Incoming) -> Result<Received, Problem> {
    let mut collecting = pin!(collect(shared, body));
    // Mostly it has come with the head, and needs no timer.
    let at_once = poll_fn(|cx| Poll::Ready(collecting.as_mut().poll(cx)));
    if let Poll::Ready(read) = at_once.await {
        let at_once = true;
        return read.map(|read| Received { at_once, ..read });
    }
    match Box::pin(tokio::time::timeout(ARRIVES_WITHIN, collecting)).await {
        Ok(read) => read,
        Err(_) => {
            let text = format!(
                "The body did not arrive within {} seconds.",
                ARRIVES_WITHIN.as_secs()
            );
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

async fn collect(shared: &Shared, mut body: Incoming) -> Result<Received, Problem> {
    let most = shared.config.limits.max_body_bytes;
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        discard(body).await;
        return Err(too_large(announced, most));
    }
    let mut received = Received {
        bytes: Bytes::new(),
        at_once: false,
        room: None,
    };
    let mut more = Vec::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::bad("the body broke off");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        received.take_room(shared, data.len())?;
        let length = received.bytes.len() + more.len() + data.len();
        if length > most {
            discard(body).await;
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

async fn discard(mut body: Incoming) {
    let mut left = READ_ANYWAY;
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
