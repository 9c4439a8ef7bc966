//! Drives a connection and finds out when its peer has frozen.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

use super::ClientOptions;
use crate::io::Io;

/// PINGs that a peer of unknown make gets between two answers. gRPC's C++
/// servers close a connection at the third that they find superfluous.
const PINGS_PER_ANSWER: u32 = 2;

/// For how long a PONG is looked for that may have come while nobody looked. The bytes that have
/// arrived by then are read within the first turn of the runtime.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// What calls and the driver of their connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    /// Calls that wait for an answer.
    waiting: AtomicU32,
    /// Answers and other signs of life so far, wrapping.
    answers: AtomicU32,
    /// PINGs since the last answer.
    pings: AtomicU32,
    /// The peer is of our own make.
    ours: AtomicBool,
}

impl Vitals {
    /// Counts a waiting call as long as the guard lives.
    pub(super) fn waiting(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// The peer has answered.
    pub(super) fn answered(&self, ours: bool) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.pings.store(0, Ordering::Relaxed);
        if ours {
            self.ours.store(true, Ordering::Relaxed);
        }
    }

    fn may_ping(&self) -> bool {
        self.ours.load(Ordering::Relaxed)
            || self.pings.fetch_add(1, Ordering::Relaxed) < PINGS_PER_ANSWER
    }
}

/// Keeps a call counted as waiting.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Vitals>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `connection` until it ends or its peer shows no sign of life. Returns
/// why it ended.
pub(super) async fn drive(
    connection: Connection<Io, Bytes>,
    pings: PingPong,
    vitals: &Vitals,
    options: &ClientOptions,
) -> String {
    let mut connection = pin!(connection);
    tokio::select! {
        // What there is to be read is read before time is up.
        biased;
        ended = &mut connection => match ended {
            Ok(()) => "connection closed".to_owned(),
            Err(error) => super::connect::explain(&error),
        },
        reason = watch(pings, vitals, options) => reason,
    }
}

async fn watch(mut pings: PingPong, vitals: &Vitals, options: &ClientOptions) -> String {
    /// Pause between two looks.
    const TICK: Duration = Duration::from_millis(200);
    let mut seen = vitals.answers.load(Ordering::Relaxed);
    let mut silent_for = Duration::ZERO;
    loop {
        sleep(TICK).await;
        let answers = vitals.answers.load(Ordering::Relaxed);
        if answers != seen || vitals.waiting.load(Ordering::Relaxed) == 0 {
            seen = answers;
            silent_for = Duration::ZERO;
            continue;
        }
        silent_for += TICK;
        if silent_for < options.ping_after || !vitals.may_ping() {
            continue;
        }
        silent_for = Duration::ZERO;
        let mut pong = pin!(pings.ping(Ping::opaque()));
        let mut looked_for = timeout(options.pong_within, &mut pong).await;
        if looked_for.is_err() {
            // On a busy core, or in a process that was stopped, the time may have passed all at
            // once, and the PONG be in the socket.
            looked_for = timeout(LAST_LOOK, pong).await;
        }
        match looked_for {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.to_string(),
            // Whoever answers is alive, however far behind the PONG is.
            Err(_) if vitals.answers.load(Ordering::Relaxed) != seen => {}
            Err(_) => return format!("no answer to a PING within {:?}", options.pong_within),
        }
    }
}
