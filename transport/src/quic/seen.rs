//! Where a client was seen last.

use std::net::SocketAddr;

use quinn::Connection;

use super::Counters;

/// The address of a client; it changes where a device changes networks.
#[derive(Debug)]
pub(super) struct Seen(SocketAddr);

impl Seen {
    pub(super) fn at(connection: &Connection) -> Self {
        Self(connection.remote_address())
    }

    /// Counts a change since the last look.
    pub(super) fn look(&mut self, connection: &Connection, counters: &Counters) {
        let now = connection.remote_address();
        if now != self.0 {
            self.0 = now;
            counters.count_migration();
        }
    }
}
