//! Finds out when the server of a client's connection has frozen, or is about to leave.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, SendDatagramError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::deadlines::Deadlines;
use super::{ALPN_NATIVE, LEAVING, code, http3};

/// Pause between two looks.
const TICK: Duration = Duration::from_millis(200);
/// How often an answer to a sign of life is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the calls of a connection and its watch have to tell each other.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Calls that are under way.
    calls: AtomicUsize,
    /// When they are given up.
    pub(super) deadlines: Deadlines,
    /// Somebody looks whether the server answers.
    is_watched: AtomicBool,
    wanted: Notify,
    /// The server has to be asked for a sign of life.
    asks: Notify,
    is_leaving: AtomicBool,
    /// Why the connection was given up.
    reason: OnceLock<String>,
}

/// A call, for as long as it is under way.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Watched);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Watched {
    /// A call begins, unless the server has said that it is leaving.
    pub(super) fn begin(&self) -> Option<UnderWay<'_>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(self);
        if self.is_leaving() {
            return None;
        }
        if !self.is_watched.load(Ordering::SeqCst) && !self.is_watched.swap(true, Ordering::SeqCst)
        {
            self.wanted.notify_one();
        }
        Some(under_way)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::SeqCst)
    }

    /// Calls go elsewhere from now on.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::SeqCst);
    }

    /// Why we have given the connection up, if it was us.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    fn is_idle(&self) -> bool {
        self.calls.load(Ordering::SeqCst) == 0
    }

    /// Watches the connection until it has ended.
    pub(super) async fn watch(
        &self,
        connection: &Connection,
        ping_after: Duration,
        pong_within: Duration,
    ) {
        // Streams that only HTTP/3 has are not ours to accept.
        let speaks_native = connection
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok())
            .is_some_and(|data| data.protocol.as_deref() == Some(ALPN_NATIVE));
        let until_left = async {
            match speaks_native {
                true => self.until_left(connection).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = connection.closed() => {}
            reason = self.until_silent(connection, speaks_native, ping_after, pong_within) => {
                let given = self.reason.get_or_init(|| reason);
                let code = match speaks_native {
                    true => code::SILENT,
                    false => http3::INTERNAL_ERROR,
                };
                connection.close(code, given.as_bytes());
            }
            () = until_left => connection.close(code::DONE, b""),
            () = self.deadlines.mind() => {}
        }
    }

    /// Ends when the server does not answer while calls wait for it.
    async fn until_silent(
        &self,
        connection: &Connection,
        speaks_native: bool,
        ping_after: Duration,
        pong_within: Duration,
    ) -> String {
        let received = || connection.stats().udp_rx.datagrams;
        let mut seen = received();
        let mut silent_for = Duration::ZERO;
        loop {
            // Of thousands of connections only those that are used have a timer.
            if self.is_idle() {
                self.is_watched.store(false, Ordering::SeqCst);
                if self.is_idle() {
                    self.wanted.notified().await;
                }
                self.is_watched.store(true, Ordering::SeqCst);
                silent_for = Duration::ZERO;
            }
            sleep(TICK).await;
            let now_seen = received();
            if now_seen != seen {
                seen = now_seen;
                silent_for = Duration::ZERO;
                continue;
            }
            silent_for += TICK;
            if silent_for < ping_after || self.is_idle() {
                continue;
            }
            silent_for = Duration::ZERO;
            // It has to be acknowledged, by the process itself: no kernel does that for it.
            let asked = match speaks_native {
                true => connection.send_datagram(Bytes::new()),
                // A datagram would have to be one of HTTP (RFC 9297, section 2.1).
                false => {
                    self.asks.notify_one();
                    Ok(())
                }
            };
            match asked {
                Ok(()) => {}
                // Left to the idle time-out.
                Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => continue,
                Err(SendDatagramError::ConnectionLost(error)) => return error.to_string(),
                Err(SendDatagramError::TooLarge) => continue,
            }
            let until = Instant::now() + pong_within;
            loop {
                // On a busy core time may pass all at once: what has arrived is looked at first.
                let is_late = Instant::now() >= until;
                sleep(LOOK_EVERY).await;
                if received() != seen {
                    break;
                }
                if is_late {
                    return format!("no sign of life within {pong_within:?}");
                }
            }
        }
    }

    /// Ends when the server has said that it leaves, and nothing is under way any more.
    async fn until_left(&self, connection: &Connection) {
        let mut said = [0];
        loop {
            let Ok(mut stream) = connection.accept_uni().await else {
                return std::future::pending().await;
            };
            if stream.read_exact(&mut said).await.is_ok() && said[0] == LEAVING {
                break;
            }
        }
        self.leave();
        self.until_idle().await;
    }

    /// Ends when the server of an HTTP/3 connection has to be asked for a sign of life.
    pub(super) async fn asks(&self) {
        self.asks.notified().await;
    }

    /// Ends when nothing is under way any more.
    pub(super) async fn until_idle(&self) {
        while !self.is_idle() {
            sleep(LOOK_EVERY).await;
        }
    }
}
