//! Whether the peer of a connection is still there.
//!
//! A peer that was sent a PING is given time as long as anything comes from it, or as what waited for
//! the socket leaves. When nothing does, it is given up after a while, which is longer if large
//! messages stand before the PING: on a slow network, nothing is to be seen while they arrive.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::http2::Signs;
use crate::link::Shared;

/// Pause between two looks.
pub(crate) const TICK: Duration = Duration::from_millis(200);
/// How fast large messages arrive, in bytes per second, on the slowest network that counts as one.
const SLOWEST: u64 = 100_000;
/// For how long a sign of life is looked for that may have come while nobody looked. The bytes that
/// have arrived by then are read within the first turn of the runtime.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Asks the peer for a sign of life, and waits for the answer.
///
/// # Errors
/// If there is no sign of life within `within`, or as long as `most_ahead` bytes at the most that were
/// sent before take to arrive, or if the connection ends: says why.
pub(crate) async fn prove(
    shared: &Shared,
    within: Duration,
    most_ahead: u64,
) -> Result<(), String> {
    let (mut silence, ping) = {
        let mut connection = shared.lock();
        (Silence::since(connection.signs()), connection.ping())
    };
    let mut pong = pin!(poll_fn(|cx| shared.lock().poll_pong(ping, cx)));
    loop {
        let ahead = shared.lock().ahead_of_ping().min(most_ahead);
        let limit = within + to_arrive(ahead);
        let left = limit.saturating_sub(silence.lasted);
        // On a busy core, or in a process that was stopped, the time may have passed all at once,
        // and the PONG be in the socket.
        let step = if left.is_zero() {
            LAST_LOOK
        } else {
            left.min(TICK)
        };
        if let Ok(pong) = timeout(step, &mut pong).await {
            return pong;
        }
        silence.goes_on(step, shared.lock().signs());
        if left.is_zero() && !silence.lasted.is_zero() {
            return Err(format!("no answer to a PING within {limit:?}"));
        }
    }
}

/// How long so many bytes may take to arrive.
fn to_arrive(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST)
}

/// How long there has been no sign of life.
#[derive(Debug)]
struct Silence {
    lasted: Duration,
    seen: Signs,
}

impl Silence {
    fn since(seen: Signs) -> Self {
        Self {
            lasted: Duration::ZERO,
            seen,
        }
    }

    /// So much time has passed, with these signs at the end of it.
    fn goes_on(&mut self, passed: Duration, signs: Signs) {
        self.lasted += passed;
        if signs.are_newer_than(&self.seen) {
            self.lasted = Duration::ZERO;
        }
        self.seen = signs;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::http2::{Config, Connection};
    use crate::{Limits, Metadata};

    const SECOND: Duration = Duration::from_secs(1);
    /// SETTINGS without a setting, and a larger window for the connection.
    const HELLO: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\0\x10\0\0";

    /// A connection on which a request of `bytes` was sent, as far as the windows allow.
    fn asked(bytes: usize) -> Connection {
        let now = Instant::now();
        let config = Config::client(&Limits::default());
        let mut connection = Connection::client(config, "http", "there:1", now);
        connection.receive(HELLO, now);
        let deadline = now + 60 * SECOND;
        let message = vec![7; bytes].into();
        let asked = connection.ask(&[message], &Metadata::new(), now, deadline);
        assert!(asked.is_ok());
        connection
    }

    fn write_all(connection: &mut Connection) {
        connection.take_output(&mut Vec::new());
    }

    #[test]
    fn whatever_arrives_is_a_sign_of_life() {
        let mut connection = asked(10);
        write_all(&mut connection);
        let mut silence = Silence::since(connection.signs());
        silence.goes_on(SECOND, connection.signs());
        assert_eq!(silence.lasted, SECOND);
        // Part of a frame.
        connection.receive(b"\0\0", Instant::now());
        silence.goes_on(SECOND, connection.signs());
        assert_eq!(silence.lasted, Duration::ZERO);
    }

    #[test]
    fn what_had_to_wait_for_the_socket_is_a_sign_of_life_when_it_leaves() {
        let mut connection = asked(50_000);
        let mut silence = Silence::since(connection.signs());
        connection.ping();
        for _ in 0..4 {
            connection.wrote(10_000);
            silence.goes_on(SECOND, connection.signs());
            assert_eq!(silence.lasted, Duration::ZERO);
        }
        silence.goes_on(SECOND, connection.signs());
        assert_eq!(silence.lasted, SECOND);
    }

    #[test]
    fn what_the_system_takes_at_once_is_none() {
        let mut connection = asked(10);
        write_all(&mut connection);
        let mut silence = Silence::since(connection.signs());
        for seconds in 1..5 {
            connection.ping();
            write_all(&mut connection);
            silence.goes_on(SECOND, connection.signs());
            assert_eq!(silence.lasted, seconds * SECOND);
        }
    }

    #[test]
    fn what_has_arrived_stands_before_no_ping() {
        let mut connection = asked(10);
        connection.ping();
        assert_eq!(connection.ahead_of_ping(), 0, "small requests take no time");
        let mut connection = asked(50_000);
        let ping = connection.ping();
        assert_eq!(connection.ahead_of_ping(), 50_005);
        let pong = [&b"\0\0\x08\x06\x01\0\0\0\0edge"[..], &ping.to_be_bytes()].concat();
        connection.receive(&pong, Instant::now());
        connection.ping();
        assert_eq!(connection.ahead_of_ping(), 0);
        assert!(to_arrive(500_000) >= 3 * SECOND);
    }
}
