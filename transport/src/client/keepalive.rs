//! Drives a connection and finds out when its peer has frozen.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use super::ClientOptions;
use crate::io::Io;
use crate::link::{Pump, Shared};
use crate::liveness::{self, TICK};

/// PINGs that a peer of unknown make gets between two answers. gRPC's C++
/// servers close a connection at the third that they find superfluous.
const PINGS_PER_ANSWER: u32 = 2;

/// Bytes after which a peer that receives them says so, by WINDOW_UPDATE, at the latest.
const MOST_AHEAD: u64 = 512 << 10;

/// PINGs to one peer.
#[derive(Debug, Default)]
struct Pings {
    /// How many, since the last answer.
    superfluous: u32,
}

impl Pings {
    fn may_ping(&mut self, is_ours: bool) -> bool {
        self.superfluous += 1;
        is_ours || self.superfluous <= PINGS_PER_ANSWER
    }
}

/// Runs a connection until it ends or its peer shows no sign of life.
pub(super) async fn drive(io: Io, shared: Arc<Shared>, options: Arc<ClientOptions>) {
    let mut pump = Pump::new(io, shared.clone());
    let ended = poll_fn(|cx| {
        pump.poll_read(cx);
        pump.poll_write(cx)
    });
    tokio::select! {
        // What there is to be read is read before time is up.
        biased;
        () = ended => {}
        reason = watch(&shared, &options) => shared.with(|connection| connection.end(reason)),
    }
}

async fn watch(shared: &Shared, options: &ClientOptions) -> String {
    let mut answered = shared.lock().answered();
    let mut silent_for = Duration::ZERO;
    let mut pings = Pings::default();
    loop {
        // Whoever asks wakes the driver, which then looks here, too: of thousands of connections
        // only those that are used have a timer.
        poll_fn(|_| match shared.lock().calls() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        let seen = shared.lock().signs();
        sleep(TICK).await;
        let (signs, answers, calls, is_ours) = {
            let connection = shared.lock();
            (
                connection.signs(),
                connection.answered(),
                connection.calls(),
                connection.is_ours(),
            )
        };
        if answers != answered {
            pings = Pings::default();
            answered = answers;
        }
        if signs.are_newer_than(&seen) || calls == 0 {
            silent_for = Duration::ZERO;
            continue;
        }
        silent_for += TICK;
        if silent_for < options.ping_after || !pings.may_ping(is_ours) {
            continue;
        }
        silent_for = Duration::ZERO;
        if let Err(reason) = liveness::prove(shared, options.pong_within, MOST_AHEAD).await {
            return reason;
        }
    }
}
