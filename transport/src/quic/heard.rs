//! Whether the peer of a server that leaves has all of its answers.

use std::time::Duration;

use quinn::Connection;
use tokio::time::sleep;

use crate::server::LOOK_EVERY;

/// How long a peer may leave unacknowledged what was sent to it, again and again.
const GONE: Duration = Duration::from_secs(5);

/// Ends when no request is answered any more, or nobody is there any more to be answered.
pub(super) async fn until_heard(connection: &Connection, is_answering: impl Fn() -> bool) {
    let mut silence = Silence::of(connection);
    // Counted in looks: on a busy machine time passes before what has arrived is read.
    let mut silent_for = Duration::ZERO;
    while is_answering() && silent_for < GONE {
        sleep(LOOK_EVERY).await;
        match silence.goes_on(connection) {
            true => silent_for += LOOK_EVERY,
            false => silent_for = Duration::ZERO,
        }
    }
}

/// Datagrams of the peer, and frames of ours since the last of them that it has to acknowledge. One
/// that waits for us has no reason to speak.
#[derive(Debug, PartialEq, Eq)]
struct Silence {
    heard: u64,
    asked: u64,
}

impl Silence {
    fn of(connection: &Connection) -> Self {
        let stats = connection.stats();
        let sent = stats.frame_tx;
        Self {
            heard: stats.udp_rx.datagrams,
            // What is sent again where no acknowledgement comes (RFC 9002, section 6.2.4).
            asked: sent.stream + sent.crypto + sent.ping + sent.immediate_ack,
        }
    }

    /// Whether the peer has been asked in vain since it spoke last.
    fn goes_on(&mut self, connection: &Connection) -> bool {
        let now = Self::of(connection);
        if now.heard != self.heard {
            *self = now;
            return false;
        }
        now.asked != self.asked
    }
}
