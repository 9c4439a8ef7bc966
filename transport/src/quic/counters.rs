//! What happened on QUIC connections that an operator wants to know of.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one server or client, from 0, for as long as it lives.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    early_offered: AtomicU64,
    early_accepted: AtomicU64,
    early_rejected: AtomicU64,
    early_postponed: AtomicU64,
    retries: AtomicU64,
    refused: AtomicU64,
    no_handshake: AtomicU64,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident, $count:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                pub fn $field(&self) -> u64 {
                    self.$field.load(Ordering::Relaxed)
                }

                pub(crate) fn $count(&self) {
                    self.$field.fetch_add(1, Ordering::Relaxed);
                }
            )*
        }
    };
}

counts! {
    /// Handshakes that were completed.
    connections, count_connection;
    /// Of a client: connections begun with a ticket of an earlier one, so that requests could leave
    /// with the first packet. Of a server: requests that came before the handshake was complete.
    early_offered, count_early_offered;
    /// Of a client: connections of those on which the server took early requests. Of a server: early
    /// requests that were begun at once, as they may be repeated.
    early_accepted, count_early_accepted;
    /// Of a client: connections of those on which the server did not take early requests.
    early_rejected, count_early_rejected;
    /// Of a server: early requests that had to wait for the handshake, as they may not be repeated.
    early_postponed, count_early_postponed;
    /// Clients that had to prove their address, because many handshakes were under way.
    retries, count_retry;
    /// Connections refused or ignored, because there were too many.
    refused, count_refused;
    /// Handshakes that failed.
    no_handshake, count_no_handshake;
}
