//! Drives a connection and finds out when its peer has frozen.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::ClientOptions;
use crate::io::Io;
use crate::link::{Pump, Shared};

/// PINGs that a peer of unknown make gets between two answers. gRPC's C++
/// servers close a connection at the third that they find superfluous.
const PINGS_PER_ANSWER: u32 = 2;

/// For how long a PONG is looked for that may have come while nobody looked. The bytes that have
/// arrived by then are read within the first turn of the runtime.
const LAST_LOOK: Duration = Duration::from_millis(50);

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
    /// Pause between two looks.
    const TICK: Duration = Duration::from_millis(200);
    let mut seen = shared.lock().answered();
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
        sleep(TICK).await;
        let (answers, calls, is_ours) = {
            let connection = shared.lock();
            (
                connection.answered(),
                connection.calls(),
                connection.is_ours(),
            )
        };
        if answers != seen || calls == 0 {
            if answers != seen {
                pings = Pings::default();
            }
            seen = answers;
            silent_for = Duration::ZERO;
            continue;
        }
        silent_for += TICK;
        if silent_for < options.ping_after || !pings.may_ping(is_ours) {
            continue;
        }
        silent_for = Duration::ZERO;
        let ping = shared.lock().ping();
        let mut pong = pin!(poll_fn(|cx| shared.lock().poll_pong(ping, cx)));
        let mut looked_for = timeout(options.pong_within, &mut pong).await;
        if looked_for.is_err() {
            // On a busy core, or in a process that was stopped, the time may have passed all at
            // once, and the PONG be in the socket.
            looked_for = timeout(LAST_LOOK, pong).await;
        }
        match looked_for {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            // Whoever answers is alive, however far behind the PONG is.
            Err(_) if shared.lock().answered() != seen => {}
            Err(_) => return format!("no answer to a PING within {:?}", options.pong_within),
        }
    }
}
