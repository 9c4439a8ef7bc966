//! What one peer may ask of us: sizes, streams, times.

use std::time::Duration;

/// Messages of the largest size that one connection may make us hold, as many bytes of them as have
/// come.
pub(crate) const MESSAGES_HELD: usize = 4;
/// Messages from this size on count until their requests have been answered: a destination may be
/// slow to take them. Smaller ones, of which there are no more than streams, until they have come.
pub(crate) const LARGE_MESSAGE: usize = 64 << 10;

/// Limits of a connection, the same on the server and on the client side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest message accepted, in bytes.
    pub max_message_bytes: usize,
    /// Largest set of headers accepted, in bytes.
    pub max_header_bytes: u32,
    /// Requests that a peer may have open on one connection.
    pub max_concurrent_streams: u32,
    /// Bytes of one message that a peer may send ahead of what was read.
    pub stream_window_bytes: u32,
    /// Bytes of all messages together that a peer may send ahead.
    pub connection_window_bytes: u32,
    /// Connections that a server holds; more are closed at once.
    pub max_connections: usize,
    /// Longest time from the first byte of a connection to its readiness.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 64 << 20,
            max_header_bytes: 16 << 10,
            max_concurrent_streams: 10_000,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 8 << 20,
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}
