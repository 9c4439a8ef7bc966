//! The section `[limits]`.

use edge_transport::Limits;
use serde::{Deserialize, Serialize};

/// What one peer may ask of us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Largest request or answer, in bytes, 1 to 4294967295.
    pub max_message_bytes: usize,
    /// Connections of clients, 1 to 1000000.
    pub max_connections: usize,
    /// Requests that a client may have open on one connection, 1 to 1000000.
    pub max_concurrent_streams: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_message_bytes: limits.max_message_bytes,
            max_connections: limits.max_connections,
            max_concurrent_streams: limits.max_concurrent_streams,
        }
    }
}

impl LimitsConfig {
    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        /// gRPC counts the bytes of a message in 32 bits.
        const LARGEST_MESSAGE: usize = u32::MAX as usize;
        const MOST: usize = 1_000_000;
        let streams = self.max_concurrent_streams as usize;
        let keys = [
            (
                "limits.max-message-bytes",
                self.max_message_bytes,
                LARGEST_MESSAGE,
            ),
            ("limits.max-connections", self.max_connections, MOST),
            ("limits.max-concurrent-streams", streams, MOST),
        ];
        match keys
            .iter()
            .find(|(_, value, most)| !(1..=*most).contains(value))
        {
            Some((key, value, most)) => Err((key, format!("{value} is not between 1 and {most}"))),
            None => Ok(()),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_message_bytes: self.max_message_bytes,
            max_connections: self.max_connections,
            max_concurrent_streams: self.max_concurrent_streams,
            ..Limits::default()
        }
    }
}
